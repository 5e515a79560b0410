use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Gate;
use crate::hash::{DigestText, HashError, HashInput, KeyHasher, Plan};
use crate::random::SecureRandom;

/// A hasher that counts how often another one computes, and can be held up in the middle. Clones share the counts.
///
/// ```
/// use keyward::hash::{Bcrypt, Hashing, SecretOrigin};
/// use keyward::random::OsRandom;
/// use keyward::testing::CountingHasher;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let counting = CountingHasher::new(Bcrypt::builder().dangerous().low_cost(4).build()?);
/// let hashing = Hashing::builder().prefer(counting.clone()).build()?;
/// let digest = hashing.digest("id", b"secret", SecretOrigin::Generated, &OsRandom::new())?;
/// assert!(hashing.verify("id", b"secret", b"", &digest)?);
/// assert_eq!((counting.hashes(), counting.verifications()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CountingHasher {
    inner: Arc<dyn KeyHasher>,
    counts: Arc<Counts>,
    gate: Gate,
}

#[derive(Debug, Default)]
struct Counts {
    hashes: AtomicU64,
    verifications: AtomicU64,
}

impl CountingHasher {
    /// Counts what `inner` does. The gate stands open.
    #[must_use]
    pub fn new(inner: impl KeyHasher) -> Self {
        Self {
            inner: Arc::new(inner),
            counts: Arc::default(),
            gate: Gate::opened(),
        }
    }

    /// Returns how many digests were made or begun.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.counts.hashes.load(Ordering::SeqCst)
    }

    /// Returns how many verifications were computed or begun.
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.counts.verifications.load(Ordering::SeqCst)
    }

    /// Returns the gate that every computation passes after it was counted.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl KeyHasher for CountingHasher {
    fn scheme(&self) -> &str {
        self.inner.scheme()
    }

    fn cost(&self) -> Plan {
        self.inner.cost()
    }

    fn accepts(&self, text: &str) -> Result<(), HashError> {
        self.inner.accepts(text)
    }

    fn is_current(&self, text: &str) -> bool {
        self.inner.is_current(text)
    }

    fn hash(
        &self,
        input: HashInput<'_>,
        random: &dyn SecureRandom,
    ) -> Result<DigestText, HashError> {
        self.counts.hashes.fetch_add(1, Ordering::SeqCst);
        self.gate.pass();
        self.inner.hash(input, random)
    }

    fn verify(&self, input: HashInput<'_>, text: &str) -> Result<bool, HashError> {
        self.counts.verifications.fetch_add(1, Ordering::SeqCst);
        self.gate.pass();
        self.inner.verify(input, text)
    }
}
