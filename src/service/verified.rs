use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{RequestContext, Retirement, trail};
use crate::access::Grant;
use crate::audit::{ActorRef, AuditEvent, AuditKind, DeferredEvent};
use crate::key::{Generation, KeyId, KeyKind, KeyRecord, OwnerId};
use crate::time::Timestamp;

/// From a day on the trail says how long a key had not been used: less is every night and weekend.
const WORTH_TELLING: Duration = Duration::from_secs(24 * 60 * 60);

/// The proof that a key was verified in this request.
///
/// Only [`KeyService::verify`](super::KeyService::verify) makes one, and `authorize` and `limit` take one: an
/// unverified key cannot be authorised by mistake. Clones are cheap.
///
/// It is true of the moment of [`VerifiedKey::verified_at`]. Keeping one beyond its request keeps a revoked key alive.
///
/// Nobody else can make one, from a record or from anything else:
///
/// ```compile_fail,E0624
/// # use std::sync::Arc;
/// # use keyward::key::{Generation, KeyRecord};
/// # use keyward::service::{RequestContext, VerifiedKey};
/// # use keyward::time::Timestamp;
/// fn forge(record: Arc<KeyRecord>) -> VerifiedKey {
///     VerifiedKey::new(record, Generation::FIRST, Timestamp::EPOCH, None, &RequestContext::new())
/// }
/// ```
#[derive(Clone)]
pub struct VerifiedKey {
    inner: Arc<Facts>,
}

/// What is known of a verified key, shared by its clones and the audit trail.
pub(super) struct Facts {
    record: Arc<KeyRecord>,
    generation: Generation,
    verified_at: Timestamp,
    retirement: Option<Retirement>,
    client: Option<IpAddr>,
    request_id: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

/// The event of the verification, built by the audit trail's writer from what the request holds anyway.
impl DeferredEvent for Facts {
    fn build(&self) -> AuditEvent {
        let event = AuditEvent::new(AuditKind::AuthenticationSucceeded, self.verified_at);
        let event = self
            .write(event)
            .with_detail("generation", u64::from(self.generation.number()));
        match self.idle() {
            idle if idle >= WORTH_TELLING => event.with_detail("idle_s", idle.as_secs()),
            _ => event,
        }
    }
}

impl Facts {
    /// How long the key was not used before, going by its record; a key that never was, since it was made.
    fn idle(&self) -> Duration {
        let since = self.record.last_used.map(|last| last.at);
        let since = since.unwrap_or(self.record.created_at);
        self.verified_at.saturating_since(since)
    }

    /// Puts into an event what it is to say of the key and its request.
    fn write(&self, event: AuditEvent) -> AuditEvent {
        let event = trail::of_record(event, &self.record);
        let event = event.with_actor(ActorRef::key(self.record.id.as_str()));
        trail::of_request(
            event,
            self.client,
            self.request_id.as_deref(),
            self.user_agent.as_deref(),
        )
    }
}

impl VerifiedKey {
    pub(super) fn new(
        record: Arc<KeyRecord>,
        generation: Generation,
        verified_at: Timestamp,
        retirement: Option<Retirement>,
        context: &RequestContext<'_>,
    ) -> Self {
        Self {
            inner: Arc::new(Facts {
                record,
                generation,
                verified_at,
                retirement,
                client: context.client(),
                request_id: context.request_id().map(Into::into),
                user_agent: context.user_agent().map(Into::into),
            }),
        }
    }

    /// Returns the event of the verification, to be built later.
    pub(super) fn success_event(&self) -> Arc<dyn DeferredEvent> {
        Arc::<Facts>::clone(&self.inner)
    }

    /// Puts into an event what it is to say of the key and its request.
    pub(crate) fn write(&self, event: AuditEvent) -> AuditEvent {
        self.inner.write(event)
    }

    /// Returns the key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.inner.record.id
    }

    /// Returns whether the key is kept secret or in anybody's hands.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.inner.record.kind
    }

    /// Returns whom the key belongs to.
    #[must_use]
    pub fn owner(&self) -> &OwnerId {
        &self.inner.record.owner
    }

    /// Returns what the key was granted. To decide on it, ask [`KeyService::authorize`](super::KeyService::authorize).
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.inner.record.grant
    }

    /// Returns the record as it was read for this request.
    #[must_use]
    pub fn record(&self) -> &Arc<KeyRecord> {
        &self.inner.record
    }

    /// Returns which of the key's secrets was presented.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.inner.generation
    }

    /// Returns the moment of the verification.
    #[must_use]
    pub fn verified_at(&self) -> Timestamp {
        self.inner.verified_at
    }

    /// Returns what the holder should know of the presented secret's end: that it will soon be refused for its age, that
    /// it was exposed and has a grace, or that the key has a newer one. `None` as long as there is nothing to do.
    #[must_use]
    pub fn retirement(&self) -> Option<Retirement> {
        self.inner.retirement
    }

    /// Returns the client's address.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.inner.client
    }

    /// Returns the request's id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// Returns what the client called itself.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.inner.user_agent.as_deref()
    }
}

impl fmt::Debug for VerifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedKey")
            .field("id", &self.inner.record.id)
            .field("kind", &self.inner.record.kind)
            .field("owner", &self.inner.record.owner)
            .field("generation", &self.inner.generation)
            .field("verified_at", &self.inner.verified_at)
            .finish_non_exhaustive()
    }
}
