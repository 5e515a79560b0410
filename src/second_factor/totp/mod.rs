//! One-time codes of an authenticator app (RFC 6238), and recovery codes beside them.

mod algorithm;
mod builder;
mod enrolment;
mod enrolments;
mod judge;
mod label;
mod recovery;
mod seal;
mod seed;
mod state;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::judge::{Presented, Verdict};
use self::label::Label;
use self::seal::Seal;
use self::state::{Phase, State};
use super::{
    FactorAttempt, FactorCode, FactorError, FactorMethod, FactorRevision, FactorStore,
    SecondFactor, StoredFactor,
};
use crate::audit::AuditRecorder;
use crate::key::ActorRef;
use crate::random::SecureRandom;
use crate::time::Clock;

pub use self::algorithm::{TotpAlgorithm, TotpDigits};
pub use self::builder::{DangerousTotpBuilder, TotpBuildError, TotpBuilder};
pub use self::enrolment::Enrolment;
pub use self::enrolments::{Enrolments, ResetBy};
pub use self::recovery::RecoveryCodes;

/// How often a lost race is run again. Each means that somebody else's write succeeded, and after three wrong codes or
/// one good one nobody writes any more.
const ATTEMPTS: usize = 16;

/// One-time codes of an authenticator app. Clones share everything.
///
/// Give it to [`KeyServiceBuilder::second_factor`](crate::service::KeyServiceBuilder::second_factor), and enrol people
/// through [`TotpFactor::enrolments`].
///
/// ```
/// use keyward::hash::PepperRing;
/// use keyward::second_factor::{MemoryFactorStore, TotpFactor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bytes = *b"pT3n9-thirty-two-random-bytes-Kd";
/// let ring = PepperRing::builder().pepper(1, bytes).build()?;
/// let totp = TotpFactor::builder(MemoryFactorStore::new(), "Example").sealed_with(ring).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TotpFactor {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn FactorStore>,
    issuer: Label,
    seal: Seal,
    algorithm: TotpAlgorithm,
    digits: TotpDigits,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
}

/// A code that was accepted and spent, and what is kept since then.
struct Spent {
    method: FactorMethod,
    state: State,
    revision: FactorRevision,
}

impl TotpFactor {
    /// The life of a code: what authenticator apps take for granted.
    pub const PERIOD: Duration = Duration::from_secs(30);

    /// How long an enrolment waits for its first code.
    pub const ENROLMENT_LIFE: Duration = Duration::from_secs(15 * 60);

    /// How many recovery codes there are.
    pub const RECOVERY_CODES: usize = 10;

    /// How many wrong codes in a row lock the factor: what NIST SP 800-63B allows at most.
    pub const MOST_FAILURES: u32 = wait::MOST_FAILURES;

    /// Returns the settings of a factor that is kept in `store` and shown in apps under the name `issuer`.
    pub fn builder(store: impl FactorStore, issuer: impl Into<String>) -> TotpBuilder {
        TotpBuilder::new(Arc::new(store), issuer.into())
    }

    /// Returns the way to enrol, renew and reset factors. `recorder` is where that is written down:
    /// [`KeyService::recorder`](crate::service::KeyService::recorder).
    #[must_use]
    pub const fn enrolments<'a>(&'a self, recorder: &'a AuditRecorder) -> Enrolments<'a> {
        Enrolments::new(self, recorder)
    }

    /// Accepts a code of a factor in that phase and spends it.
    async fn spend(
        &self,
        actor: &ActorRef,
        code: &FactorCode,
        phase: Phase,
    ) -> Result<Spent, FactorError> {
        let presented = Presented::of(code)?;
        for _ in 0..ATTEMPTS {
            let stored = self.inner.store.find(actor).await?;
            let stored = stored.ok_or(phase.absent())?;
            let state = self.inner.seal.open(actor, stored.state())?;
            let now = self.inner.clock.now();
            // SECURITY: the answer is given only after the write it rests on. Whoever lost the race is judged anew, by
            // the step and the failures that the winner left.
            let (outcome, next) = match state.judge(actor, &presented, phase, now) {
                Verdict::Refused(error) => return Err(error),
                Verdict::Accepted(next, method) => (Ok(method), next),
                Verdict::Wrong(next) => (Err(FactorError::WrongCode), next),
            };
            match self.write(actor, Some(stored.revision()), &next).await {
                Ok(revision) => {
                    return outcome.map(|method| Spent {
                        method,
                        state: next,
                        revision,
                    });
                }
                Err(FactorError::Contended) => {}
                Err(error) => return Err(error),
            }
        }
        Err(FactorError::Contended)
    }

    async fn write(
        &self,
        actor: &ActorRef,
        expected: Option<FactorRevision>,
        state: &State,
    ) -> Result<FactorRevision, FactorError> {
        let sealed = self.inner.seal.close(actor, state, &*self.inner.random)?;
        let mut random = [0; 8];
        self.inner.random.fill(&mut random)?;
        let revision = FactorRevision::from_random(random);
        let next = StoredFactor::new(revision, sealed);
        self.inner.store.write(actor, expected, &next).await?;
        Ok(revision)
    }
}

#[async_trait]
impl SecondFactor for TotpFactor {
    async fn verify(&self, attempt: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError> {
        let spent = self.spend(attempt.actor(), attempt.code(), Phase::Active);
        Ok(spent.await?.method)
    }
}

impl fmt::Debug for TotpFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpFactor")
            .field("store", &self.inner.store)
            .field("issuer", &self.inner.issuer)
            .field("seal", &self.inner.seal)
            .field("algorithm", &self.inner.algorithm)
            .field("digits", &self.inner.digits)
            .finish_non_exhaustive()
    }
}
