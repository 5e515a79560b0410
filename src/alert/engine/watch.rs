use std::panic::{AssertUnwindSafe, catch_unwind};

use super::counters::{Counts, count};
use super::once::Once;
use super::silence::Silence;
use crate::alert::{Alert, AlertRule, Finding};
use crate::audit::{AuditEvent, AuditKind};

/// The rules, and what was raised.
#[derive(Debug)]
pub(super) struct Watch {
    rules: Vec<Box<dyn AlertRule>>,
    silence: Silence,
    once: Once,
}

impl Watch {
    pub(super) fn new(rules: Vec<Box<dyn AlertRule>>, silence: Silence) -> Self {
        Self {
            rules,
            silence,
            once: Once::default(),
        }
    }

    /// Returns the alerts that the event gives reason for.
    pub(super) fn look(&mut self, event: &AuditEvent, counts: &Counts) -> Vec<Alert> {
        let found = self.find(event, counts);
        let mut raised = Vec::new();
        for finding in found {
            if let Some(alert) = self.silence.judge(finding) {
                count(&counts.raised);
                raised.push(alert);
            } else {
                count(&counts.suppressed);
            }
        }
        raised
    }

    /// Looks at an event of the past.
    pub(super) fn replay(&mut self, event: &AuditEvent, counts: &Counts) {
        if event.kind() == AuditKind::AlertRaised {
            self.silence.note(event);
        }
        for finding in self.find(event, counts) {
            self.silence.judge(finding);
        }
    }

    fn find(&mut self, event: &AuditEvent, counts: &Counts) -> Vec<Finding> {
        let mut found = Vec::new();
        // An alert about alerts would feed itself.
        if event.kind() == AuditKind::AlertRaised {
            return found;
        }
        if !self.once.is_new(event.id()) {
            count(&counts.repeated_events);
            return found;
        }
        for rule in &mut self.rules {
            let look = || rule.look(event, &mut found);
            if catch_unwind(AssertUnwindSafe(look)).is_err() {
                count(&counts.rule_panics);
            }
        }
        found
    }
}
