use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::alert::book::Book;
use crate::alert::{Alert, AlertKind, Finding};
use crate::audit::{AuditEvent, Detail, Text};
use crate::time::Timestamp;

/// How long an alert keeps others of its kind and subject back.
#[derive(Clone, Debug)]
pub(super) struct Periods {
    pub(super) usual: Duration,
    pub(super) of_kind: HashMap<AlertKind, Duration>,
}

/// Which alerts there were, so that there is one a period.
#[derive(Debug)]
pub(super) struct Silence {
    periods: Periods,
    alerts: Book<Last>,
}

/// The last alert of a kind and subject.
#[derive(Debug, Default)]
struct Last {
    time: Option<Timestamp>,
    suppressed: u64,
}

impl Periods {
    fn of(&self, kind: AlertKind) -> Duration {
        self.of_kind.get(&kind).copied().unwrap_or(self.usual)
    }
}

impl Silence {
    pub(super) fn new(periods: Periods, capacity: NonZeroUsize) -> Self {
        Self {
            periods,
            alerts: Book::new(capacity),
        }
    }

    /// Returns the alert, unless there was one in the same period.
    pub(super) fn judge(&mut self, finding: Finding) -> Option<Alert> {
        let period = self.periods.of(finding.kind);
        let last = self
            .alerts
            .open(&name(finding.kind.code(), finding.subject()));
        if last.keeps_back(finding.facts.time, period) {
            last.suppressed = last.suppressed.saturating_add(1);
            return None;
        }
        last.time = Some(finding.facts.time);
        let suppressed = std::mem::take(&mut last.suppressed);
        Some(Alert::new(finding, period, suppressed))
    }

    /// Takes note of an alert that another engine, or this one in another life, wrote to the trail.
    pub(super) fn note(&mut self, raised: &AuditEvent) {
        let subject = raised.detail("subject");
        if let (Some(kind), Some(Detail::Text(subject))) = (raised.reason(), subject) {
            self.alerts.open(&name(kind, subject.as_str())).time = Some(raised.time());
        }
    }
}

impl Last {
    /// In both directions: events may be seconds out of order; and a clock that was far ahead and is set right does not
    /// silence a key until it gets there again.
    fn keeps_back(&self, time: Timestamp, period: Duration) -> bool {
        self.time.is_some_and(|last| {
            time.saturating_since(last).max(last.saturating_since(time)) < period
        })
    }
}

fn name(kind: &str, subject: &str) -> Text {
    format!("{kind} {subject}").into()
}
