use std::sync::Arc;

use super::{LifecycleError, VerifiedKey};
use crate::access::{AccessPolicy, Permission, Requirement, Target, TenantBinding, TenantReach};
use crate::key::{ActorRef, FactError, KeyRecord};

/// Who performs a life-cycle operation.
///
/// The application says who acts, from what it knows itself: never from the input that also says what to do.
///
/// ```
/// use keyward::service::Actor;
///
/// let admin = Actor::user("ana").unwrap();
/// assert_eq!(admin.reference().as_str(), "user:ana");
/// ```
#[derive(Clone, Debug)]
pub struct Actor {
    reference: ActorRef,
    key: Option<VerifiedKey>,
}

impl Actor {
    /// Returns a part of the system itself, such as a start-up routine. May do everything.
    ///
    /// # Errors
    ///
    /// [`FactError::Actor`] for an empty, over-long or control-bearing name.
    pub fn system(name: &str) -> Result<Self, FactError> {
        Self::named("system", name)
    }

    /// Returns a person whom the application has authenticated and allowed to manage keys. May do everything.
    ///
    /// # Errors
    ///
    /// [`FactError::Actor`] for an empty, over-long or control-bearing name.
    pub fn user(name: &str) -> Result<Self, FactError> {
        Self::named("user", name)
    }

    /// Returns the holder of a key that was verified in this request. May do what the key may manage, and give no
    /// more than it has.
    ///
    /// # Errors
    ///
    /// [`FactError::Actor`] never for keys of this crate; kept for ids of other shapes.
    pub fn key(key: &VerifiedKey) -> Result<Self, FactError> {
        Ok(Self {
            key: Some(key.clone()),
            ..Self::named("key", key.id().as_str())?
        })
    }

    fn named(kind: &str, name: &str) -> Result<Self, FactError> {
        if name.is_empty() {
            return Err(FactError::Actor);
        }
        Ok(Self {
            reference: format!("{kind}:{name}").parse()?,
            key: None,
        })
    }

    /// The service when it acts by itself, on what a caller asked for earlier.
    pub(super) fn itself() -> Result<Self, FactError> {
        Self::named("system", "keyward")
    }

    pub(super) fn audit_reference(&self) -> crate::audit::ActorRef {
        let (kind, id) = self
            .reference
            .as_str()
            .split_once(':')
            .unwrap_or(("system", self.reference.as_str()));
        crate::audit::ActorRef::new(kind, id)
    }

    /// Returns the name under which the actor is written into records and the audit trail.
    #[must_use]
    pub const fn reference(&self) -> &ActorRef {
        &self.reference
    }

    /// Returns the key that acts, if it is one.
    #[must_use]
    pub const fn verified_key(&self) -> Option<&VerifiedKey> {
        self.key.as_ref()
    }

    fn record(&self) -> Option<&Arc<KeyRecord>> {
        self.key.as_ref().map(VerifiedKey::record)
    }

    /// A key needs the managing permission; the tenant rule is applied to each record it touches.
    pub(super) fn may_manage(
        &self,
        policy: &AccessPolicy,
        manage: &Permission,
    ) -> Result<(), LifecycleError> {
        let Some(record) = self.record() else {
            return Ok(());
        };
        let requirement = Requirement::permission(manage.clone());
        if policy
            .evaluate(&record.subject(), &requirement, &Target::Service)
            .is_allowed()
        {
            Ok(())
        } else {
            Err(LifecycleError::NotPermitted {
                needed: manage.clone(),
            })
        }
    }

    /// Whether the actor may know that this record exists.
    ///
    /// SECURITY: a record of another tenant answers exactly like one that does not exist.
    pub(super) fn sees(&self, policy: &AccessPolicy, record: &KeyRecord) -> bool {
        let Some(own) = self.record() else {
            return true;
        };
        match &own.tenant {
            TenantBinding::Tenant(tenant) => record.tenant.tenant() == Some(tenant),
            TenantBinding::Platform => {
                let role = own.grant.role().and_then(|name| policy.role(name));
                role.is_some_and(|role| role.reach() == TenantReach::AllTenants)
            }
            TenantBinding::None => record.tenant == TenantBinding::None,
        }
    }

    /// Whether `child`, as it would be stored, lies inside the actor's own key.
    pub(super) fn encloses(
        &self,
        policy: &AccessPolicy,
        child: &KeyRecord,
    ) -> Result<(), LifecycleError> {
        let Some(own) = self.record() else {
            return Ok(());
        };
        policy
            .within(&own.subject(), &child.subject())
            .map_err(LifecycleError::BeyondActor)?;
        let exceeds = |what| Err(LifecycleError::ExceedsActor { what });
        match (own.expires_at, child.expires_at) {
            (Some(_), None) => return exceeds("expiry"),
            (Some(own), Some(child)) if child > own => return exceeds("expiry"),
            _ => {}
        }
        match (&own.networks, &child.networks) {
            (Some(_), None) => return exceeds("networks"),
            (Some(own), Some(child)) if !own.encloses(child) => return exceeds("networks"),
            _ => {}
        }
        if own.environment != child.environment {
            return exceeds("environment");
        }
        Ok(())
    }
}
