use std::collections::BTreeMap;
use std::fmt;
use std::sync::{OnceLock, PoisonError};

use zeroize::Zeroizing;

use super::mac::Mac;
use super::{HashBuildError, HashError, encoding, mac};
use crate::sync::{RwLock, RwLockReadGuard};

/// Keys that live outside the store (in a vault, a key file, an environment variable), each with a version.
///
/// A stolen table without the pepper is worth nothing, even for guessable secrets. One pepper is current and used for
/// new digests; the others still verify old ones. To change peppers: add the new one as current, let keys be used (each
/// is upgraded on its next success), and remove the old one when no stored text names it any more.
///
/// Each pepper yields four independent keys: for what the slow hash sees, for keyed digests, for stored proofs and for
/// short checks. The peppers themselves are wiped as soon as the ring is built; `Debug` shows versions only.
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

/// The four keys of one pepper.
pub(super) struct Pepper {
    version: u32,
    slow_input: Mac,
    keyed_digest: Mac,
    stored_proof: Mac,
    short_check: Mac,
    fingerprint: [u8; 32],
}

impl PepperRing {
    /// Starts an empty ring.
    pub fn builder() -> PepperRingBuilder {
        PepperRingBuilder {
            current: None,
            peppers: Vec::new(),
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
}

/// Gathers the peppers of a [`PepperRing`]. `Debug` shows versions only; the peppers are wiped on drop.
#[must_use]
pub struct PepperRingBuilder {
    current: Option<u32>,
    peppers: Vec<(u32, Zeroizing<Vec<u8>>)>,
}

impl PepperRingBuilder {
    /// Adds a pepper of 32 random bytes or more. Versions start at 1 and must not be used twice, not even years later.
    pub fn pepper(mut self, version: u32, secret: impl Into<Vec<u8>>) -> Self {
        self.peppers.push((version, Zeroizing::new(secret.into())));
        self
    }

    /// Names the version for new digests; the highest one unless named.
    ///
    /// With several processes, first give all of them the new pepper with the old one current, then switch: otherwise
    /// a process that does not know it yet has to turn away keys that another has just upgraded.
    pub fn current(mut self, version: u32) -> Self {
        self.current = Some(version);
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// * [`HashBuildError::NoPepper`], [`HashBuildError::ZeroVersion`], [`HashBuildError::DuplicatePepper`],
    ///   [`HashBuildError::CurrentPepperMissing`] when the versions do not make a ring;
    /// * [`HashBuildError::WeakPepper`] when one is shorter than 32 bytes, a repeated pattern, or made of fewer than
    ///   eight different bytes.
    pub fn build(self) -> Result<PepperRing, HashBuildError> {
        let mut rest = self.peppers.as_slice();
        while let [earlier @ .., (version, secret)] = rest {
            check(*version, secret, earlier)?;
            rest = earlier;
        }
        let peppers: BTreeMap<_, _> = self
            .peppers
            .iter()
            .map(|(version, secret)| (*version, Pepper::new(*version, secret)))
            .collect();
        let highest = peppers.keys().next_back().copied();
        let current = self.current.or(highest).ok_or(HashBuildError::NoPepper)?;
        if !peppers.contains_key(&current) {
            return Err(HashBuildError::CurrentPepperMissing { version: current });
        }
        let fingerprint = |(version, pepper): (&u32, &Pepper)| (*version, pepper.fingerprint);
        Ok(PepperRing {
            contents: RwLock::new(Contents {
                current,
                known: peppers.iter().map(fingerprint).collect(),
                peppers,
            }),
            missed: OnceLock::new(),
        })
    }
}

impl fmt::Debug for PepperRingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.peppers.iter().map(|(version, _)| version).collect();
        f.debug_struct("PepperRingBuilder")
            .field("current", &self.current)
            .field("versions", &versions)
            .finish_non_exhaustive()
    }
}

fn check(
    version: u32,
    secret: &[u8],
    earlier: &[(u32, Zeroizing<Vec<u8>>)],
) -> Result<(), HashBuildError> {
    if version == 0 {
        return Err(HashBuildError::ZeroVersion);
    }
    if secret.len() < SHORTEST || is_patterned(secret) {
        return Err(HashBuildError::WeakPepper { version });
    }
    let known = |(other, bytes): &(u32, Zeroizing<Vec<u8>>)| {
        *other == version || bytes.as_slice() == secret
    };
    if earlier.iter().any(known) {
        return Err(HashBuildError::DuplicatePepper { version });
    }
    Ok(())
}

/// 256 bits, as much as the secrets hold that the pepper stands in for.
const SHORTEST: usize = 32;

/// Few different bytes, or one piece over and over. Random bytes, or their hex, never look like that.
fn is_patterned(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(it) = seen.get_mut(usize::from(*byte)) {
            *it = true;
        }
    }
    let different = seen.iter().filter(|it| **it).count();
    let repeats = |period: usize| {
        secret
            .iter()
            .zip(secret.iter().skip(period))
            .all(|(a, b)| a == b)
    };
    different < 8 || (1..=secret.len() / 2).any(repeats)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 32] = *b"pT3n9-thirty-two-random-bytes-Kd";
    const B: [u8; 32] = *b"0y4Q-an0ther-32-byte-key-xzv87Lq";

    #[test]
    fn takes_the_highest_version_as_current_unless_told() {
        let ring = || PepperRing::builder().pepper(7, A).pepper(2, B);
        assert_eq!(ring().build().unwrap().current(), 7);
        assert_eq!(ring().current(2).build().unwrap().current(), 2);
    }

    #[test]
    fn refuses_versions_that_make_no_ring() {
        let cases = [
            (PepperRing::builder(), HashBuildError::NoPepper),
            (
                PepperRing::builder().pepper(0, A),
                HashBuildError::ZeroVersion,
            ),
            (
                PepperRing::builder().pepper(1, A).current(2),
                HashBuildError::CurrentPepperMissing { version: 2 },
            ),
            (
                PepperRing::builder().pepper(1, A).pepper(1, B),
                HashBuildError::DuplicatePepper { version: 1 },
            ),
            (
                PepperRing::builder().pepper(1, A).pepper(2, A),
                HashBuildError::DuplicatePepper { version: 2 },
            ),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build().unwrap_err(), error);
        }
    }

    #[test]
    fn refuses_weak_peppers_and_takes_their_strong_neighbours() {
        let weak: [&[u8]; 6] = [
            b"",
            &[0; 64],
            &A[..31],
            b"aabbccddeeffaabbccddeeffggaabbcc",
            b"passwordpasswordpasswordpassword",
            b"sixteen-letters-sixteen-letters-",
        ];
        for secret in weak {
            assert_eq!(
                PepperRing::builder().pepper(1, secret).build().unwrap_err(),
                HashBuildError::WeakPepper { version: 1 },
            );
        }
        let strong: [&[u8]; 3] = [
            b"8f14e45fceea167a5a36dedd4bea2543",
            b"aabbccddeeffaabbccddeeffgghhaabb",
            b"sixteen-letters-sixteen-letters!",
        ];
        for secret in strong {
            assert!(PepperRing::builder().pepper(1, secret).build().is_ok());
        }
    }

    #[test]
    fn takes_over_versions_and_current_version() {
        let build = |ring: PepperRingBuilder| ring.build().unwrap();
        let ring = build(PepperRing::builder().pepper(1, A));
        let both = || PepperRing::builder().pepper(1, A).pepper(2, B);
        assert!(ring.take_over(build(both().current(1))).unwrap());
        assert!(!ring.take_over(build(both().current(1))).unwrap());
        assert_eq!(ring.versions().collect::<Vec<_>>(), [1, 2]);
        assert!(ring.take_over(build(both())).unwrap());
        assert_eq!(ring.with_newest(Pepper::version).unwrap(), 2);
        assert!(
            ring.take_over(build(PepperRing::builder().pepper(2, B)))
                .unwrap()
        );
        assert!(matches!(
            ring.check(1),
            Err(HashError::PepperMissing { version: 1 })
        ));
    }

    #[test]
    fn refuses_a_version_that_became_another_pepper_even_after_it_went_away() {
        let build = |ring: PepperRingBuilder| ring.build().unwrap();
        let ring = build(PepperRing::builder().pepper(1, A));
        let shown = |ring: &PepperRing| ring.with(1, |it| *it.slow_input("id", b"secret"));
        let before = shown(&ring).unwrap();
        let changed = build(PepperRing::builder().pepper(1, B));
        let refused = HashBuildError::PepperChanged { version: 1 };
        assert_eq!(ring.take_over(changed).unwrap_err(), refused);
        assert_eq!(shown(&ring).unwrap(), before);

        ring.take_over(build(PepperRing::builder().pepper(2, B)))
            .unwrap();
        let back = build(PepperRing::builder().pepper(1, [b"x", &A[1..]].concat()));
        assert_eq!(ring.take_over(back).unwrap_err(), refused);
        assert_eq!(ring.current(), 2);
    }

    #[test]
    fn gives_every_purpose_and_version_its_own_key() {
        let ring = PepperRing::builder()
            .pepper(1, A)
            .pepper(2, B)
            .build()
            .unwrap();
        let mut seen = Vec::new();
        for version in ring.versions() {
            let mut keys = |pepper: &Pepper| {
                let mut hex = [0; 64];
                encoding::hex_into(&pepper.keyed_digest("id", b"secret"), &mut hex);
                seen.push(hex);
                seen.push(*pepper.slow_input("id", b"secret"));
                encoding::hex_into(&pepper.stored_proof("id", "", b"secret"), &mut hex);
                seen.push(hex);
                encoding::hex_into(&pepper.short_check.over([b"id", b"secret"]), &mut hex);
                seen.push(hex);
                encoding::hex_into(&pepper.fingerprint, &mut hex);
                seen.push(hex);
            };
            ring.with(version, &mut keys).unwrap();
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn always_hands_64_hex_digits_to_the_slow_hash() {
        let ring = PepperRing::builder().pepper(1, A).build().unwrap();
        for length in [1, 72, 1000] {
            let secret = vec![b'x'; length];
            let input = ring.with_newest(|it| it.slow_input("id", &secret)).unwrap();
            assert!(input.iter().all(u8::is_ascii_hexdigit));
        }
    }
}
