use std::fmt;
use std::sync::PoisonError;

use zeroize::Zeroizing;

use self::shard::Shard;
use self::slot::Slot;
use super::mac::Mac;
use super::{DigestText, SecretOrigin};
use crate::random::{RandomError, SecureRandom};
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(all(test, keyward_shuttle))]
mod races;
mod shard;
mod slot;

/// Remembers, for as long as the process lives, which secrets have passed the slow hash.
///
/// What is kept is a fact about two strings ("this secret hashes to that digest"), which never stops being true. It is
/// no cache of a verdict: it knows nothing of records, expiry or revocation, and a caller still reads those afresh on
/// every request. The rules that keep it sound are listed in `docs/hashing.md`; what this type contributes:
///
/// * entries are MACs under a key that is drawn for this memory and dies with it, over key id, stored digest and
///   secret, each framed by its length. Another digest (a rotation, an upgrade) misses by itself;
/// * it holds positive results only. When it is full it takes no more, so nobody can push another's entry out;
/// * imported secrets, which may be guessable, are not taken;
/// * each key has room for two generations, the current credential and the one before it.
///
/// ```
/// use keyward::hash::{DigestText, ProofMemory, Remembered, SecretOrigin};
/// use keyward::random::OsRandom;
///
/// # fn main() -> Result<(), keyward::random::RandomError> {
/// let memory = ProofMemory::new(&OsRandom::new())?;
/// let digest = DigestText::new("$2b$12$…");
/// let tag = memory.tag("id", &digest, b"secret");
/// assert!(!memory.remembers("id", 1, &tag));
/// // … the slow hash says yes, the record is read once more and still holds this digest …
/// assert_eq!(memory.remember("id", 1, &tag, SecretOrigin::Generated), Remembered::Kept);
/// assert!(memory.remembers("id", 1, &memory.tag("id", &digest, b"secret")));
/// assert!(!memory.remembers("id", 1, &memory.tag("id", &digest, b"Secret")));
/// # Ok(())
/// # }
/// ```
pub struct ProofMemory {
    tags: Mac,
    ids: Mac,
    shards: Box<[RwLock<Shard>]>,
    capacity: usize,
    len: AtomicUsize,
    kept: AtomicU64,
    full: AtomicU64,
}

/// What a [`ProofMemory`] keeps of one presentation of a secret. Only the memory that made it can recognise it.
///
/// Equal presentations have equal tags, which is what [`SingleFlight`](super::SingleFlight) goes by.
#[derive(Clone)]
pub struct ProofTag([u8; 32]);

impl ProofTag {
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ProofTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofTag(..)")
    }
}

/// What became of a proof that was handed to [`ProofMemory::remember`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Remembered {
    /// The memory is full: the next use of this key pays the slow hash again.
    Full,
    /// It is kept.
    Kept,
    /// It is not kept: the secret is imported, or the key's room is taken by two later generations.
    Refused,
}

/// What a [`ProofMemory`] has seen, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProofMemoryStats {
    /// Keys it can hold.
    pub capacity: usize,
    /// Proofs that were not kept because the memory was full. Above zero: raise the capacity.
    pub full: u64,
    /// Look-ups that found their proof.
    pub hits: u64,
    /// Proofs that were kept.
    pub kept: u64,
    /// Keys it holds.
    pub len: usize,
    /// Look-ups that did not.
    pub misses: u64,
}

impl ProofMemory {
    /// Keys that a memory holds unless told otherwise: some 13 MB when full.
    pub const DEFAULT_CAPACITY: usize = 65_536;

    /// Returns an empty memory for [`DEFAULT_CAPACITY`](ProofMemory::DEFAULT_CAPACITY) keys.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when no key could be drawn.
    pub fn new(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        Self::with_capacity(Self::DEFAULT_CAPACITY, random)
    }

    /// Returns an empty memory for so many keys. With 0 it keeps nothing.
    ///
    /// # Errors
    ///
    /// [`RandomError`] when no key could be drawn.
    pub fn with_capacity(capacity: usize, random: &dyn SecureRandom) -> Result<Self, RandomError> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice())?;
        let root = Mac::new(key.as_slice());
        Ok(Self {
            tags: root.derive("keyward/1/proof-memory"),
            ids: root.derive("keyward/1/proof-memory-id"),
            shards: (0..SHARDS).map(|_| RwLock::new(Shard::default())).collect(),
            capacity,
            len: AtomicUsize::new(0),
            kept: AtomicU64::new(0),
            full: AtomicU64::new(0),
        })
    }

    /// Returns the tag of one presentation: this secret, for this key, against this stored digest.
    #[must_use]
    pub fn tag(&self, key_id: &str, digest: &DigestText, secret: &[u8]) -> ProofTag {
        let fields = [key_id.as_bytes(), digest.as_str().as_bytes(), secret];
        ProofTag(self.tags.over(fields))
    }

    /// Returns whether this very presentation has been remembered. Constant time in the tag, and allocates nothing.
    ///
    /// # Security
    ///
    /// A yes says that the secret is the right one for that digest, and no more. The digest and everything that decides
    /// whether the key may be used must come from a record that was read for this request.
    #[must_use]
    pub fn remembers(&self, key_id: &str, generation: u32, tag: &ProofTag) -> bool {
        let slot = Slot::of(key_id, &self.ids);
        let Some(shard) = self.shard(slot) else {
            return false;
        };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        shard.knows(slot, generation, tag.bytes())
    }

    /// Returns whether anything was remembered of that key: its owner has proved its secret to this process before.
    #[must_use]
    pub fn knows(&self, key_id: &str) -> bool {
        let slot = Slot::of(key_id, &self.ids);
        let Some(shard) = self.shard(slot) else {
            return false;
        };
        shard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .has(slot)
    }

    /// Remembers a presentation that has passed the slow hash.
    ///
    /// A key keeps its two highest generations; a second proof of one generation replaces the first.
    ///
    /// # Security
    ///
    /// Call it only after the slow hash said yes *and* the record, read again after that, is still live and still holds
    /// this digest: a third of a second lies between the two reads.
    #[must_use = "a full memory shows here first"]
    pub fn remember(
        &self,
        key_id: &str,
        generation: u32,
        tag: &ProofTag,
        origin: SecretOrigin,
    ) -> Remembered {
        if origin == SecretOrigin::Imported {
            return Remembered::Refused;
        }
        let outcome = self.insert(key_id, generation, tag);
        match outcome {
            Remembered::Kept => self.kept.fetch_add(1, Ordering::Relaxed),
            Remembered::Full => self.full.fetch_add(1, Ordering::Relaxed),
            Remembered::Refused => 0,
        };
        outcome
    }

    fn insert(&self, key_id: &str, generation: u32, tag: &ProofTag) -> Remembered {
        let slot = Slot::of(key_id, &self.ids);
        let Some(shard) = self.shard(slot) else {
            return Remembered::Refused;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.entry(slot) {
            return entry.put(generation, tag.bytes());
        }
        if !self.reserve() {
            return Remembered::Full;
        }
        shard.add(slot, generation, tag.bytes());
        Remembered::Kept
    }

    /// Forgets one key, of which nothing more is to be expected: it was revoked, or deleted.
    ///
    /// Nothing depends on it but room. A proof of a revoked key is never asked for.
    pub fn forget(&self, key_id: &str) {
        let slot = Slot::of(key_id, &self.ids);
        let Some(shard) = self.shard(slot) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.remove(slot) {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Forgets everything, as after a pepper was found out.
    pub fn forget_all(&self) {
        self.retain(Shard::clear);
    }

    /// Forgets the keys that were not recognised since the last call, and returns how many those were.
    ///
    /// Called once a day or so, it makes room that keys revoked elsewhere, or simply gone, still take. Nobody but a
    /// key's holder can keep its entry alive, and nobody can age another's: only successes count.
    #[must_use = "tells how much room was made"]
    pub fn forget_idle(&self) -> usize {
        self.retain(Shard::clear_idle)
    }

    fn retain(&self, sweep: impl Fn(&mut Shard) -> usize) -> usize {
        let mut total = 0;
        for shard in &*self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let gone = sweep(&mut shard);
            self.len.fetch_sub(gone, Ordering::Relaxed);
            total += gone;
        }
        total
    }

    /// Returns how many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what it has seen so far.
    #[must_use]
    pub fn stats(&self) -> ProofMemoryStats {
        let (mut hits, mut misses) = (0, 0);
        for shard in &*self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            hits += shard.hits();
            misses += shard.misses();
        }
        ProofMemoryStats {
            capacity: self.capacity,
            full: self.full.load(Ordering::Relaxed),
            hits,
            kept: self.kept.load(Ordering::Relaxed),
            len: self.len(),
            misses,
        }
    }

    /// Takes room for one key. The shard's lock is held, but other shards fill up at the same time.
    fn reserve(&self) -> bool {
        let room = |len: usize| (len < self.capacity).then_some(len + 1);
        self.len
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
    }

    /// The shard of a slot; there always is one.
    fn shard(&self, slot: Slot) -> Option<&RwLock<Shard>> {
        self.shards.get(slot.spread() % SHARDS)
    }
}

impl fmt::Debug for ProofMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofMemory")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Enough that a few dozen threads rarely meet at one lock.
const SHARDS: usize = 64;
