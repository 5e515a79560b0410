use std::sync::Arc;

use super::actor::Reach;
use super::change::{Change, Decision};
use super::{Actor, KeyService, LifecycleError, validate};
use crate::access::{Grant, Scope, TenantBinding};
use crate::audit::AuditKind;
use crate::key::{KeyId, KeyRecord, Metadata, Networks, Thumbprint, TierOverride};
use crate::second_factor::FactorOperation;
use crate::time::Timestamp;

/// What happens to an optional field: it is left, cleared or set. Leaving out is not clearing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Field<T> {
    /// The field stays as it is.
    #[default]
    Leave,
    /// The field becomes empty.
    Clear,
    /// The field becomes this.
    Set(T),
}

impl<T: Clone> Field<T> {
    fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Leave => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

/// Changes to a key's settings. What is not named stays. Secrets, usage and the kind are out of its reach.
///
/// ```
/// use keyward::service::{Field, UpdateKey};
///
/// let update = UpdateKey::new().with_tier(Field::Set("pro".into())).with_networks(Field::Clear);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct UpdateKey {
    pub(super) name: Option<String>,
    pub(super) description: Field<String>,
    pub(super) tier: Field<String>,
    pub(super) tier_override: Field<TierOverride>,
    pub(super) grant: Option<Grant>,
    pub(super) denied: Option<Vec<Scope>>,
    pub(super) tenant: Option<TenantBinding>,
    pub(super) networks: Field<Networks>,
    pub(super) certificate: Field<Thumbprint>,
    pub(super) metadata: Option<Metadata>,
    pub(super) justification: Field<String>,
    pub(super) expires_at: Field<Timestamp>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident => $field:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: $type) -> Self {
            self.$field = value.into();
            self
        }
    )*};
}

impl UpdateKey {
    /// Returns the update that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Renames the key. 1 to 255 bytes.
        with_name => name: String,
        /// Changes what the key is for. At most 1024 bytes.
        with_description => description: Field<String>,
        /// Changes the tier; it must be one of the service's. Cleared means the default tier. What is used up stays so.
        with_tier => tier: Field<String>,
        /// Puts the key in another tier until a moment.
        with_tier_override => tier_override: Field<TierOverride>,
        /// Changes what the key may do.
        with_grant => grant: Grant,
        /// Changes what is taken away from the grant.
        with_denied => denied: Vec<Scope>,
        /// Changes which tenant's resources the key reaches.
        with_tenant => tenant: TenantBinding,
        /// Changes the networks. Cleared means anywhere; an empty list means nowhere.
        with_networks => networks: Field<Networks>,
        /// Changes the certificate the key is bound to.
        with_certificate => certificate: Field<Thumbprint>,
        /// Replaces the application's own facts.
        with_metadata => metadata: Metadata,
        /// Changes why the key is needed. At most 1024 bytes.
        with_justification => justification: Field<String>,
        /// Changes the expiry. Cleared means never.
        with_expires_at => expires_at: Field<Timestamp>,
    }

    fn apply(&self, record: &KeyRecord) -> KeyRecord {
        let mut next = record.clone();
        if let Some(name) = &self.name {
            next.name.clone_from(name);
        }
        if let Some(grant) = &self.grant {
            next.grant.clone_from(grant);
        }
        if let Some(denied) = &self.denied {
            next.denied.clone_from(denied);
        }
        if let Some(tenant) = &self.tenant {
            next.tenant.clone_from(tenant);
        }
        if let Some(metadata) = &self.metadata {
            next.metadata.clone_from(metadata);
        }
        self.description.apply(&mut next.description);
        self.justification.apply(&mut next.justification);
        self.tier.apply(&mut next.tier);
        self.tier_override.apply(&mut next.tier_override);
        self.networks.apply(&mut next.networks);
        self.certificate.apply(&mut next.certificate);
        self.expires_at.apply(&mut next.expires_at);
        next
    }

    /// The names of the fields that differ, for the audit trail: never their values.
    fn differences(before: &KeyRecord, after: &KeyRecord) -> Vec<&'static str> {
        let fields = [
            ("name", before.name != after.name),
            ("description", before.description != after.description),
            ("tier", before.tier != after.tier),
            ("tier_override", before.tier_override != after.tier_override),
            ("grant", before.grant != after.grant),
            ("denied", before.denied != after.denied),
            ("tenant", before.tenant != after.tenant),
            ("networks", before.networks != after.networks),
            ("certificate", before.certificate != after.certificate),
            ("metadata", before.metadata != after.metadata),
            ("justification", before.justification != after.justification),
            ("expires_at", before.expires_at != after.expires_at),
        ];
        fields
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }
}

impl KeyService {
    /// Changes a key's settings.
    ///
    /// Two updates at the same time both take effect, one after the other. A key that acts cannot change itself, and
    /// cannot give another more than it has.
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::Invalid`]: a value breaks a bound or names something unknown;
    /// * [`LifecycleError::NotPublishable`]: the key is publishable and would hold what the policy does not publish;
    /// * [`LifecycleError::Rule`], [`LifecycleError::SecondFactor`]: what changes falls under an
    ///   [issuing rule](super::IssuePolicy) that is not kept;
    /// * [`LifecycleError::WrongState`]: the key is revoked, or has expired (an expired key is not revived);
    /// * [`LifecycleError::NotFound`], [`LifecycleError::NotPermitted`], [`LifecycleError::BeyondActor`],
    ///   [`LifecycleError::ExceedsActor`]: the actor may not;
    /// * [`LifecycleError::Audit`], [`LifecycleError::Contended`], [`LifecycleError::Unavailable`]: out of order.
    pub async fn update(
        &self,
        actor: &Actor,
        id: &KeyId,
        update: UpdateKey,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        validate::update(&update, &self.inner, self.inner.clock.now())?;
        let kind = AuditKind::KeyUpdated;
        let operation = FactorOperation::new(kind).on(*id);
        let plan = |actor: &Actor, record: &KeyRecord, now| self.plan(&update, actor, record, now);
        let needs_factor = |actor: &Actor, record: &KeyRecord, now| {
            plan(actor, record, now).map(|plan| plan.is_some_and(|plan| plan.needs_factor))
        };
        let cleared = self.clear_change(actor, id, kind, needs_factor).await?;
        let changed = self
            .change(Change::new(actor, id, kind), |actor, record, now| {
                let Some(plan) = plan(actor, record, now)? else {
                    return Ok(Decision::Nothing);
                };
                self.check_cleared(&cleared, actor, operation, plan.needs_factor)?;
                let mut details = vec![("fields", plan.fields.join(" "))];
                details.extend(self.granted(&plan.next, Some(record)));
                details.extend(cleared.details());
                Ok(Decision::Change(Box::new(plan.next), details))
            })
            .await?;
        Ok(changed.record)
    }

    /// What the record becomes, and what that takes; nothing if it stays as it is.
    fn plan(
        &self,
        update: &UpdateKey,
        actor: &Actor,
        record: &KeyRecord,
        now: Timestamp,
    ) -> Result<Option<Plan>, LifecycleError> {
        check_updatable(actor, record, now)?;
        // The key as it is must lie inside the actor's as well, or a stronger key could be bent by a weaker one.
        actor.encloses(&self.inner.policy, &self.inner.limits, &Reach::of(record))?;
        let next = update.apply(record);
        let fields = UpdateKey::differences(record, &next);
        if fields.is_empty() {
            return Ok(None);
        }
        actor.encloses(&self.inner.policy, &self.inner.limits, &Reach::of(&next))?;
        self.check_changed(update, record, &next, &fields)?;
        let is_guarded = fields.iter().any(|field| GUARDED.contains(field));
        let needs_factor = is_guarded && self.needs_factor(actor, &next.subject());
        Ok(Some(Plan {
            next,
            fields,
            needs_factor,
        }))
    }

    /// Holds to the rules what the update changes, and leaves alone what it does not: a key from before a rule can
    /// still be renamed.
    fn check_changed(
        &self,
        update: &UpdateKey,
        record: &KeyRecord,
        next: &KeyRecord,
        fields: &[&'static str],
    ) -> Result<(), LifecycleError> {
        let rules = self.rules_for(&next.subject());
        let changes = |names: &[&str]| fields.iter().any(|field| names.contains(field));
        if changes(&GUARDED) || changes(&["justification"]) {
            // What was said for a weaker key says nothing for a stronger one.
            let holds = self.rules_for(&record.subject()).demands_justification();
            let given = match &update.justification {
                Field::Leave if !holds => None,
                Field::Leave | Field::Clear | Field::Set(_) => next.justification.as_deref(),
            };
            rules.check_justification(given)?;
        }
        if changes(&["grant", "tenant"]) {
            self.inner.policy.check_publishable(&next.subject())?;
        }
        if changes(&["grant", "denied", "networks"]) {
            rules.check_networks(next.networks.as_ref())?;
        }
        if changes(&["grant", "denied", "expires_at"]) {
            rules.check_lifetime(next.created_at, next.expires_at)?;
        }
        Ok(())
    }
}

/// What a key may do, from where, and until when: who changes that hands out another key, as it were.
const GUARDED: [&str; 6] = [
    "grant",
    "denied",
    "tenant",
    "networks",
    "certificate",
    "expires_at",
];

/// What an update makes of a record.
struct Plan {
    next: KeyRecord,
    fields: Vec<&'static str>,
    needs_factor: bool,
}

fn check_updatable(
    actor: &Actor,
    record: &KeyRecord,
    now: Timestamp,
) -> Result<(), LifecycleError> {
    actor.check_other(record)?;
    match record.over_as(now) {
        Some(state) => Err(LifecycleError::WrongState { state }),
        None => Ok(()),
    }
}
