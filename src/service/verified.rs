use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::RequestContext;
use crate::access::Grant;
use crate::key::{Generation, KeyId, KeyRecord, OwnerId};
use crate::time::Timestamp;

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
///     VerifiedKey::new(record, Generation::FIRST, Timestamp::EPOCH, &RequestContext::new())
/// }
/// ```
#[derive(Clone)]
pub struct VerifiedKey {
    inner: Arc<Inner>,
}

struct Inner {
    record: Arc<KeyRecord>,
    generation: Generation,
    verified_at: Timestamp,
    client: Option<IpAddr>,
    request_id: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

impl VerifiedKey {
    pub(super) fn new(
        record: Arc<KeyRecord>,
        generation: Generation,
        verified_at: Timestamp,
        context: &RequestContext<'_>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                record,
                generation,
                verified_at,
                client: context.client(),
                request_id: context.request_id().map(Into::into),
                user_agent: context.user_agent().map(Into::into),
            }),
        }
    }

    /// Returns the key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.inner.record.id
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
            .field("owner", &self.inner.record.owner)
            .field("generation", &self.inner.generation)
            .field("verified_at", &self.inner.verified_at)
            .finish_non_exhaustive()
    }
}
