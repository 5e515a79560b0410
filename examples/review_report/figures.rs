//! The numbers of the trail.

use std::collections::BTreeMap;
use std::path::Path;

use keyward::BoxError;
use keyward::audit::{AuditEvent, AuditKind, trail_files, verify_chain};

use crate::text;

/// What the trail says of a time.
#[derive(Default)]
pub(crate) struct Figures {
    /// By day, `2026-10-01`.
    pub(crate) days: BTreeMap<String, Count>,
    /// By key id.
    pub(crate) keys: BTreeMap<String, Count>,
    pub(crate) all: Count,
    /// How many lines stand in the trail, each of which fits the one before it.
    pub(crate) events: u64,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) requests: u32,
    /// Answered with 4xx or 5xx.
    pub(crate) errors: u32,
    pub(crate) limit_hits: u32,
}

impl Count {
    /// In tenths of a percent.
    pub(crate) fn error_rate(self) -> u32 {
        (self.errors * 1000).checked_div(self.requests).unwrap_or(0)
    }

    fn add(&mut self, event: &AuditEvent) {
        match event.kind() {
            AuditKind::RequestCompleted => {
                self.requests += 1;
                self.errors += u32::from(event.status().is_some_and(|status| status >= 400));
            }
            AuditKind::LimitHit => self.limit_hits += 1,
            _ => {}
        }
    }
}

impl Figures {
    /// Reads a trail that nobody has tampered with.
    pub(crate) fn read(trail: &Path) -> Result<Self, BoxError> {
        let files = trail_files(trail)?;
        let mut figures = Self {
            events: verify_chain(&files)?.lines,
            ..Self::default()
        };
        for file in files {
            for line in std::fs::read_to_string(file)?.lines() {
                figures.add(&serde_json::from_str(line)?);
            }
        }
        Ok(figures)
    }

    fn add(&mut self, event: &AuditEvent) {
        if !matches!(
            event.kind(),
            AuditKind::RequestCompleted | AuditKind::LimitHit
        ) {
            return;
        }
        self.all.add(event);
        let day = text::day(event.time());
        self.days.entry(day).or_default().add(event);
        if let Some(key) = event.key_id() {
            self.keys.entry(key.to_owned()).or_default().add(event);
        }
    }
}
