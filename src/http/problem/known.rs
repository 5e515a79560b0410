//! The problems of this crate's own.

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::Problem;
use crate::access::Requirement;
use crate::rate_limit::{Outcome, QuotaState, RateDecision};
use crate::second_factor::FactorError;
use crate::service::{Face, IssueRule, LifecycleError, LimitError, VerifyError};
use crate::time::Timestamp;

/// Problem types of draft-ietf-httpapi-ratelimit-headers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const ABNORMAL_USAGE: &str =
    "https://iana.org/assignments/http-problem-types#abnormal-usage-detected";
const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// An outage seldom ends sooner, and clients that come back every second prolong it.
const OUTAGE_WAIT: Duration = Duration::from_secs(5);

impl Problem {
    /// 400: the request itself is at fault, and how.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request").with_detail(detail)
    }

    /// 400: the request says something of a client certificate that is not to be believed.
    pub fn client_cert_refused() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "client_cert_refused")
            .with_detail("the field Client-Cert was not accepted")
    }

    /// 401: there is no valid key. The same for every reason, so that nobody learns which.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated")
            .with_detail("a valid API key is required")
            .with_header(
                WWW_AUTHENTICATE,
                HeaderValue::from_static(super::super::CHALLENGE),
            )
    }

    /// 403: the key may not do this. Says what was required, never what the key has.
    pub fn forbidden(requirement: &Requirement) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_denied")
            .with_detail("the key may not do this here")
            .with_member("required", requirement.to_string())
    }

    /// 403: the key is valid, and bound to other addresses.
    pub fn address_refused() -> Self {
        Self::new(StatusCode::FORBIDDEN, "address_refused")
            .with_detail("the key may not be used from this address")
    }

    /// 403: the key is valid, and its secret has been too old since that moment (`overdue_since`, RFC 3339). Trying again does not
    /// help: the secret has to be changed.
    pub fn rotation_overdue(since: Timestamp) -> Self {
        Self::new(StatusCode::FORBIDDEN, "rotation_overdue")
            .with_detail("the key's secret is too old: use the one that replaced it, or have the key rotated")
            .with_member("overdue_since", since.to_string())
    }

    /// 429: over a limit, with the names of the limits and the time to wait (`Retry-After` in whole seconds,
    /// `retry_after_ms` exactly). A request that costs more than a limit ever holds gets no time, as no wait helps.
    pub fn rate_limited(decision: &RateDecision) -> Self {
        let violated: Vec<_> = decision.denied().map(QuotaState::name).collect();
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            .with_type(
                QUOTA_EXCEEDED,
                "Request cannot be satisfied as assigned quota has been exceeded",
            )
            .with_member("violated-policies", violated);
        match decision.outcome() {
            Outcome::Denied { wait } => {
                let millis = wait.as_micros().div_ceil(1000);
                problem
                    .with_retry_after(wait)
                    .with_member("retry_after_ms", u64::try_from(millis).unwrap_or(u64::MAX))
            }
            Outcome::Never => {
                problem.with_detail("the request costs more than the limit ever allows")
            }
            Outcome::Allowed => problem,
        }
    }

    /// 429: too many failed attempts from this address.
    pub fn too_many_attempts(wait: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts")
            .with_type(
                ABNORMAL_USAGE,
                "Request not satisfied due to detection of abnormal request pattern",
            )
            .with_detail("too many failed attempts from this address")
            .with_retry_after(wait)
    }

    /// 503: nobody can say now whether the request is allowed. It says nothing about the key.
    pub fn unavailable(wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            .with_type(
                REDUCED_CAPACITY,
                "Request cannot be satisfied due to temporary server capacity constraints",
            )
            .with_detail("the request could not be checked; the key may well be valid")
            .with_retry_after(wait)
    }

    /// 503 after an error that names no time.
    pub(in crate::http) fn outage() -> Self {
        Self::unavailable(OUTAGE_WAIT)
    }

    /// 500: the application reads a verified key on a route that no layer protects, or forgot to say what it requires.
    pub(in crate::http) fn unprotected() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "route_not_protected")
            .with_detail("the route is not set up to check keys")
    }

    /// 403: the request came over plain HTTP.
    pub(in crate::http) fn https_required() -> Self {
        Self::new(StatusCode::FORBIDDEN, "https_required")
            .with_detail("use https; a key sent over plain http must be considered known to others")
    }
}

impl From<&VerifyError> for Problem {
    fn from(error: &VerifyError) -> Self {
        match error {
            VerifyError::Rejected(rejection) => match rejection.face() {
                Face::Unauthenticated => Self::unauthenticated(),
                Face::Forbidden => Self::address_refused(),
                Face::RotationOverdue(since) => Self::rotation_overdue(since),
                Face::TooManyAttempts(wait) => Self::too_many_attempts(wait),
            },
            VerifyError::Overloaded { retry_after } => Self::unavailable(*retry_after),
            VerifyError::Unavailable(_) => Self::outage(),
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        Self::from(&error)
    }
}

impl From<LimitError> for Problem {
    fn from(_: LimitError) -> Self {
        Self::outage()
    }
}

/// For routes that issue, change and revoke keys: an error of the service as a response, so that `?` works in a handler.
///
/// | error | status |
/// |---|---|
/// | `ActorEnded` | 401, as for every key that is not accepted |
/// | `NotFound` | 404 |
/// | `NotPermitted`, `PublishableActor`, `BeyondActor`, `ExceedsActor` | 403 |
/// | `Invalid` | 422, with `field` |
/// | `NotPublishable` | 422 |
/// | `Rule` | 403 where a second factor is missing, 422 where something else is |
/// | `SecondFactor` | 403; 429 while wrong codes are slowed down |
/// | `WrongState`, `OwnerLimit`, `RecordTampered`, `RecordUnbound`, `Contended` | 409 |
/// | `Audit`, `AuditLog`, `AuditExport`, `AuditPurge`, `Overloaded`, `Unavailable` | 503 |
/// | `NoAuditLog`, `NoRowBinding` | 501 |
impl From<&LifecycleError> for Problem {
    fn from(error: &LifecycleError) -> Self {
        use LifecycleError as E;
        let plain = |status| Self::new(status, error.code()).with_detail(error.to_string());
        match error {
            E::ActorEnded => Self::unauthenticated(),
            E::NotFound => plain(StatusCode::NOT_FOUND),
            E::NotPermitted { .. }
            | E::PublishableActor
            | E::BeyondActor(_)
            | E::ExceedsActor { .. } => plain(StatusCode::FORBIDDEN),
            E::NotPublishable(_) => plain(StatusCode::UNPROCESSABLE_ENTITY),
            E::Invalid { field, .. } => {
                plain(StatusCode::UNPROCESSABLE_ENTITY).with_member("field", *field)
            }
            E::Rule { rule } => plain(match rule {
                IssueRule::SecondFactor | IssueRule::NoSecondFactor => StatusCode::FORBIDDEN,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            }),
            E::SecondFactor(FactorError::Throttled { retry_after }) => {
                plain(StatusCode::TOO_MANY_REQUESTS).with_retry_after(*retry_after)
            }
            E::SecondFactor(reason) => plain(StatusCode::FORBIDDEN).with_detail(reason.to_string()),
            E::WrongState { .. }
            | E::OwnerLimit { .. }
            | E::RecordTampered { .. }
            | E::RecordUnbound { .. }
            | E::Contended => plain(StatusCode::CONFLICT),
            E::Overloaded { retry_after } => {
                plain(StatusCode::SERVICE_UNAVAILABLE).with_retry_after(*retry_after)
            }
            E::NoAuditLog | E::NoRowBinding => plain(StatusCode::NOT_IMPLEMENTED),
            E::Audit(_)
            | E::AuditLog(_)
            | E::AuditExport(_)
            | E::AuditPurge(_)
            | E::Unavailable(_) => {
                plain(StatusCode::SERVICE_UNAVAILABLE).with_retry_after(OUTAGE_WAIT)
            }
        }
    }
}

impl From<LifecycleError> for Problem {
    fn from(error: LifecycleError) -> Self {
        Self::from(&error)
    }
}
