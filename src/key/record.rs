use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    ActorRef, Credential, Environment, Generation, KeyId, KeyKind, KeyStatus, Metadata, Networks,
    OwnerId, Revision, Thumbprint, TierOverride,
};
use crate::access::{Grant, Scope, Subject, TenantBinding};
use crate::hash::RowBinding;
use crate::time::Timestamp;

/// Everything that is stored of a key. Never the secret.
///
/// Stores build records with [`KeyRecord::new`] and by setting fields, or through serde; the service builds them in
/// `issue`. Fields marked *usage* are written by [`KeyStore::record_usage`](crate::store::KeyStore::record_usage) only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The public part of the key. Never changes.
    pub id: KeyId,
    /// `live`, `test` or a custom one. Never changes.
    pub environment: Environment,
    /// Whether it is kept secret or handed to clients. Never changes.
    #[serde(default)]
    pub kind: KeyKind,
    /// Whom the key belongs to. Never changes.
    pub owner: OwnerId,
    /// Which tenant's resources the key reaches.
    pub tenant: TenantBinding,
    /// What people call it. 1 to 255 bytes.
    pub name: String,
    /// What it is for. At most 1024 bytes.
    pub description: Option<String>,
    /// The tier whose quotas hold; `None` is the service's default tier.
    pub tier: Option<String>,
    /// Another tier, until a moment.
    pub tier_override: Option<TierOverride>,
    /// What it may do: a role, scopes, or a role narrowed by scopes.
    pub grant: Grant,
    /// What it may not do, whatever the grant says.
    pub denied: Vec<Scope>,
    /// From where it may be used. `None` is anywhere, an empty list is nowhere.
    pub networks: Option<Networks>,
    /// The client certificate it is bound to.
    pub certificate: Option<Thumbprint>,
    /// The application's own facts about the key.
    pub metadata: Metadata,
    /// Why the key exists, as the person who issued it put it. At most 1024 bytes.
    pub justification: Option<String>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: ActorRef,
    /// Valid while `now < expires_at`.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off for the time being.
    pub disabled: bool,
    /// Set once, for good.
    pub revocation: Option<Revocation>,
    /// When a secret of the key, proved to be the right one, was first found in a place where others can read it; counted
    /// anew after each rotation. See [`KeyRecord::is_exposed`].
    pub exposed_at: Option<Timestamp>,
    /// *Usage*: when and from where it was last used.
    pub last_used: Option<LastUse>,
    /// Counts the changes of the record, usage aside.
    pub revision: Revision,
    /// The secret that is meant to be used. It ends before its key only if it was exposed.
    pub current: Credential,
    /// The one before it, live or ended.
    pub previous: Option<Credential>,
    /// What binds all of this, usage aside, to the pepper; only with row binding.
    pub binding: Option<RowBinding>,
}

/// The end of a key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Revocation {
    /// When it took effect.
    pub at: Timestamp,
    /// Who revoked it.
    pub by: ActorRef,
    /// Why. 1 to 1024 bytes.
    pub reason: String,
}

impl Revocation {
    /// Returns a revocation.
    #[must_use]
    pub const fn new(at: Timestamp, by: ActorRef, reason: String) -> Self {
        Self { at, by, reason }
    }
}

/// The last use of a key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LastUse {
    /// When it was accepted.
    pub at: Timestamp,
    /// The client's address, if the service was told.
    pub from: Option<IpAddr>,
}

impl LastUse {
    /// Returns a last use.
    #[must_use]
    pub const fn new(at: Timestamp, from: Option<IpAddr>) -> Self {
        Self { at, from }
    }
}

impl KeyRecord {
    /// Returns the record of an active key with nothing optional set, not bound to a tenant, at the first revision.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "each of them is required, and none has a default that would be safe"
    )]
    pub fn new(
        id: KeyId,
        environment: Environment,
        owner: OwnerId,
        name: impl Into<String>,
        grant: Grant,
        credential: Credential,
        created_at: Timestamp,
        created_by: ActorRef,
    ) -> Self {
        Self {
            id,
            environment,
            kind: KeyKind::Secret,
            owner,
            tenant: TenantBinding::None,
            name: name.into(),
            description: None,
            tier: None,
            tier_override: None,
            grant,
            denied: Vec::new(),
            networks: None,
            certificate: None,
            metadata: Metadata::default(),
            justification: None,
            created_at,
            created_by,
            expires_at: None,
            disabled: false,
            revocation: None,
            exposed_at: None,
            last_used: None,
            revision: Revision::FIRST,
            current: credential,
            previous: None,
            binding: None,
        }
    }

    /// Returns what the key's state amounts to at `now`. Revoked beats disabled beats expired.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revocation.is_some() {
            KeyStatus::Revoked
        } else if self.disabled {
            KeyStatus::Disabled
        } else if self.expires_at.is_some_and(|deadline| now >= deadline) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }

    /// Returns how the key's time is over at `now`, if it is.
    ///
    /// SECURITY: whether it is switched off or not. A key that has expired must not come back because somebody switched it off,
    /// moved its expiry and switched it on.
    pub(crate) fn over_as(&self, now: Timestamp) -> Option<KeyStatus> {
        if self.revocation.is_some() {
            return Some(KeyStatus::Revoked);
        }
        let deadline = self.expires_at.filter(|deadline| now >= *deadline);
        deadline.map(|_| KeyStatus::Expired)
    }

    /// Returns the current credential, then the previous one.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }

    /// Returns the credential of that generation.
    #[must_use]
    pub fn credential(&self, generation: Generation) -> Option<&Credential> {
        self.credentials()
            .find(|credential| credential.generation == generation)
    }

    /// Returns whether the key was exposed and has had no new secret since. An exposure of the outgoing secret counts as
    /// well: it was live, and the next rotation ends it for certain.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.exposed_at
            .is_some_and(|at| self.current.created_at <= at)
    }

    /// Returns the tier in force at `now`: the override while it lasts, else the key's own, else `None` for the default.
    #[must_use]
    pub fn tier_at(&self, now: Timestamp) -> Option<&str> {
        match &self.tier_override {
            Some(over) if now < over.until => Some(&over.tier),
            Some(_) | None => self.tier.as_deref(),
        }
    }

    /// Returns what the access rules look at.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject::new(&self.grant, &self.denied, &self.tenant, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{DigestText, SecretOrigin};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const JUST_BEFORE: Timestamp = Timestamp::from_micros(NOW.as_micros() - 1);

    fn record() -> KeyRecord {
        let digest = DigestText::new("$2b$12$canary");
        KeyRecord::new(
            "0aZ9bY8cX7dW".parse().unwrap(),
            Environment::live(),
            "acme".parse().unwrap(),
            "export",
            Grant::Scopes(Vec::new()),
            Credential::new(digest, SecretOrigin::Generated, NOW),
            NOW,
            "user:ana".parse().unwrap(),
        )
    }

    #[test]
    fn is_active_until_the_moment_before_its_expiry() {
        let mut record = record();
        assert_eq!(record.status(Timestamp::MAX), KeyStatus::Active);
        record.expires_at = Some(NOW);
        assert_eq!(record.status(JUST_BEFORE), KeyStatus::Active);
        assert_eq!(record.status(NOW), KeyStatus::Expired);
        assert_eq!(record.status(Timestamp::MAX), KeyStatus::Expired);
    }

    #[test]
    fn is_revoked_before_disabled_before_expired() {
        let mut record = record();
        record.expires_at = Some(Timestamp::MIN);
        assert_eq!(record.status(NOW), KeyStatus::Expired);
        record.disabled = true;
        assert_eq!(record.status(NOW), KeyStatus::Disabled);
        // At a moment to come, from a clock that runs ahead: it holds all the same.
        let by = "user:ana".parse().unwrap();
        record.revocation = Some(Revocation::new(Timestamp::MAX, by, "leaked".into()));
        assert_eq!(record.status(NOW), KeyStatus::Revoked);
        (record.expires_at, record.disabled) = (None, false);
        assert_eq!(record.status(NOW), KeyStatus::Revoked);
    }

    #[test]
    fn is_exposed_from_the_moment_its_secret_was_made_until_the_next_one() {
        let mut record = record();
        assert!(!record.is_exposed());
        record.exposed_at = Some(NOW);
        assert!(record.is_exposed());
        record.current.created_at = Timestamp::from_micros(NOW.as_micros() + 1);
        assert!(!record.is_exposed());
    }

    #[test]
    fn has_the_other_tier_until_the_moment_before_the_override_ends() {
        let mut record = record();
        record.tier_override = Some(TierOverride::new("enterprise", NOW));
        assert_eq!(record.tier_at(JUST_BEFORE), Some("enterprise"));
        assert_eq!(record.tier_at(NOW), None);
        record.tier = Some("pro".into());
        assert_eq!(record.tier_at(JUST_BEFORE), Some("enterprise"));
        assert_eq!(record.tier_at(NOW), Some("pro"));
    }

    /// As stores that keep whole records did before these fields were kept.
    #[test]
    fn is_secret_and_neither_exposed_nor_bound_where_its_text_says_nothing_of_it() {
        let mut text = serde_json::to_value(record()).unwrap();
        for later in ["exposed_at", "kind", "binding"] {
            assert!(text.as_object_mut().unwrap().remove(later).is_some());
        }
        let read: KeyRecord = serde_json::from_value(text).unwrap();
        assert_eq!(read, record());
    }

    #[test]
    fn finds_credentials_by_generation_the_current_one_first() {
        let mut record = record();
        assert_eq!(record.credentials().count(), 1);
        let old = record.current.clone();
        record.current.generation = Generation::new(2);
        record.previous = Some(old.clone());
        assert_eq!(record.credential(Generation::new(2)), Some(&record.current));
        assert_eq!(record.credential(Generation::FIRST), Some(&old));
        assert_eq!(record.credential(Generation::new(3)), None);
        let order: Vec<_> = record
            .credentials()
            .map(|it| it.generation.number())
            .collect();
        assert_eq!(order, [2, 1]);
    }

    #[test]
    fn shows_no_digest_in_debug() {
        assert!(!format!("{:?}", record()).contains("canary"));
    }

    #[test]
    fn hands_grant_denials_tenant_and_kind_to_the_access_rules() {
        let mut record = record();
        record.denied = vec!["leads:delete".parse().unwrap()];
        record.kind = KeyKind::Publishable;
        let subject = record.subject();
        assert_eq!(
            subject,
            Subject::new(
                &record.grant,
                &record.denied,
                &record.tenant,
                KeyKind::Publishable
            )
        );
    }
}
