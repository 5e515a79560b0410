use std::time::Duration;

use super::IssueRule;
use crate::BoxError;
use crate::access::{CeilingError, Permission, PublishableError};
use crate::audit::{AuditError, PurgeError};
use crate::key::KeyId;
use crate::second_factor::FactorError;
use crate::store::{AuditedError, StoreError};

/// A life-cycle operation did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// There is no such key, or the actor may not know of it.
    #[error("no key has this id")]
    NotFound,
    /// The acting key was revoked, disabled or rotated away, has expired, or has become too old, since it was verified.
    #[error("the acting key has ended")]
    ActorEnded,
    /// The acting key is publishable: anybody could be it.
    #[error("a publishable key manages no keys")]
    PublishableActor,
    /// The acting key lacks the managing permission.
    #[error("the acting key lacks `{needed}`")]
    NotPermitted {
        /// The permission it would need.
        needed: Permission,
    },
    /// The grant or tenant asked for is more than the acting key has.
    #[error("the key would be able to do more than the key that makes it")]
    BeyondActor(#[source] CeilingError),
    /// Something asked for reaches further than the acting key's own.
    #[error("the {what} would reach beyond the acting key's own")]
    ExceedsActor {
        /// What reaches too far.
        what: &'static str,
    },
    /// The key is publishable and would hold what must not be published; it says what.
    #[error(transparent)]
    NotPublishable(#[from] PublishableError),
    /// One of the [issuing rules](super::IssuePolicy) is not kept.
    #[error("{rule}")]
    Rule {
        /// Which.
        rule: IssueRule,
    },
    /// The actor's second factor was not proved: see [`FactorError::code`] for how.
    #[error("the second factor was not proved")]
    SecondFactor(#[source] FactorError),
    /// An input breaks a bound or names something unknown.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The key's state does not allow the operation.
    #[error("the key is {state}")]
    WrongState {
        /// The state it is in.
        state: crate::key::KeyStatus,
    },
    /// The owner has as many active keys as allowed.
    #[error("the owner has {limit} active keys already")]
    OwnerLimit {
        /// The limit.
        limit: u32,
    },
    /// The record says something else than what the service wrote, or was put in its place: see `docs/row-binding.md`. Revoke
    /// the key.
    #[error("the record was changed behind the service's back")]
    RecordTampered {
        /// Whose: the key that was to be changed, or the acting one.
        key: KeyId,
    },
    /// The record is not bound, and the service requires that.
    #[error("the record is not bound")]
    RecordUnbound {
        /// Whose: the key that was to be changed, or the acting one.
        key: KeyId,
    },
    /// The service does not bind rows.
    #[error("the service does not bind rows")]
    NoRowBinding,
    /// Others kept changing the record. Nothing was changed.
    #[error("the record kept being changed by others")]
    Contended,
    /// The audit trail could not be written, so nothing was changed.
    #[error("the audit trail could not be written; nothing was changed")]
    Audit(#[source] AuditError),
    /// The service was not told where its audit trail can be read.
    #[error("the service has no audit log to read")]
    NoAuditLog,
    /// The audit trail could not be read.
    #[error("the audit trail could not be read")]
    AuditLog(#[source] AuditError),
    /// Whoever was to take the exported events did not.
    #[error("the audit trail could not be exported to its end")]
    AuditExport(#[source] BoxError),
    /// The audit trail could not be purged to its end.
    #[error("the audit trail could not be purged")]
    AuditPurge(#[source] PurgeError),
    /// The hash pool is full. Nothing was changed.
    #[error("too many slow hashes are waiting")]
    Overloaded {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The store, the generator or the hasher is out of order. Whether something was changed is not known.
    #[error("the operation could not be completed")]
    Unavailable(#[source] BoxError),
}

impl LifecycleError {
    pub(super) fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }

    pub(super) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            problem: problem.into(),
        }
    }

    /// Returns whether the actor asked for something that is not its to ask for.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::ActorEnded
                | Self::PublishableActor
                | Self::NotPermitted { .. }
                | Self::BeyondActor(_)
                | Self::ExceedsActor { .. }
                | Self::NotPublishable(_)
                | Self::Rule { .. }
        ) || self.broken_record().is_some()
    }

    /// Returns the key whose record is not what the service wrote.
    pub(super) const fn broken_record(&self) -> Option<KeyId> {
        match self {
            Self::RecordTampered { key } | Self::RecordUnbound { key } => Some(*key),
            _ => None,
        }
    }

    /// Returns the error as one lower-case word, stable, for logs and the audit trail.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::ActorEnded => "actor_ended",
            Self::PublishableActor => "publishable_actor",
            Self::NotPermitted { .. } => "not_permitted",
            Self::BeyondActor(_) | Self::ExceedsActor { .. } => "beyond_actor",
            Self::NotPublishable(_) => "not_publishable",
            Self::Rule { rule } => rule.code(),
            Self::SecondFactor(error) => error.code(),
            Self::Invalid { .. } => "invalid",
            Self::WrongState { .. } => "wrong_state",
            Self::OwnerLimit { .. } => "owner_limit",
            Self::RecordTampered { .. } => "record_tampered",
            Self::RecordUnbound { .. } => "record_unbound",
            Self::NoRowBinding => "no_row_binding",
            Self::Contended => "contended",
            Self::Audit(_) => "audit_unavailable",
            Self::NoAuditLog => "no_audit_log",
            Self::AuditLog(_) => "audit_unreadable",
            Self::AuditExport(_) => "export_failed",
            Self::AuditPurge(error) => error.code(),
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<StoreError> for LifecycleError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Conflict => Self::Contended,
            StoreError::OwnerLimit { limit } => Self::OwnerLimit { limit },
            other => Self::unavailable(other),
        }
    }
}

impl From<AuditedError> for LifecycleError {
    fn from(error: AuditedError) -> Self {
        match error {
            AuditedError::Store(error) => error.into(),
            AuditedError::Audit(error) => Self::Audit(error),
        }
    }
}

impl From<IssueRule> for LifecycleError {
    fn from(rule: IssueRule) -> Self {
        Self::Rule { rule }
    }
}

impl From<FactorError> for LifecycleError {
    fn from(error: FactorError) -> Self {
        match error {
            refusal if refusal.is_refusal() => Self::SecondFactor(refusal),
            FactorError::Contended => Self::Contended,
            outage => Self::unavailable(outage),
        }
    }
}
