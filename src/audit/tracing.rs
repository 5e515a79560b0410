use std::borrow::Cow;

use async_trait::async_trait;
use tracing::field::display;

use super::event::escape;
use super::{AuditError, AuditEvent, AuditSink, Detail, Outcome};

/// The target of every event, for filters: `keyward::audit=info`.
pub const TARGET: &str = "keyward::audit";

/// Hands events to the application's `tracing` subscriber.
///
/// Target is [`TARGET`], the level `INFO` for a success and `WARN` for a failure, the message `audit`. The fields are
/// those of the JSON form (`docs/audit.md`); details are one field, `details`, holding JSON. Texts are escaped as in
/// JSON, so that no value can start a line of its own, whatever the subscriber does.
///
/// An event is as safe as the subscriber keeps it, which may be not at all: put this sink on best effort in a
/// [`FanOut`](super::FanOut), beside one that keeps.
///
/// ```
/// use keyward::audit::{FanOut, MemorySink, TracingSink};
///
/// let sink = FanOut::new(MemorySink::unbounded()).best_effort("tracing", TracingSink::new());
/// # let _ = sink;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingSink;

impl TracingSink {
    /// Returns the sink.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// `tracing` wants the level at compile time.
macro_rules! emit {
    ($level:ident, $event:ident) => {
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            sequence = $event.sequence(),
            id = $event.id().map(display),
            time = %$event.time(),
            kind = $event.kind().code(),
            outcome = outcome($event.outcome()),
            reason = text($event.reason()),
            actor = text($event.actor().map(|actor| actor.as_str())),
            key_id = text($event.key_id()),
            owner = text($event.owner()),
            tenant = text($event.tenant()),
            role = text($event.role()),
            client_ip = $event.client_ip().map(display),
            peer_ip = $event.peer_ip().map(display),
            user_agent = text($event.user_agent()),
            request_id = text($event.request_id()),
            method = text($event.method()),
            route = text($event.route()),
            status = $event.status(),
            duration_us = $event.duration().and_then(|span| u64::try_from(span.as_micros()).ok()),
            details = details($event),
            "audit"
        )
    };
}

fn emit(event: &AuditEvent) {
    match event.outcome() {
        Outcome::Success => emit!(INFO, event),
        Outcome::Failure => emit!(WARN, event),
    }
}

fn text(value: Option<&str>) -> Option<tracing::field::DisplayValue<Cow<'_, str>>> {
    value.map(|text| display(escape(text)))
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
    }
}

/// The details as one JSON object.
fn details(event: &AuditEvent) -> Option<String> {
    let pairs: Vec<String> = event
        .details()
        .map(|(name, value)| pair(name, value))
        .collect();
    (!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(",")))
}

fn pair(name: &str, value: &Detail) -> String {
    match value {
        Detail::Number(number) => format!("\"{}\":{number}", escape(name)),
        Detail::Text(text) => format!("\"{}\":\"{}\"", escape(name), escape(text.as_str())),
    }
}

#[async_trait]
impl AuditSink for TracingSink {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        events.iter().for_each(emit);
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }
}
