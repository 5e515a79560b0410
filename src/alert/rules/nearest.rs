use std::collections::HashMap;

use crate::audit::AuditEvent;

/// What holds for a key: what is said of the key itself before what is said of its owner, that before its tenant, and that
/// before what is said of all.
#[derive(Debug)]
pub(super) struct Nearest<T> {
    pub(super) all: Option<T>,
    /// `None` takes the key out.
    pub(super) keys: HashMap<String, Option<T>>,
    pub(super) owners: HashMap<String, T>,
    pub(super) tenants: HashMap<String, T>,
}

impl<T> Nearest<T> {
    pub(super) fn new() -> Self {
        Self {
            all: None,
            keys: HashMap::new(),
            owners: HashMap::new(),
            tenants: HashMap::new(),
        }
    }

    /// Whether nothing is said of anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_none()
            && self.keys.values().all(Option::is_none)
            && self.owners.is_empty()
            && self.tenants.is_empty()
    }

    pub(super) fn of(&self, event: &AuditEvent) -> Option<&T> {
        if let Some(own) = event.key_id().and_then(|id| self.keys.get(id)) {
            return own.as_ref();
        }
        let owner = event.owner().and_then(|it| self.owners.get(it));
        let tenant = || event.tenant().and_then(|it| self.tenants.get(it));
        owner.or_else(tenant).or(self.all.as_ref())
    }
}
