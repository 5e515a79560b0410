//! A record as the values of a statement.

use crate::access::TenantBinding;
use crate::hash::{RowBinding, SecretOrigin, ShortCheck, StoredProof};
use crate::key::{Credential, CredentialEnd, HintTail, KeyRecord, Revision, Thumbprint};
use crate::store::StoreError;
use crate::time::Timestamp;

/// A statement that takes its values one after the other.
pub(super) trait Bind: Sized {
    fn maybe_text(self, value: Option<&str>) -> Self;
    fn maybe_number(self, value: Option<i64>) -> Self;
    fn flag(self, value: bool) -> Self;

    fn text(self, value: &str) -> Self {
        self.maybe_text(Some(value))
    }

    fn number(self, value: i64) -> Self {
        self.maybe_number(Some(value))
    }

    fn time(self, value: Timestamp) -> Self {
        self.number(value.as_micros())
    }

    fn maybe_time(self, value: Option<Timestamp>) -> Self {
        self.maybe_number(value.map(Timestamp::as_micros))
    }

    /// Bit for bit, so that every revision survives; those that occur are small.
    fn revision(self, value: Revision) -> Self {
        self.number(value.number().cast_signed())
    }
}

/// Lists and objects of a record as JSON text, made before anything is bound because making them may fail.
pub(super) struct Texts {
    scopes: Option<String>,
    denied: String,
    networks: Option<String>,
    metadata: String,
}

impl Texts {
    pub(super) fn of(record: &KeyRecord) -> Result<Self, StoreError> {
        Ok(Self {
            scopes: record
                .grant
                .scopes()
                .map(|scopes| json("scopes", scopes))
                .transpose()?,
            denied: json("denied", &record.denied)?,
            networks: record
                .networks
                .as_ref()
                .map(|networks| json("networks", networks))
                .transpose()?,
            metadata: json("metadata", &record.metadata)?,
        })
    }
}

fn json(
    field: &'static str,
    value: &(impl serde::Serialize + ?Sized),
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt(field, error))
}

/// Binds all columns of a new record.
pub(super) fn bind_record<B: Bind>(query: B, record: &KeyRecord, texts: &Texts) -> B {
    let query = query
        .text(record.id.as_str())
        .text(record.environment.as_str())
        .text(record.owner.as_str())
        .time(record.created_at)
        .text(record.created_by.as_str())
        .text(record.kind.as_str());
    let query = bind_changeable(query, record, texts, record.revision);
    let from = record.last_used.and_then(|last| last.from);
    query
        .maybe_time(record.last_used.map(|last| last.at))
        .maybe_text(from.map(|from| from.to_string()).as_deref())
        .maybe_time(record.current.last_used_at)
        .maybe_time(record.previous.as_ref().and_then(|it| it.last_used_at))
}

/// Binds what an update may change: settings, revision, both credentials and the binding.
pub(super) fn bind_changeable<B: Bind>(
    query: B,
    record: &KeyRecord,
    texts: &Texts,
    revision: Revision,
) -> B {
    let query = bind_settings(query, record, texts);
    let query = bind_end(query, record).revision(revision);
    let query = bind_credential(query, Some(&record.current));
    let query = bind_credential(query, record.previous.as_ref());
    let binding = record.binding.as_ref().map(RowBinding::to_text);
    query.maybe_text(binding.as_deref())
}

fn bind_settings<B: Bind>(query: B, record: &KeyRecord, texts: &Texts) -> B {
    let over = record.tier_override.as_ref();
    let certificate = record.certificate.as_ref().map(Thumbprint::to_string);
    query
        .maybe_text(record.tenant.tenant().map(AsRef::as_ref))
        .flag(record.tenant == TenantBinding::Platform)
        .text(&record.name)
        .maybe_text(record.description.as_deref())
        .maybe_text(record.tier.as_deref())
        .maybe_text(over.map(|over| over.tier.as_str()))
        .maybe_time(over.map(|over| over.until))
        .maybe_text(record.grant.role().map(AsRef::as_ref))
        .maybe_text(texts.scopes.as_deref())
        .text(&texts.denied)
        .maybe_text(texts.networks.as_deref())
        .maybe_text(certificate.as_deref())
        .text(&texts.metadata)
        .maybe_text(record.justification.as_deref())
}

fn bind_end<B: Bind>(query: B, record: &KeyRecord) -> B {
    let revocation = record.revocation.as_ref();
    query
        .maybe_time(record.expires_at)
        .flag(record.disabled)
        .maybe_time(revocation.map(|it| it.at))
        .maybe_text(revocation.map(|it| it.by.as_str()))
        .maybe_text(revocation.map(|it| it.reason.as_str()))
        .maybe_time(record.exposed_at)
}

fn bind_credential<B: Bind>(query: B, credential: Option<&Credential>) -> B {
    let proof = credential
        .and_then(|it| it.proof.as_ref())
        .map(StoredProof::to_text);
    let check = credential
        .and_then(|it| it.check.as_ref())
        .map(ShortCheck::to_text);
    let hint = credential
        .and_then(|it| it.hint.as_ref())
        .map(HintTail::as_str);
    query
        .maybe_number(credential.map(|it| it.generation.number().into()))
        .maybe_text(credential.map(|it| it.digest.as_str()))
        .maybe_text(credential.map(|it| origin_word(it.origin)))
        .maybe_text(hint)
        .maybe_text(proof.as_deref())
        .maybe_text(check.as_deref())
        .maybe_time(credential.map(|it| it.created_at))
        .maybe_text(credential.map(|it| end_word(it.end)))
        .maybe_time(credential.and_then(|it| it.end.deadline()))
}

pub(super) const GENERATED: &str = "generated";
pub(super) const IMPORTED: &str = "imported";

const fn origin_word(origin: SecretOrigin) -> &'static str {
    match origin {
        SecretOrigin::Generated => GENERATED,
        SecretOrigin::Imported => IMPORTED,
    }
}

pub(super) const WITH_KEY: &str = "with_key";
pub(super) const AT: &str = "at";
pub(super) const ON_SUCCESSOR_USE: &str = "on_successor_use";

const fn end_word(end: CredentialEnd) -> &'static str {
    match end {
        CredentialEnd::WithKey => WITH_KEY,
        CredentialEnd::At(_) => AT,
        CredentialEnd::OnSuccessorUse(_) => ON_SUCCESSOR_USE,
    }
}
