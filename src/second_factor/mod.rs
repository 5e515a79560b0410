//! A second factor: what those who hand out powerful keys prove besides being signed in.
//!
//! The service asks a [`SecondFactor`] when one of its [issuing rules](crate::service::IssuePolicy) demands it, for one
//! actor and one operation. Ours are the one-time codes of an authenticator app, with recovery codes for the day the
//! phone is gone (`TotpFactor`, feature `totp`); what is kept of them lies in a [`FactorStore`].
//!
//! `docs/second-factor.md` has enrolment, rules and reasons.

mod attempt;
mod code;
mod error;
mod store;
#[cfg(feature = "totp")]
mod totp;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use attempt::{FactorAttempt, FactorMethod, FactorOperation};
pub use code::FactorCode;
pub use error::FactorError;
#[cfg(feature = "postgres")]
pub use store::PostgresFactorStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteFactorStore;
pub use store::{FactorRevision, FactorStore, FactorStoreError, MemoryFactorStore, StoredFactor};
#[cfg(feature = "totp")]
pub use totp::{
    DangerousTotpBuilder, Enrolment, Enrolments, RecoveryCodes, ResetBy, TotpAlgorithm,
    TotpBuildError, TotpBuilder, TotpDigits, TotpFactor,
};

/// Decides whether a code proves an actor's second factor.
///
/// # Contract
///
/// * **Once.** A code that was accepted is never accepted again, whichever process it is brought to.
/// * **Throttled.** Guessing is slowed down, per actor. The service asks only after the application has told it who
///   acts, so a stranger who lacks the first factor gets no attempt and can lock nobody out.
/// * **Not a verdict when out of order.** An outage is an error that is no [refusal](FactorError::is_refusal).
/// * **Bound.** The attempt says for whom and for what. A factor that can show that to the person who approves, should.
#[async_trait]
pub trait SecondFactor: fmt::Debug + Send + Sync + 'static {
    /// Accepts the attempt's code and spends it, and returns what kind of proof it was.
    ///
    /// # Errors
    ///
    /// [`FactorError`]. Those of which [`FactorError::is_refusal`] is true say something about the code; all others
    /// are outages.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have spent the code. It never leaves one accepted that is still unspent.
    async fn verify(&self, attempt: &FactorAttempt<'_>) -> Result<FactorMethod, FactorError>;
}

const _: Option<&dyn SecondFactor> = None;

macro_rules! forward {
    ($($wrapper:ident),*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<F: SecondFactor + ?Sized> SecondFactor for $wrapper<F> {
            async fn verify(
                &self,
                attempt: &FactorAttempt<'_>,
            ) -> Result<FactorMethod, FactorError> {
                (**self).verify(attempt).await
            }
        }
    )*};
}

forward!(Arc, Box);
