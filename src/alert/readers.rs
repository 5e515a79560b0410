use crate::audit::{AuditEvent, Text};

/// Which keys may read of it in the trail, besides those that see everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Readers {
    /// Keys of this tenant.
    Tenant(Text),
    /// Keys without a tenant.
    Unbound,
    /// None.
    Platform,
}

impl Readers {
    /// Returns those of the event.
    pub(super) fn of(event: &AuditEvent) -> Self {
        match event.tenant_text() {
            Some(tenant) => Self::Tenant(tenant.clone()),
            None if event.is_of_platform() => Self::Platform,
            None => Self::Unbound,
        }
    }

    /// Returns those who may read of both.
    pub(super) fn and(self, other: &Self) -> Self {
        if self == *other { self } else { Self::Platform }
    }

    /// Returns the subject for an owner: owners of one name in two tenants are two. The owner comes last, as its name may hold
    /// anything.
    pub(super) fn owner_subject(&self, owner: &str) -> Text {
        match self {
            Self::Tenant(tenant) => format!("tenant:{tenant} owner:{owner}").into(),
            Self::Unbound => format!("owner:{owner}").into(),
            Self::Platform => format!("platform owner:{owner}").into(),
        }
    }

    pub(super) const fn tenant(&self) -> Option<&Text> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Unbound | Self::Platform => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditKind, PLATFORM};
    use crate::time::Timestamp;

    fn event() -> AuditEvent {
        AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH)
    }

    #[test]
    fn are_those_who_may_read_the_event() {
        let marked = event().with_detail(PLATFORM.0, PLATFORM.1);
        assert_eq!(Readers::of(&event()), Readers::Unbound);
        assert_eq!(Readers::of(&marked), Readers::Platform);
        let north = event().with_tenant("north");
        assert_eq!(Readers::of(&north), Readers::Tenant("north".into()));
    }

    #[test]
    fn of_different_events_are_none() {
        let tenant = |name: &str| Readers::Tenant(name.into());
        assert_eq!(tenant("north").and(&tenant("north")), tenant("north"));
        assert_eq!(tenant("north").and(&tenant("south")), Readers::Platform);
        assert_eq!(Readers::Unbound.and(&tenant("north")), Readers::Platform);
        assert_eq!(Readers::Unbound.and(&Readers::Unbound), Readers::Unbound);
    }
}
