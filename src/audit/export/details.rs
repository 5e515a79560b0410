use serde::{Serialize, Serializer};

use crate::audit::{AuditEvent, Detail};

/// The details of an event as an object, all or all but one.
#[derive(Debug)]
pub(super) struct Details<'a> {
    event: &'a AuditEvent,
    without: Option<&'a str>,
}

impl<'a> Details<'a> {
    pub(super) const fn all(event: &'a AuditEvent) -> Self {
        Self {
            event,
            without: None,
        }
    }

    /// Leaves out what has found its place elsewhere.
    pub(super) const fn without(event: &'a AuditEvent, name: Option<&'a str>) -> Self {
        Self {
            event,
            without: name,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Detail)> {
        let left_out = self.without;
        self.event
            .details()
            .filter(move |(name, _)| Some(*name) != left_out)
    }
}

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
