//! A record as bytes, for what is computed over all of it: one form for each record, whatever it was read from.

use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::{Credential, CredentialEnd, KeyRecord, Metadata};
use crate::access::{Grant, Scope, TenantBinding};
use crate::hash::{SecretOrigin, ShortCheck, StoredProof};
use crate::time::Timestamp;

/// The form is part of every stored binding. Another one needs another name, and the old one beside it.
const FORM: &str = "keyward/record/1";
/// Most records are shorter, so that one allocation does.
const USUAL: usize = 768;

/// Returns the bytes of everything a record says, but for its usage and its binding.
///
/// INVARIANT: records that differ in any of it have different bytes. Texts and lists are preceded by their lengths, what
/// may be absent and what has kinds by a byte that says which; so no byte can move from one field to the next. Nothing here
/// depends on how serde, `Debug` or a feature of `serde_json` would write it.
///
/// There is no `..` in the patterns, so that whoever adds a field decides here what becomes of it.
pub(crate) fn canonical(record: &KeyRecord) -> Vec<u8> {
    let KeyRecord {
        id,
        environment,
        kind,
        owner,
        tenant,
        name,
        description,
        tier,
        tier_override,
        grant,
        denied,
        networks,
        certificate,
        metadata,
        justification,
        created_at,
        created_by,
        expires_at,
        disabled,
        revocation,
        exposed_at,
        last_used: _,
        revision,
        current,
        previous,
        binding: _,
    } = record;
    let mut form = Form(Vec::with_capacity(USUAL));
    form.text(FORM);
    form.text(id.as_str());
    form.text(environment.as_str());
    form.text(kind.as_str());
    form.text(owner.as_str());
    form.tenant(tenant);
    form.text(name);
    form.option(description.as_deref(), Form::text);
    form.option(tier.as_deref(), Form::text);
    form.option(tier_override.as_ref(), |form, over| {
        form.text(&over.tier);
        form.moment(over.until);
    });
    form.grant(grant);
    form.scopes(denied);
    form.option(networks.as_ref(), |form, networks| {
        form.list(networks.as_slice(), |form, network| {
            form.text(&network.to_string());
        });
    });
    form.option(certificate.as_ref(), |form, thumbprint| {
        form.bytes(thumbprint.as_bytes());
    });
    form.metadata(metadata);
    form.option(justification.as_deref(), Form::text);
    form.moment(*created_at);
    form.text(created_by.as_str());
    form.option(*expires_at, Form::moment);
    form.kind(u8::from(*disabled));
    form.option(revocation.as_ref(), |form, revocation| {
        form.moment(revocation.at);
        form.text(revocation.by.as_str());
        form.text(&revocation.reason);
    });
    form.option(*exposed_at, Form::moment);
    form.number(revision.number());
    form.credential(current);
    form.option(previous.as_ref(), Form::credential);
    form.0
}

/// The bytes so far.
struct Form(Vec<u8>);

impl Form {
    fn kind(&mut self, which: u8) {
        self.0.push(which);
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.extend(number.to_be_bytes());
    }

    fn moment(&mut self, moment: Timestamp) {
        self.signed(moment.as_micros());
    }

    fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.kind(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    fn scopes(&mut self, scopes: &[Scope]) {
        self.list(scopes, |form, scope| form.text(scope.as_str()));
    }

    fn tenant(&mut self, tenant: &TenantBinding) {
        match tenant {
            TenantBinding::None => self.kind(0),
            TenantBinding::Tenant(tenant) => {
                self.kind(1);
                self.text(tenant.as_str());
            }
            TenantBinding::Platform => self.kind(2),
        }
    }

    fn grant(&mut self, grant: &Grant) {
        match grant {
            Grant::Role(role) => {
                self.kind(0);
                self.text(role.as_str());
            }
            Grant::Scopes(scopes) => {
                self.kind(1);
                self.scopes(scopes);
            }
            Grant::RoleWithScopes { role, scopes } => {
                self.kind(2);
                self.text(role.as_str());
                self.scopes(scopes);
            }
        }
    }

    fn credential(&mut self, credential: &Credential) {
        let Credential {
            generation,
            digest,
            origin,
            hint,
            proof,
            check,
            created_at,
            end,
            last_used_at: _,
        } = credential;
        self.number(generation.number().into());
        self.text(digest.as_str());
        self.kind(match origin {
            SecretOrigin::Generated => 0,
            SecretOrigin::Imported => 1,
        });
        self.option(hint.as_ref(), |form, hint| form.text(hint.as_str()));
        self.option(proof.as_ref().map(StoredProof::to_text), |form, proof| {
            form.text(&proof);
        });
        self.option(check.as_ref().map(ShortCheck::to_text), |form, check| {
            form.text(&check);
        });
        self.moment(*created_at);
        self.end(*end);
    }

    fn end(&mut self, end: CredentialEnd) {
        match end {
            CredentialEnd::WithKey => self.kind(0),
            CredentialEnd::At(at) => {
                self.kind(1);
                self.moment(at);
            }
            CredentialEnd::OnSuccessorUse(latest) => {
                self.kind(2);
                self.moment(latest);
            }
        }
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.object(metadata.as_map());
    }

    /// Sorted by the bytes of the names, because a map may keep them in the order in which they came.
    fn object(&mut self, map: &Map<String, Value>) {
        let mut members: Vec<_> = map.iter().collect();
        members.sort_unstable_by_key(|(name, _)| name.as_str());
        self.list(&members, |form, (name, value)| {
            form.text(name);
            form.value(value);
        });
    }

    /// As deep as [`Metadata::MAX_DEPTH`] allows.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.kind(0),
            Value::Bool(false) => self.kind(1),
            Value::Bool(true) => self.kind(2),
            Value::Number(number) => self.json_number(number),
            Value::String(text) => {
                self.kind(7);
                self.text(text);
            }
            Value::Array(list) => {
                self.kind(8);
                self.list(list, Self::value);
            }
            Value::Object(map) => {
                self.kind(9);
                self.object(map);
            }
        }
    }

    /// By value: whether `1e5` is kept as it was written depends on a feature that any crate in the tree can switch on.
    fn json_number(&mut self, number: &serde_json::Number) {
        if let Some(whole) = number.as_u64() {
            self.kind(3);
            return self.number(whole);
        }
        if let Some(negative) = number.as_i64().filter(|it| *it < 0) {
            self.kind(4);
            return self.signed(negative);
        }
        let text = number.to_string();
        match Decimal::read(&text) {
            Some(decimal) => {
                self.kind(5);
                self.kind(u8::from(decimal.is_negative));
                self.text(&decimal.digits);
                self.signed(decimal.exponent);
            }
            None => {
                self.kind(6);
                self.text(&text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
