use crate::audit::event::escape;
use crate::audit::{AuditError, AuditEvent, Outcome};

/// An event as the values of a row. The columns beside `event` repeat what is looked for.
#[derive(Debug)]
pub(crate) struct Row {
    pub(super) id: Option<String>,
    pub(super) sequence: Option<i64>,
    pub(super) time: i64,
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
    pub(super) actor: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) tenant: Option<String>,
    /// The event's line, as it would stand in a file.
    pub(super) event: String,
}

impl Row {
    pub(super) fn of(event: &AuditEvent) -> Result<Self, AuditError> {
        Ok(Self {
            id: event.id().map(|id| id.to_string()),
            sequence: event.sequence().map(u64::cast_signed),
            time: event.time().as_micros(),
            kind: event.kind().code(),
            outcome: outcome(event.outcome()),
            actor: event.actor().map(|actor| searchable(&actor.to_string())),
            key_id: event.key_id().map(searchable),
            owner: event.owner().map(searchable),
            tenant: event.tenant().map(searchable),
            event: event.to_line()?,
        })
    }
}

/// A text as it stands in its line: no engine refuses it, and it cannot disturb whoever prints the table.
pub(super) fn searchable(text: &str) -> String {
    escape(text).into_owned()
}

/// The outcome's name.
pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
    }
}
