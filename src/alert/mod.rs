//! Alerts: rules over the audit trail, and where their findings go.
//!
//! [`Alerts`] looks on while the trail is written and shows every event to its [rules](AlertRule). What a rule finds becomes
//! one [`Alert`] per subject, kind and period; it goes into the trail as an `alert_raised` event, and to every
//! [`AlertSink`] on a task of its own, so that no sink ever touches a request.
//!
//! What each rule sees, what it does not, and what sets it off falsely is described in `docs/alerts.md`.

mod book;
mod country;
mod engine;
mod error;
mod finding;
#[cfg(feature = "geoip")]
mod geoip;
mod kind;
mod memory;
mod raised;
mod readers;
mod rule;
pub mod rules;
mod sample;
mod severity;
mod sink;
mod times;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "webhook")]
mod webhook;
mod wire;

use std::num::NonZeroUsize;

pub use self::country::{Country, CountryResolver, InvalidCountry};
pub use self::engine::{AlertCounters, Alerts, AlertsBuilder, SinkCounters};
pub use self::error::{AlertError, InvalidRule};
pub use self::finding::Finding;
#[cfg(feature = "geoip")]
pub use self::geoip::{GeoipError, MaxMindCountries};
pub use self::kind::AlertKind;
pub use self::memory::MemoryAlertSink;
pub use self::raised::Alert;
pub use self::rule::AlertRule;
pub use self::severity::Severity;
pub use self::sink::AlertSink;
#[cfg(feature = "tracing")]
pub use self::tracing::{TARGET, TracingAlertSink};
#[cfg(feature = "webhook")]
pub use self::webhook::{
    DangerousWebhookSinkBuilder, WebhookError, WebhookSecret, WebhookSink, WebhookSinkBuilder,
    WebhookStats,
};

/// Of how many keys a rule remembers something, unless told otherwise.
const MAX_SUBJECTS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();
