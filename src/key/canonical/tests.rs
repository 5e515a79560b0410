use serde_json::json;

use super::*;
use crate::hash::{DigestText, RowBinding};
use crate::key::{
    Environment, Generation, KeyKind, LastUse, Revision, Revocation, Thumbprint, TierOverride,
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_700_000_001);

fn record() -> KeyRecord {
    let digest = DigestText::new("$2b$12$not-a-real-digest-1");
    KeyRecord::new(
        "0aZ9bY8cX7dW".parse().unwrap(),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(vec!["leads:read".parse().unwrap()]),
        Credential::new(digest, SecretOrigin::Generated, NOW),
        NOW,
        "user:ana".parse().unwrap(),
    )
}

fn scopes(list: &[&str]) -> Vec<Scope> {
    list.iter().map(|it| it.parse().unwrap()).collect()
}

fn metadata(value: Value) -> Metadata {
    Metadata::try_from(value).unwrap()
}

/// The record with everything set, for the vector.
fn full() -> KeyRecord {
    let mut record = record();
    record.tenant = TenantBinding::Tenant("t1".parse().unwrap());
    record.description = Some("nächtlich".into());
    record.tier = Some("pro".into());
    record.tier_override = Some(TierOverride::new("gold", LATER));
    record.grant = Grant::RoleWithScopes {
        role: "broker".parse().unwrap(),
        scopes: scopes(&["a", "b:*"]),
    };
    record.denied = scopes(&["leads:delete"]);
    record.networks = Some("10.0.0.0/8, 2001:db8::/32".parse().unwrap());
    record.certificate = Some(Thumbprint::new([7; 32]));
    record.metadata = metadata(json!({"b": [1, -2, 0.25, null], "a": {"yes": true, "no": false}}));
    record.justification = Some("ticket 7".into());
    record.expires_at = Some(LATER);
    record.disabled = true;
    record.revocation = Some(Revocation::new(
        LATER,
        "user:bob".parse().unwrap(),
        "x".into(),
    ));
    record.exposed_at = Some(NOW);
    record.revision = Revision::new(9);
    record.previous = Some(record.current.clone());
    record.current.generation = Generation::new(2);
    record.current.hint = Some("a1B2".parse().unwrap());
    record.current.proof = Some(StoredProof::from_text(&format!("v=3${}", "A".repeat(43))));
    record.current.check = Some(ShortCheck::from_text("v=3$0badcafe"));
    record.current.end = CredentialEnd::OnSuccessorUse(LATER);
    record
}

type Edit = fn(&mut KeyRecord);

/// Each makes another record of the one it is given, in one field.
const EDITS: &[Edit] = &[
    |it| it.id = "0aZ9bY8cX7dX".parse().unwrap(),
    |it| it.environment = Environment::test(),
    |it| it.kind = KeyKind::Publishable,
    |it| it.owner = "acmf".parse().unwrap(),
    |it| it.tenant = TenantBinding::Platform,
    |it| it.tenant = TenantBinding::Tenant("t2".parse().unwrap()),
    |it| it.name.push('s'),
    |it| it.description = Some(String::new()),
    |it| it.description = Some("x".into()),
    |it| it.tier = Some("x".into()),
    |it| it.tier_override = Some(TierOverride::new("x", NOW)),
    |it| it.tier_override = Some(TierOverride::new("x", LATER)),
    |it| it.tier_override = Some(TierOverride::new("y", NOW)),
    |it| it.grant = Grant::Scopes(Vec::new()),
    |it| it.grant = Grant::Scopes(scopes(&["a", "b"])),
    |it| it.grant = Grant::Scopes(scopes(&["b", "a"])),
    |it| it.grant = Grant::Role("a".parse().unwrap()),
    |it| {
        it.grant = Grant::RoleWithScopes {
            role: "a".parse().unwrap(),
            scopes: Vec::new(),
        }
    },
    |it| it.denied = scopes(&["a", "b"]),
    |it| it.denied = scopes(&["a"]),
    |it| it.networks = Some("".parse().unwrap()),
    |it| it.networks = Some("10.0.0.0/8".parse().unwrap()),
    |it| it.networks = Some("10.0.0.0/9".parse().unwrap()),
    |it| it.networks = Some("10.0.0.0/8, 10.0.0.0/8".parse().unwrap()),
    |it| it.certificate = Some(Thumbprint::new([0; 32])),
    |it| it.certificate = Some(Thumbprint::new([1; 32])),
    |it| it.metadata = metadata(json!({"a": 1})),
    |it| it.metadata = metadata(json!({"a": 2})),
    |it| it.metadata = metadata(json!({"a": 1.0})),
    |it| it.metadata = metadata(json!({"a": -1})),
    |it| it.metadata = metadata(json!({"a": 0.1})),
    |it| it.metadata = metadata(json!({"a": 0.100_000_000_000_000_02})),
    |it| it.metadata = metadata(json!({"a": "1"})),
    |it| it.metadata = metadata(json!({"a": [1]})),
    |it| it.metadata = metadata(json!({"a": null})),
    |it| it.metadata = metadata(json!({"a": false})),
    |it| it.metadata = metadata(json!({"a": true})),
    |it| it.metadata = metadata(json!({"a": {}})),
    |it| it.metadata = metadata(json!({"a": []})),
    |it| it.metadata = metadata(json!({"a": [[]]})),
    |it| it.metadata = metadata(json!({"a": [[], []]})),
    |it| it.metadata = metadata(json!({"b": 1})),
    |it| it.justification = Some("x".into()),
    |it| it.created_at = LATER,
    |it| it.created_by = "user:bob".parse().unwrap(),
    |it| it.expires_at = Some(NOW),
    |it| it.expires_at = Some(LATER),
    |it| it.disabled = true,
    |it| {
        it.revocation = Some(Revocation::new(
            NOW,
            "user:ana".parse().unwrap(),
            "x".into(),
        ));
    },
    |it| {
        it.revocation = Some(Revocation::new(
            LATER,
            "user:ana".parse().unwrap(),
            "x".into(),
        ));
    },
    |it| {
        it.revocation = Some(Revocation::new(
            NOW,
            "user:bob".parse().unwrap(),
            "x".into(),
        ));
    },
    |it| {
        it.revocation = Some(Revocation::new(
            NOW,
            "user:ana".parse().unwrap(),
            "y".into(),
        ));
    },
    |it| it.exposed_at = Some(NOW),
    |it| it.exposed_at = Some(LATER),
    |it| it.revision = it.revision.next(),
    |it| it.current.generation = it.current.generation.next(),
    |it| it.current.digest = DigestText::new("$2b$12$not-a-real-digest-2"),
    |it| it.current.origin = SecretOrigin::Imported,
    |it| it.current.hint = Some("a1B2".parse().unwrap()),
    |it| it.current.hint = Some("a1B3".parse().unwrap()),
    |it| it.current.proof = Some(StoredProof::from_text("")),
    |it| it.current.check = Some(ShortCheck::from_text("")),
    |it| it.current.created_at = LATER,
    |it| it.current.end = CredentialEnd::At(NOW),
    |it| it.current.end = CredentialEnd::OnSuccessorUse(NOW),
    |it| it.current.end = CredentialEnd::At(LATER),
    |it| it.previous = Some(it.current.clone()),
    |it| {
        let mut previous = it.current.clone();
        previous.generation = previous.generation.next();
        it.previous = Some(previous);
    },
];

#[test]
fn records_that_differ_in_one_field_have_different_bytes() {
    let mut forms = vec![canonical(&record())];
    for (at, edit) in EDITS.iter().enumerate() {
        let mut edited = record();
        edit(&mut edited);
        let form = canonical(&edited);
        assert!(!forms.contains(&form), "edit {at}");
        forms.push(form);
    }
}

#[test]
fn usage_and_the_binding_itself_are_left_out() {
    let mut other = full();
    other.last_used = Some(LastUse::new(NOW, None));
    other.current.last_used_at = Some(NOW);
    other.previous.as_mut().unwrap().last_used_at = Some(NOW);
    other.binding = Some(RowBinding::from_text("v=1$nonsense"));
    assert_eq!(canonical(&other), canonical(&full()));
}

#[test]
fn the_order_of_names_in_metadata_says_nothing() {
    let texts = [
        r#"{"b":{"d":1,"c":2},"a":100000.0}"#,
        r#"{"a":1e5,"b":{"c":2,"d":1}}"#,
    ];
    let [one, other] = texts.map(|text| {
        let mut record = record();
        record.metadata = serde_json::from_str(text).unwrap();
        canonical(&record)
    });
    assert_eq!(one, other);
}

/// Every binding in every table depends on this. `tests/cases/row_binding.py` computes the same.
#[test]
fn the_form_never_changes() {
    use sha2::{Digest as _, Sha256};
    let form = canonical(&full());
    let sum: String = Sha256::digest(&form)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (form.len(), sum.as_str()),
        (
            733,
            "b3dd3fd3ba53f86f9ed4ddef787fd4af00df69ef20db0285a91ad2189537e06f"
        )
    );
}
