//! Records to try a store with, and short ways to put them in and get them out.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::access::{Grant, Scope, TenantBinding};
use crate::hash::{DigestText, RowBinding, SecretOrigin, ShortCheck, StoredProof};
use crate::key::{
    Credential, CredentialEnd, Environment, Generation, KeyId, KeyKind, KeyRecord, LastUse,
    Metadata, Revision, Revocation, Thumbprint, TierOverride,
};
use crate::store::{InsertKey, KeyStore, StoreError};
use crate::time::Timestamp;

/// 2023-11-14T22:13:20Z.
pub(in crate::testing) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(in crate::testing) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(in crate::testing) fn read<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a literal of the right form")
}

pub(in crate::testing) fn id(number: u32) -> KeyId {
    read(&format!("{number:012}"))
}

/// A key with nothing optional set.
pub(in crate::testing) fn plain(number: u32, owner: &str) -> KeyRecord {
    KeyRecord::new(
        id(number),
        Environment::live(),
        read(owner),
        format!("key {number}"),
        Grant::Scopes(vec![read("billing:read")]),
        credential(1, NOW),
        NOW,
        read("user:ana"),
    )
}

pub(in crate::testing) fn credential(generation: u32, created_at: Timestamp) -> Credential {
    let digest = format!("$2b$12$not-a-real-digest-{generation}");
    let mut credential =
        Credential::new(DigestText::new(digest), SecretOrigin::Generated, created_at);
    credential.generation = Generation::new(generation);
    credential.hint = Some(read("a1B2"));
    credential
}

/// A key with everything set that can be, usage aside.
pub(in crate::testing) fn full(number: u32) -> KeyRecord {
    let mut record = plain(number, "Zoë's team / 7 % _ \\ ' \" 用户");
    record.environment = read("staging7");
    record.tenant = TenantBinding::Tenant(read("acme/eu-1"));
    record.name = " nächtlicher Export\t".into();
    record.description = Some("two\nlines, 'quotes' \"and\" \\ more; -- ".into());
    record.tier = Some("pro".into());
    record.tier_override = Some(TierOverride::new("enterprise", NOW.saturating_add(DAY)));
    record.grant = Grant::RoleWithScopes {
        role: read("broker"),
        scopes: vec![read("leads:*"), Scope::from_stored("re*\0\n\u{202e}")],
    };
    record.denied = vec![read("leads:delete"), Scope::from_stored("*")];
    record.networks = Some(read("10.0.0.0/8, 192.0.2.1, 2001:db8::/32"));
    record.certificate = Some(Thumbprint::new([0xa5; 32]));
    record.metadata = metadata(json!({
        "plan": "gold", "": null, "nested": {"list": [1, -1.5e300, true, "\u{0}é"]},
        "largest": u64::MAX, "smallest": i64::MIN, "fraction": 0.1, "awkward": 2.225_073_858_507_201_4e-308,
    }));
    record.justification = Some("customer contract 4711".into());
    record.created_by = read("key:0aZ9bY8cX7dW");
    record.expires_at = Some(Timestamp::from_micros(1_700_000_000_000_001));
    record.disabled = true;
    record.revocation = Some(Revocation::new(
        NOW.saturating_add(DAY),
        read("user:Zoë"),
        "found in a public repository".into(),
    ));
    record.exposed_at = Some(NOW);
    record.revision = Revision::new(41);
    record.current = keyed(8, CredentialEnd::At(NOW.saturating_add(DAY)));
    record.previous = Some(keyed(7, CredentialEnd::OnSuccessorUse(NOW)));
    record.kind = KeyKind::Publishable;
    record.binding = Some(RowBinding::from_text(&format!(
        "v=3${}",
        "B".repeat(42) + "A"
    )));
    record
}

fn keyed(generation: u32, end: CredentialEnd) -> Credential {
    let mut credential = credential(generation, NOW);
    credential.origin = SecretOrigin::Imported;
    credential.proof = Some(StoredProof::from_text(&format!("v=3${}", "A".repeat(43))));
    credential.check = Some(ShortCheck::from_text("v=3$0badcafe"));
    credential.end = end;
    credential
}

pub(in crate::testing) fn metadata(value: serde_json::Value) -> Metadata {
    value.try_into().expect("an object of acceptable size")
}

/// Records at the edges of what a record can hold, usage aside.
pub(in crate::testing) fn edges() -> Vec<KeyRecord> {
    let mut earliest = plain(1, "edge");
    earliest.created_at = Timestamp::MIN;
    earliest.expires_at = Some(Timestamp::MIN);
    earliest.exposed_at = Some(Timestamp::MIN);
    earliest.current.created_at = Timestamp::MIN;
    earliest.current.end = CredentialEnd::At(Timestamp::MIN);

    let mut latest = plain(2, "edge");
    latest.created_at = Timestamp::MAX;
    latest.expires_at = Some(Timestamp::MAX);
    latest.exposed_at = Some(Timestamp::MAX);
    latest.current.created_at = Timestamp::MAX;
    latest.current.end = CredentialEnd::OnSuccessorUse(Timestamp::MAX);
    latest.current.generation = Generation::new(u32::MAX);
    latest.revision = Revision::new(u64::MAX);

    let mut nothing = plain(3, "edge");
    nothing.tenant = TenantBinding::Platform;
    nothing.grant = Grant::Scopes(Vec::new());
    nothing.networks = Some(read(""));
    nothing.current.hint = None;
    nothing.description = Some(String::new());

    let mut role = plain(4, "edge");
    role.grant = Grant::Role(read("broker"));

    let mut large = plain(5, &"o".repeat(255));
    large.description = Some("é".repeat(512));
    large.metadata = metadata(json!({"text": "x".repeat(16_000)}));
    large.denied = (0..100).map(|n| read(&format!("scope:{n}"))).collect();

    let mut compact = plain(6, "edge");
    compact.id = read("abcdefgZ");
    vec![earliest, latest, nothing, role, large, compact]
}

/// The same record as it is after uses of both secrets.
pub(in crate::testing) fn used(mut record: KeyRecord) -> KeyRecord {
    let from = Some(read("2001:db8::7"));
    record.last_used = Some(LastUse::new(NOW.saturating_add(DAY), from));
    record.current.last_used_at = Some(NOW.saturating_add(DAY));
    if let Some(previous) = &mut record.previous {
        previous.last_used_at = Some(Timestamp::from_micros(-1));
    }
    record
}

/// What a rotation leaves: a new current secret, the old one as the previous.
pub(in crate::testing) fn rotated(record: &KeyRecord) -> KeyRecord {
    let mut next = record.clone();
    let generation = record.current.generation.next().number();
    next.current = credential(generation, NOW.saturating_add(DAY));
    next.previous = Some(record.current.clone());
    next
}

pub(in crate::testing) async fn insert(store: &dyn KeyStore, record: &KeyRecord) {
    let inserted = store.insert(InsertKey::new(record.clone())).await;
    inserted.expect("an insert of a new id succeeds");
}

pub(in crate::testing) async fn find(store: &dyn KeyStore, id: &KeyId) -> Option<Arc<KeyRecord>> {
    store.find(id).await.expect("a find succeeds")
}

pub(in crate::testing) async fn stored(store: &dyn KeyStore, id: &KeyId) -> KeyRecord {
    let found = find(store, id).await.expect("the record is there");
    KeyRecord::clone(&found)
}

/// Asserts what a call was refused with.
macro_rules! refused {
    ($outcome:expr, $error:pat) => {
        match $outcome {
            Err($error) => {}
            other => panic!("expected {}, not {other:?}", stringify!($error)),
        }
    };
}

pub(in crate::testing) use refused;

pub(in crate::testing) type Outcome<T> = Result<T, StoreError>;
