use std::sync::Arc;

use super::{LifecycleError, LimitPlan, VerifiedKey};
use crate::access::{
    AccessPolicy, Permission, Requirement, Role, Subject, Target, TenantBinding, TenantId,
    TenantReach,
};
use crate::key::{ActorRef, Environment, FactError, KeyRecord, Networks, Thumbprint};
use crate::second_factor::FactorCode;
use crate::time::Timestamp;

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
    /// Proves its second factor, should a rule demand it.
    code: Option<FactorCode>,
    /// The key's record as read for the operation.
    fresh: Option<Arc<KeyRecord>>,
}

/// How far a key reaches, or is to reach.
pub(super) struct Reach<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) networks: Option<&'a Networks>,
    pub(super) environment: Environment,
    pub(super) certificate: Option<Thumbprint>,
    /// The key's own tier, and the one that overrides it for a time.
    pub(super) tiers: [Option<&'a str>; 2],
}

impl<'a> Reach<'a> {
    pub(super) fn of(record: &'a KeyRecord) -> Self {
        Self {
            subject: record.subject(),
            expires_at: record.expires_at,
            networks: record.networks.as_ref(),
            environment: record.environment,
            certificate: record.certificate,
            tiers: [
                record.tier.as_deref(),
                record.tier_override.as_ref().map(|it| it.tier.as_str()),
            ],
        }
    }
}

impl Reach<'_> {
    /// Whether wherever this key may be used from, the actor's may be.
    ///
    /// What is written on the actor must be written on the child, since the child's role may get other networks. What the
    /// actor's role says is met by the child's role as well: both are the policy's.
    fn is_inside_networks_of(&self, own: &KeyRecord, policy: &AccessPolicy) -> bool {
        let of_child = policy.networks_of(self.subject.grant());
        let lies_in = |wide: &Networks| self.networks.is_some_and(|child| wide.encloses(child));
        let role_lies_in = |wide: &Networks| of_child.is_some_and(|child| wide.encloses(child));
        own.networks.as_ref().is_none_or(lies_in)
            && policy
                .networks_of(&own.grant)
                .is_none_or(|wide| lies_in(wide) || role_lies_in(wide))
    }
}

/// Which records of its environment an actor may know of.
pub(super) enum View<'a> {
    Everything,
    Tenant(&'a TenantId),
    Unbound,
    Nothing,
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
    /// more than it has. Each operation reads the key's record again and holds it to that: a key that has ended since
    /// it was verified manages nothing.
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

    /// Adds a code of the actor's second factor, for the next operation. It is looked at and spent only if one of the
    /// [issuing rules](super::IssuePolicy) demands it.
    ///
    /// ```
    /// use keyward::second_factor::FactorCode;
    /// use keyward::service::Actor;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ana = Actor::user("ana")?.with_second_factor(FactorCode::new("123456"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_second_factor(mut self, code: FactorCode) -> Self {
        self.code = Some(code);
        self
    }

    fn named(kind: &str, name: &str) -> Result<Self, FactError> {
        if name.is_empty() {
            return Err(FactError::Actor);
        }
        Ok(Self {
            reference: format!("{kind}:{name}").parse()?,
            key: None,
            code: None,
            fresh: None,
        })
    }

    /// The service when it acts by itself, on what a caller asked for earlier.
    pub(super) fn itself() -> Result<Self, FactError> {
        Self::named("system", "keyward")
    }

    pub(super) fn audit_reference(&self) -> crate::audit::ActorRef {
        crate::audit::ActorRef::from(&self.reference)
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

    pub(super) const fn code(&self) -> Option<&FactorCode> {
        self.code.as_ref()
    }

    /// Whether the application itself acts. Names of people and keys begin with another kind.
    pub(super) fn is_system(&self) -> bool {
        self.key.is_none() && self.reference.as_str().starts_with("system:")
    }

    fn record(&self) -> Option<&Arc<KeyRecord>> {
        self.fresh
            .as_ref()
            .or_else(|| self.key.as_ref().map(VerifiedKey::record))
    }

    /// Returns the actor, judged from now on by that record of its key.
    pub(super) fn refreshed(&self, record: Arc<KeyRecord>) -> Self {
        Self {
            fresh: Some(record),
            ..self.clone()
        }
    }

    /// A key must not undo what was done to itself.
    pub(super) fn check_other(&self, record: &KeyRecord) -> Result<(), LifecycleError> {
        match &self.key {
            Some(own) if own.id() == record.id => Err(LifecycleError::ExceedsActor {
                what: "acting key itself",
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Only a key's current secret makes the next one: whoever still holds the outgoing one during its grace must not
    /// take the key over with it.
    pub(super) fn check_successor(&self, record: &KeyRecord) -> Result<(), LifecycleError> {
        match &self.key {
            Some(own) if own.id() == record.id && own.generation() != record.current.generation => {
                Err(LifecycleError::ExceedsActor {
                    what: "successor of an outgoing secret",
                })
            }
            Some(_) | None => Ok(()),
        }
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
    /// SECURITY: a record of another tenant answers exactly like one that does not exist. So does one of another
    /// environment: whoever finds a test key in a build log must not end or read what is live.
    pub(super) fn sees(&self, policy: &AccessPolicy, record: &KeyRecord) -> bool {
        if self
            .own_environment()
            .is_some_and(|own| own != record.environment)
        {
            return false;
        }
        match self.view(policy) {
            View::Everything => true,
            View::Tenant(tenant) => record.tenant.tenant() == Some(tenant),
            View::Unbound => record.tenant == TenantBinding::None,
            View::Nothing => false,
        }
    }

    /// The environment of the key that acts, if one does: it knows of no other.
    pub(super) fn own_environment(&self) -> Option<Environment> {
        self.record().map(|own| own.environment)
    }

    pub(super) fn view(&self, policy: &AccessPolicy) -> View<'_> {
        let Some(own) = self.record() else {
            return View::Everything;
        };
        match &own.tenant {
            TenantBinding::Tenant(tenant) => View::Tenant(tenant),
            TenantBinding::None => View::Unbound,
            TenantBinding::Platform => {
                let role = own.grant.role().and_then(|name| policy.role(name));
                match role.map(Role::reach) {
                    Some(TenantReach::AllTenants) => View::Everything,
                    Some(_) | None => View::Nothing,
                }
            }
        }
    }

    /// Whether `child` lies inside the actor's own key.
    pub(super) fn encloses(
        &self,
        policy: &AccessPolicy,
        limits: &LimitPlan,
        child: &Reach<'_>,
    ) -> Result<(), LifecycleError> {
        let Some(own) = self.record() else {
            return Ok(());
        };
        policy
            .within(&own.subject(), &child.subject)
            .map_err(LifecycleError::BeyondActor)?;
        let exceeds = |what| Err(LifecycleError::ExceedsActor { what });
        match (own.expires_at, child.expires_at) {
            (Some(_), None) => return exceeds("expiry"),
            (Some(own), Some(child)) if child > own => return exceeds("expiry"),
            _ => {}
        }
        if !child.is_inside_networks_of(own, policy) {
            return exceeds("networks");
        }
        if own.environment != child.environment {
            return exceeds("environment");
        }
        if own.certificate.is_some() && own.certificate != child.certificate {
            return exceeds("certificate");
        }
        // Whoever reaches every tenant sells the tiers; the others may not hand out a faster one than their own.
        if !matches!(self.view(policy), View::Everything)
            && !limits.encloses(own.tier.as_deref(), child.tiers)
        {
            return exceeds("tier");
        }
        Ok(())
    }
}
