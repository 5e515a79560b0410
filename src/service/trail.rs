//! The service's events: who, what, of which key, and never a secret.

use std::net::IpAddr;
use std::sync::Arc;

use super::actor::View;
use super::{Actor, LifecycleError, Rejection, RequestContext, VerifiedKey, VerifyError};
use crate::access::{DenyReason, Requirement, TenantBinding};
use crate::audit::{AuditError, AuditEvent, AuditKind, AuditRecorder, Outcome, PLATFORM, Pending};
use crate::key::{KeyId, KeyKind, KeyRecord};
use crate::rate_limit::RateDecision;
use crate::second_factor::FactorOperation;
use crate::time::Timestamp;

/// Writes the service's events through one recorder.
#[derive(Debug)]
pub(super) struct Trail {
    recorder: AuditRecorder,
}

/// What an event of an operation says.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) kind: AuditKind,
    pub(super) actor: &'a Actor,
    pub(super) record: &'a KeyRecord,
    pub(super) now: Timestamp,
    pub(super) details: &'a [(&'static str, String)],
}

/// What an event says of the request it happened in. Owned, because the event is built by the writer later.
struct Origin {
    client: Option<IpAddr>,
    request_id: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

impl Trail {
    pub(super) const fn new(recorder: AuditRecorder) -> Self {
        Self { recorder }
    }

    pub(super) const fn recorder(&self) -> &AuditRecorder {
        &self.recorder
    }

    /// Writes a life-cycle event durably.
    pub(super) async fn record(&self, told: Told<'_>) -> Result<(), AuditError> {
        self.recorder.record(told.event()).await
    }

    /// Writes that an operation failed after its event had been written. If that fails too the recorder counts it.
    pub(super) async fn record_failure(&self, told: Told<'_>, error: &LifecycleError) {
        let event = told.event().with_failure(error.code());
        drop(self.recorder.record(event).await);
    }

    /// Writes that an operation failed of which nothing was written before.
    pub(super) async fn note_failure(&self, told: Told<'_>, error: &LifecycleError) {
        let event = told.event().with_failure(error.code());
        self.recorder.enqueue_or_wait(event).await;
    }

    /// Writes durably that a live secret of a key was found in a place where others can read it.
    pub(super) async fn exposed(
        &self,
        actor: &Actor,
        record: &KeyRecord,
        place: &'static str,
        now: Timestamp,
    ) -> Result<(), AuditError> {
        let told = Told {
            kind: AuditKind::KeyExposed,
            actor,
            record,
            now,
            details: &[("secret", "proved".to_owned())],
        };
        let event = told.event().with_failure(place);
        self.recorder.record(event).await
    }

    /// Writes durably what was done with many keys, in numbers.
    ///
    /// SECURITY: whoever reads it must see what its actor sees. It names no key, not even the one that acts.
    pub(super) async fn total(
        &self,
        kind: AuditKind,
        reason: &'static str,
        actor: &Actor,
        view: View<'_>,
        counts: &[(&'static str, u64)],
        now: Timestamp,
    ) -> Result<(), AuditError> {
        let event = AuditEvent::new(kind, now)
            .with_outcome(Outcome::Success)
            .with_reason(reason)
            .with_actor(actor.audit_reference());
        let event = match view {
            View::Tenant(tenant) => event.with_tenant(Arc::<str>::from(tenant.clone())),
            View::Unbound => event,
            View::Everything | View::Nothing => event.with_detail(PLATFORM.0, PLATFORM.1),
        };
        let event = counts.iter().fold(event, |event, (name, count)| {
            event.with_detail(*name, *count)
        });
        self.recorder.record(event).await
    }

    /// Writes that an actor was refused an operation.
    pub(super) fn management_refused(
        &self,
        kind: AuditKind,
        actor: &Actor,
        target: Option<KeyId>,
        code: &'static str,
        now: Timestamp,
    ) {
        let actor = actor.clone();
        self.recorder.enqueue(Pending::deferred(move || {
            let event = AuditEvent::new(AuditKind::PermissionRefused, now).with_failure(code);
            refused(event, &actor, kind, target)
        }));
    }

    /// Writes that an operation met a record that is not what the service wrote.
    ///
    /// SECURITY: what such a record says of its owner and tenant is not believed: the event names its key alone, and is for
    /// those who see the whole trail.
    pub(super) fn broken_record(
        &self,
        kind: AuditKind,
        actor: &Actor,
        key: KeyId,
        code: &'static str,
        now: Timestamp,
    ) {
        let actor = actor.audit_reference();
        self.recorder.enqueue(Pending::deferred(move || {
            AuditEvent::new(AuditKind::PermissionRefused, now)
                .with_failure(code)
                .with_key_id(key.as_str())
                .with_actor(actor)
                .with_detail(PLATFORM.0, PLATFORM.1)
                .with_detail("operation", kind.code())
        }));
    }

    /// Writes that an actor did not prove its second factor.
    pub(super) async fn factor_failed(
        &self,
        actor: &Actor,
        operation: FactorOperation,
        code: &'static str,
        now: Timestamp,
    ) {
        let event = AuditEvent::new(AuditKind::SecondFactorFailed, now)
            .with_failure(code)
            .with_detail("factor_of", actor.reference().as_str());
        let event = refused(event, actor, operation.kind(), operation.target());
        self.recorder.enqueue_or_wait(event).await;
    }

    pub(super) async fn authenticated(&self, key: &VerifiedKey) {
        self.recorder
            .enqueue_or_wait(Pending::shared(key.success_event()))
            .await;
    }

    pub(super) async fn rejected(
        &self,
        id: Option<KeyId>,
        record: Option<&Arc<KeyRecord>>,
        rejection: &Rejection,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) {
        self.failed(id, record.map(Arc::clone), rejection.code(), context, now)
            .await;
    }

    /// Writes that a key could not be looked at.
    pub(super) async fn unanswered(
        &self,
        id: Option<KeyId>,
        error: &VerifyError,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) {
        let code = if matches!(error, VerifyError::Overloaded { .. }) {
            "overloaded"
        } else {
            "unavailable"
        };
        self.failed(id, None, code, context, now).await;
    }

    async fn failed(
        &self,
        id: Option<KeyId>,
        record: Option<Arc<KeyRecord>>,
        code: &'static str,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) {
        let origin = Origin::of(context);
        let event = Pending::deferred(move || {
            let event = AuditEvent::new(AuditKind::AuthenticationFailed, now).with_failure(code);
            let event = match (record, id) {
                (Some(record), _) => of_record(event, &record),
                // SECURITY: nothing was proved, and the id may be of any tenant's key.
                (None, Some(id)) => event
                    .with_key_id(id.as_str())
                    .with_detail(PLATFORM.0, PLATFORM.1),
                (None, None) => event,
            };
            origin.write(event)
        });
        self.recorder.enqueue_or_wait(event).await;
    }

    /// Writes that a key was refused for the first time because its time is over.
    pub(super) fn expired(
        &self,
        record: &Arc<KeyRecord>,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) {
        let (record, origin) = (Arc::clone(record), Origin::of(context));
        self.recorder.enqueue(Pending::deferred(move || {
            let event = AuditEvent::new(AuditKind::KeyExpired, now).with_failure("expired");
            origin.write(of_record(event, &record))
        }));
    }

    pub(super) fn permission_refused(
        &self,
        key: &VerifiedKey,
        requirement: &Requirement,
        reason: &DenyReason,
        now: Timestamp,
    ) {
        let (key, requirement, reason) = (key.clone(), requirement.clone(), reason.clone());
        self.recorder.enqueue(Pending::deferred(move || {
            let event =
                AuditEvent::new(AuditKind::PermissionRefused, now).with_failure(reason.code());
            key.write(event)
                .with_detail("required", requirement.to_string())
                .with_detail("why", reason.to_string())
        }));
    }

    pub(super) fn limit_hit(&self, key: &VerifiedKey, decision: &RateDecision, now: Timestamp) {
        let (key, decision) = (key.clone(), decision.clone());
        self.recorder.enqueue(Pending::deferred(move || {
            let names: Vec<_> = decision
                .denied()
                .map(|state| state.name().to_owned())
                .collect();
            let event = AuditEvent::new(AuditKind::LimitHit, now).with_failure("rate_limited");
            key.write(event).with_detail("quotas", names.join(" "))
        }));
    }
}

impl Origin {
    fn of(context: &RequestContext<'_>) -> Self {
        Self {
            client: context.client(),
            request_id: context.request_id().map(Into::into),
            user_agent: context.user_agent().map(Into::into),
        }
    }

    fn write(&self, event: AuditEvent) -> AuditEvent {
        of_request(
            event,
            self.client,
            self.request_id.as_deref(),
            self.user_agent.as_deref(),
        )
    }
}

/// The parts of an event that say who was refused what.
fn refused(event: AuditEvent, actor: &Actor, kind: AuditKind, target: Option<KeyId>) -> AuditEvent {
    let event = match actor.verified_key() {
        Some(key) => key.write(event),
        // SECURITY: who is no key acts for all tenants, and the target may be any tenant's.
        None => event
            .with_actor(actor.audit_reference())
            .with_detail(PLATFORM.0, PLATFORM.1),
    };
    let event = event.with_detail("operation", kind.code());
    match target {
        Some(target) => event.with_detail("target", target.as_str()),
        None => event,
    }
}

/// The parts of an event that come from a request.
pub(super) fn of_request(
    mut event: AuditEvent,
    client: Option<IpAddr>,
    request_id: Option<&str>,
    user_agent: Option<&str>,
) -> AuditEvent {
    if let Some(client) = client {
        event = event.with_client_ip(client);
    }
    if let Some(id) = request_id {
        event = event.with_request_id(id);
    }
    if let Some(agent) = user_agent {
        event = event.with_user_agent(agent);
    }
    event
}

/// The parts of an event that come from a record. Shared texts are shared on.
pub(super) fn of_record(event: AuditEvent, record: &KeyRecord) -> AuditEvent {
    let mut event = event
        .with_key_id(record.id.as_str())
        .with_owner(Arc::<str>::from(record.owner.clone()));
    match &record.tenant {
        TenantBinding::Tenant(tenant) => {
            event = event.with_tenant(Arc::<str>::from(tenant.clone()));
        }
        TenantBinding::Platform => event = event.with_detail("tenant_binding", "platform"),
        TenantBinding::None => {}
    }
    if record.kind == KeyKind::Publishable {
        event = event.with_detail("key_kind", record.kind.as_str());
    }
    if let Some(role) = record.grant.role() {
        event = event.with_role(Arc::<str>::from(role.clone()));
    }
    event
}

impl Told<'_> {
    pub(super) fn event(&self) -> AuditEvent {
        let mut event = of_record(AuditEvent::new(self.kind, self.now), self.record)
            .with_actor(self.actor.audit_reference());
        if let Some(key) = self.actor.verified_key() {
            event = of_request(event, key.client(), key.request_id(), key.user_agent())
                .with_detail("actor_generation", u64::from(key.generation().number()));
        }
        for (name, value) in self.details {
            event = event.with_detail(*name, value.clone());
        }
        event
    }
}
