use std::time::Duration;

use super::actor::Reach;
use super::{Actor, IssueRules};
use crate::access::{Grant, Scope, Subject, TenantBinding};
use crate::key::{
    Credential, Environment, KeyId, KeyKind, KeyRecord, Metadata, Networks, OwnerId, Thumbprint,
};
use crate::time::Timestamp;

/// What a new key is to be.
///
/// ```
/// use std::time::Duration;
/// use keyward::access::Grant;
/// use keyward::service::IssueKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = IssueKey::new("acme".parse()?, "nightly import", Grant::try_scopes(["leads:read".parse()?])?)
///     .with_tier("pro")
///     .with_lifetime(Duration::from_secs(90 * 24 * 3600));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct IssueKey {
    pub(super) owner: OwnerId,
    pub(super) name: String,
    pub(super) kind: KeyKind,
    pub(super) grant: Grant,
    pub(super) tenant: TenantBinding,
    pub(super) description: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) denied: Vec<Scope>,
    pub(super) networks: Option<Networks>,
    pub(super) certificate: Option<Thumbprint>,
    pub(super) metadata: Metadata,
    pub(super) justification: Option<String>,
    pub(super) expiry: Expiry,
    pub(super) owner_limit: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expiry {
    Never,
    After(Duration),
    At(Timestamp),
}

impl Expiry {
    pub(super) fn moment(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(lifetime) => Some(now.saturating_add(lifetime)),
            Self::At(moment) => Some(moment),
        }
    }
}

impl IssueKey {
    /// Returns the request for a secret key of `owner` with that grant: bound to no tenant, without expiry, in the default tier.
    pub fn new(owner: OwnerId, name: impl Into<String>, grant: Grant) -> Self {
        Self {
            owner,
            name: name.into(),
            kind: KeyKind::Secret,
            grant,
            tenant: TenantBinding::None,
            description: None,
            tier: None,
            denied: Vec::new(),
            networks: None,
            certificate: None,
            metadata: Metadata::default(),
            justification: None,
            expiry: Expiry::Never,
            owner_limit: None,
        }
    }

    /// Sets the kind, for good: a publishable key holds only what the policy publishes and says so in its prefix. The
    /// service's format must make keys of that kind.
    ///
    /// ```
    /// use keyward::access::Grant;
    /// use keyward::key::KeyKind;
    /// use keyward::service::IssueKey;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let grant = Grant::Role("storefront".parse()?);
    /// let request = IssueKey::new("acme".parse()?, "shop window", grant).with_kind(KeyKind::Publishable);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_kind(mut self, kind: KeyKind) -> Self {
        self.kind = kind;
        self
    }

    /// Binds the key to a tenant, or to the platform as a whole.
    pub fn with_tenant(mut self, tenant: TenantBinding) -> Self {
        self.tenant = tenant;
        self
    }

    /// Says what the key is for. At most 1024 bytes.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the tier; it must be one of the service's.
    pub fn with_tier(mut self, tier: impl Into<String>) -> Self {
        self.tier = Some(tier.into());
        self
    }

    /// Takes scopes away from whatever the grant gives.
    pub fn with_denied(mut self, denied: impl IntoIterator<Item = Scope>) -> Self {
        self.denied = denied.into_iter().collect();
        self
    }

    /// Binds the key to networks. An empty list allows nobody.
    pub fn with_networks(mut self, networks: Networks) -> Self {
        self.networks = Some(networks);
        self
    }

    /// Binds the key to a client certificate.
    pub fn with_certificate(mut self, certificate: Thumbprint) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Adds the application's own facts.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Says why the key is needed. At most 1024 bytes.
    pub fn with_justification(mut self, justification: impl Into<String>) -> Self {
        self.justification = Some(justification.into());
        self
    }

    /// Lets the key end that long after it is issued.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::After(lifetime);
        self
    }

    /// Lets the key end at that moment.
    pub fn with_expiry(mut self, moment: Timestamp) -> Self {
        self.expiry = Expiry::At(moment);
        self
    }

    /// Refuses when the owner has `limit` active keys already, counted in the same step as the insert.
    pub fn with_owner_limit(mut self, limit: u32) -> Self {
        self.owner_limit = Some(limit);
        self
    }

    /// Fills in what the rules say where the request says nothing.
    pub(super) fn with_defaults(mut self, rules: &IssueRules) -> Self {
        if let (Expiry::Never, Some(lifetime)) = (self.expiry, rules.usual_lifetime()) {
            self.expiry = Expiry::After(lifetime);
        }
        self.owner_limit = rules.owner_limit(self.owner_limit);
        self
    }

    /// What the key is going to be able to do.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject::new(&self.grant, &self.denied, &self.tenant, self.kind)
    }

    /// Returns what the ceiling of the actor is held against.
    pub(super) fn reach(&self, environment: Environment, now: Timestamp) -> Reach<'_> {
        Reach {
            subject: self.subject(),
            expires_at: self.expiry.moment(now),
            networks: self.networks.as_ref(),
            environment,
            certificate: self.certificate,
            tiers: [self.tier.as_deref(), None],
        }
    }

    /// Returns the record that is to be stored.
    pub(super) fn to_record(
        &self,
        id: KeyId,
        environment: &Environment,
        credential: Credential,
        actor: &Actor,
        now: Timestamp,
    ) -> KeyRecord {
        let mut record = KeyRecord::new(
            id,
            *environment,
            self.owner.clone(),
            self.name.clone(),
            self.grant.clone(),
            credential,
            now,
            actor.reference().clone(),
        );
        record.kind = self.kind;
        record.tenant = self.tenant.clone();
        record.description.clone_from(&self.description);
        record.tier.clone_from(&self.tier);
        record.denied.clone_from(&self.denied);
        record.networks.clone_from(&self.networks);
        record.certificate = self.certificate;
        record.metadata = self.metadata.clone();
        record.justification.clone_from(&self.justification);
        record.expires_at = self.expiry.moment(now);
        record
    }
}
