mod builder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{OnceLock, PoisonError};

use zeroize::Zeroizing;

pub use self::builder::PepperRingBuilder;
use super::mac::Mac;
use super::{HashBuildError, HashError, encoding, mac};
use crate::sync::{RwLock, RwLockReadGuard};

/// Keys that live outside the store (in a vault, a key file, an environment variable), each with a version.
///
/// A stolen table without the pepper is worth nothing, even for guessable secrets. One pepper is current and used for
/// new digests; the others still verify old ones. To change peppers: add the new one as current, let keys be used (each
/// is upgraded on its next success), and remove the old one when no stored text names it any more.
///
/// Each pepper yields independent keys: for what the slow hash sees, for keyed digests, for stored proofs, for short
/// checks, for binding rows, and for sealing the seeds of second factors. The peppers themselves are wiped as soon as the ring is built; `Debug` shows versions only.
///
/// A ring that is in use can [take over](PepperRing::take_over) the contents of another, so that peppers change without
/// a restart.
///
/// ```
/// use keyward::hash::PepperRing;
/// # let (old, new) = (*b"0y4Q-an0ther-32-byte-key-xzv87Lq", *b"pT3n9-thirty-two-random-bytes-Kd");
/// let ring = PepperRing::builder().pepper(1, old).pepper(2, new).build()?;
/// assert_eq!(ring.current(), 2);
/// # Ok::<(), keyward::hash::HashBuildError>(())
/// ```
pub struct PepperRing {
    contents: RwLock<Contents>,
    /// Called when a text names a version that the ring does not hold: somewhere there may be a newer ring.
    missed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct Contents {
    current: u32,
    peppers: BTreeMap<u32, Pepper>,
    /// What each version ever was, so that a version that went away cannot come back as another pepper.
    known: BTreeMap<u32, [u8; 32]>,
}

/// The keys of one pepper.
pub(super) struct Pepper {
    version: u32,
    slow_input: Mac,
    keyed_digest: Mac,
    stored_proof: Mac,
    short_check: Mac,
    row_binding: Mac,
    #[cfg(feature = "totp")]
    sealing: Zeroizing<[u8; 32]>,
    fingerprint: [u8; 32],
}

impl PepperRing {
    /// Starts an empty ring.
    pub fn builder() -> PepperRingBuilder {
        PepperRingBuilder::new()
    }

    fn of(current: u32, peppers: BTreeMap<u32, Pepper>) -> Self {
        let fingerprint = |(version, pepper): (&u32, &Pepper)| (*version, pepper.fingerprint);
        Self {
            contents: RwLock::new(Contents {
                current,
                known: peppers.iter().map(fingerprint).collect(),
                peppers,
            }),
            missed: OnceLock::new(),
        }
    }

    /// Returns the version that new digests are made under.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.read().current
    }

    /// Returns the versions that can be verified, in rising order.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        let versions: Vec<u32> = self.read().peppers.keys().copied().collect();
        versions.into_iter()
    }

    /// Takes over versions and current version of another ring in one step, for everybody who shares this one. Returns
    /// whether anything changed.
    ///
    /// Versions that `next` lacks go away, and the texts that name them can no longer be judged.
    ///
    /// ```
    /// use keyward::hash::PepperRing;
    /// # let (old, new) = (*b"0y4Q-an0ther-32-byte-key-xzv87Lq", *b"pT3n9-thirty-two-random-bytes-Kd");
    /// let ring = PepperRing::builder().pepper(1, old).build()?;
    /// assert!(ring.take_over(PepperRing::builder().pepper(1, old).pepper(2, new).build()?)?);
    /// assert_eq!(ring.current(), 2);
    /// assert!(ring.take_over(PepperRing::builder().pepper(1, new).build()?).is_err());
    /// assert_eq!(ring.current(), 2);
    /// # Ok::<(), keyward::hash::HashBuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HashBuildError::PepperChanged`] when a version this ring has ever held is another pepper in `next`: it would
    /// turn the keys under it away as invalid. The ring stays as it was.
    pub fn take_over(&self, next: Self) -> Result<bool, HashBuildError> {
        let next = next
            .contents
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut held = self
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (version, fingerprint) in &next.known {
            let before = held.known.get(version);
            if before.is_some_and(|known| !mac::same(known, fingerprint)) {
                return Err(HashBuildError::PepperChanged { version: *version });
            }
        }
        let changed = held.current != next.current || !held.peppers.keys().eq(next.peppers.keys());
        held.current = next.current;
        held.peppers = next.peppers;
        held.known.extend(next.known);
        Ok(changed)
    }

    /// Sets who hears of versions that are missing. It is called on the path of a request; the first one set stays.
    #[cfg(feature = "vault")]
    pub(crate) fn on_missing(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.missed.set(Box::new(tell));
    }

    /// Calls `work` with the pepper of that version. The ring cannot change meanwhile, so `work` is short: this costs
    /// half of what handing out a share of the pepper would, and every verification pays it.
    pub(super) fn with<T>(
        &self,
        version: u32,
        work: impl FnOnce(&Pepper) -> T,
    ) -> Result<T, HashError> {
        if let Some(pepper) = self.read().peppers.get(&version) {
            return Ok(work(pepper));
        }
        // Version 0 is a damaged text, and no ring will ever hold it.
        if let Some(tell) = self.missed.get().filter(|_| version != 0) {
            tell();
        }
        Err(HashError::PepperMissing { version })
    }

    /// The same with the pepper for new digests.
    pub(super) fn with_newest<T>(&self, work: impl FnOnce(&Pepper) -> T) -> Result<T, HashError> {
        let contents = self.read();
        let version = contents.current;
        let newest = contents.peppers.get(&version).map(work);
        newest.ok_or(HashError::PepperMissing { version })
    }

    /// Says whether texts of that version can be judged.
    pub(super) fn check(&self, version: u32) -> Result<(), HashError> {
        self.with(version, |_| ())
    }

    /// Returns the key for sealing what must be readable again, under that version or the current one.
    #[cfg(feature = "totp")]
    pub(crate) fn sealing_key(
        &self,
        version: Option<u32>,
    ) -> Result<(u32, Zeroizing<[u8; 32]>), HashError> {
        let key = |pepper: &Pepper| (pepper.version, pepper.sealing.clone());
        match version {
            Some(version) => self.with(version, key),
            None => self.with_newest(key),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PepperRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents = self.read();
        f.debug_struct("PepperRing")
            .field("current", &contents.current)
            .field("versions", &contents.peppers.keys())
            .finish_non_exhaustive()
    }
}

impl Pepper {
    fn new(version: u32, secret: &[u8]) -> Self {
        let root = Mac::new(secret);
        let fingerprint = root.derive("keyward/1/fingerprint");
        Self {
            version,
            slow_input: root.derive("keyward/1/slow-input"),
            keyed_digest: root.derive("keyward/1/keyed-digest"),
            stored_proof: root.derive("keyward/1/stored-proof"),
            short_check: root.derive("keyward/1/short-check"),
            row_binding: root.derive("keyward/1/row-binding"),
            #[cfg(feature = "totp")]
            sealing: Zeroizing::new(root.over([b"keyward/1/sealing"])),
            fingerprint: fingerprint.over([]),
        }
    }

    pub(super) const fn version(&self) -> u32 {
        self.version
    }

    /// What the slow hash sees: 64 hex digits, whatever the secret's length. Text, because some bcrypt implementations
    /// stop at a zero byte; with the id, so that a row's digest is worthless under another id.
    pub(super) fn slow_input(&self, key_id: &str, secret: &[u8]) -> Zeroizing<[u8; 64]> {
        let mac = Zeroizing::new(self.slow_input.over([key_id.as_bytes(), secret]));
        let mut hex = Zeroizing::new([0; 64]);
        encoding::hex_into(mac.as_slice(), hex.as_mut_slice());
        hex
    }

    pub(super) fn keyed_digest(&self, key_id: &str, secret: &[u8]) -> [u8; 32] {
        self.keyed_digest.over([key_id.as_bytes(), secret])
    }

    pub(super) fn stored_proof(&self, key_id: &str, digest: &str, secret: &[u8]) -> [u8; 32] {
        self.stored_proof
            .over([key_id.as_bytes(), digest.as_bytes(), secret])
    }

    pub(super) fn short_check(&self, key_id: &str, secret: &[u8]) -> [u8; 4] {
        let [a, b, c, d, ..] = self.short_check.over([key_id.as_bytes(), secret]);
        [a, b, c, d]
    }

    pub(super) fn row_binding(&self, row: &[u8]) -> [u8; 32] {
        self.row_binding.over([row])
    }
}
