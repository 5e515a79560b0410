use std::sync::Arc;

use super::issue::StoreFailure;
use super::{Actor, IssueKey, KeyService, LifecycleError, validate};
use crate::audit::AuditKind;
use crate::hash::{DigestText, SecretOrigin};
use crate::key::{Credential, HintTail, KeyId, KeyKind, KeyRecord};

/// A key of another system, of which the digest is known and the secret is not.
///
/// The key must have one of the shapes this service accepts (the compact one is there for that), so that its id can be
/// read from it. Its secret may be guessable: nothing fast is ever kept of it, and every verification of it pays the
/// slow hash until its owner rotates it. For that reason it cannot be a publishable one.
#[derive(Clone, Debug)]
#[must_use]
pub struct ImportKey {
    id: KeyId,
    digest: DigestText,
    hint: Option<HintTail>,
    settings: IssueKey,
}

impl ImportKey {
    /// Returns the request to take over the key with that id and stored digest; `settings` says all the rest.
    pub const fn new(id: KeyId, digest: DigestText, settings: IssueKey) -> Self {
        Self {
            id,
            digest,
            hint: None,
            settings,
        }
    }

    /// Sets the last four characters of the secret, if the other system kept them. They spare wrong keys a slow hash.
    pub const fn with_hint(mut self, hint: HintTail) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl KeyService {
    /// Takes over a key of another system by its digest. It is upgraded to this service's scheme when it is first used.
    ///
    /// # Errors
    ///
    /// As [`KeyService::issue`]; [`LifecycleError::Invalid`] for a digest of an unknown scheme or a cost out of bounds,
    /// for an id that is taken, for one of a style that the format does not accept, and for a publishable key.
    pub async fn import(
        &self,
        actor: &Actor,
        request: ImportKey,
    ) -> Result<Arc<KeyRecord>, LifecycleError> {
        let now = self.inner.clock.now();
        let ImportKey {
            id,
            digest,
            hint,
            settings,
        } = request;
        // SECURITY: an imported secret costs a slow hash at every use, and anybody could use this one.
        if settings.kind == KeyKind::Publishable {
            return Err(LifecycleError::invalid("kind", "must be secret"));
        }
        let settings = self.with_defaults(settings);
        validate::issue(&settings, &self.inner, now)?;
        let environment = self.inner.format.environment();
        self.check_own_format(&id, &environment, settings.kind)?;
        let usable = self.inner.hashing.plan(&digest);
        usable.map_err(|error| LifecycleError::invalid("digest", error.to_string()))?;
        let mut credential = Credential::new(digest, SecretOrigin::Imported, now);
        credential.hint = hint;
        let cleared = self
            .clear_issue(actor, &settings, AuditKind::KeyImported, now)
            .await?;
        // Somebody may have been asked for a factor meanwhile, and the acting key may have ended.
        self.may_issue(actor, &settings, AuditKind::KeyImported, now)
            .await?;
        let record = settings.to_record(id, &environment, credential, actor, now);
        let limit = settings.owner_limit;
        match self
            .store_new(actor, record, limit, &cleared, AuditKind::KeyImported, now)
            .await
        {
            Ok(record) => Ok(record),
            Err(StoreFailure::AlreadyExists) => Err(LifecycleError::invalid("id", "is taken")),
            Err(StoreFailure::Other(error)) => Err(error),
        }
    }
}
