use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::audit::{AuditEvent, AuditObserver};

/// Those who look on.
#[derive(Debug)]
pub(super) struct Observers(Vec<Arc<dyn AuditObserver>>);

/// What came of showing some events.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) follow_up: Vec<AuditEvent>,
    pub(super) panics: u64,
}

impl Observers {
    pub(super) const fn new(observers: Vec<Arc<dyn AuditObserver>>) -> Self {
        Self(observers)
    }

    /// Shows each event to everybody. What an observer asked for before it panicked stands.
    pub(super) fn show<'e>(&self, events: impl Iterator<Item = &'e AuditEvent>) -> Shown {
        let mut shown = Shown::default();
        if self.0.is_empty() {
            return shown;
        }
        for event in events {
            for observer in &self.0 {
                let look = || observer.observe(event, &mut shown.follow_up);
                if catch_unwind(AssertUnwindSafe(look)).is_err() {
                    shown.panics = shown.panics.saturating_add(1);
                }
            }
        }
        shown
    }
}
