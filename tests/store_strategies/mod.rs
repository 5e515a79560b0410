//! Arbitrary records, uses and queries. Values that filters compare are drawn from few, so that they meet.

use keyward::access::{Grant, Scope, TenantBinding};
use keyward::hash::{DigestText, RowBinding, SecretOrigin, ShortCheck, StoredProof};
use keyward::key::{
    ActorRef, Credential, CredentialEnd, Environment, Generation, HintTail, KeyId, KeyKind,
    KeyRecord, KeyStatus, LastUse, Metadata, Networks, Revision, Revocation, Thumbprint,
    TierOverride,
};
use keyward::store::{Cursor, ListKeys, ListOrder, Usage, UsageFilter};
use keyward::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: impl AsRef<str>) -> T {
    text.as_ref().parse().unwrap()
}

fn id() -> impl Strategy<Value = KeyId> {
    "[0-3]{8}([ab0]{4})?".prop_map(parsed)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let few = (-2_i64..=2).prop_map(Timestamp::from_micros);
    let any = any::<i64>().prop_map(Timestamp::from_micros);
    prop_oneof![6 => few, 2 => any, 1 => Just(Timestamp::MIN), 1 => Just(Timestamp::MAX)]
}

/// Any text but NUL, which PostgreSQL cannot keep.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\0]{0,12}",
        "['\"\\\\%_;${}\r\n\t -]{0,8}",
        Just(String::new())
    ]
}

fn environment() -> impl Strategy<Value = Environment> {
    let custom = "[a-z0-9]{1,16}".prop_map(|name| Environment::custom(&name).unwrap());
    prop_oneof![Just(Environment::live()), Just(Environment::test()), custom]
}

fn owner() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("A".to_owned()),
        Just("%".to_owned()),
        "[a-z é用%_'\"\\\\]{1,9}"
    ]
}

fn tenant() -> impl Strategy<Value = TenantBinding> {
    prop_oneof![
        Just(TenantBinding::None),
        Just(TenantBinding::Platform),
        "[tT][*%]?".prop_map(|name| TenantBinding::Tenant(parsed(name))),
    ]
}

fn scopes() -> impl Strategy<Value = Vec<Scope>> {
    let found = any::<String>().prop_map(Scope::from_stored);
    let proper = "[a-z]{1,5}(:[a-z]{1,3}){0,2}(:\\*)?".prop_map(Scope::from_stored);
    vec(prop_oneof![found, proper], 0..5)
}

fn grant() -> impl Strategy<Value = Grant> {
    let role = || "[rR][.]?".prop_map(parsed);
    prop_oneof![
        role().prop_map(Grant::Role),
        scopes().prop_map(Grant::Scopes),
        (role(), scopes()).prop_map(|(role, scopes)| Grant::RoleWithScopes { role, scopes }),
    ]
}

fn networks() -> impl Strategy<Value = Networks> {
    let network = (any::<std::net::IpAddr>(), 0_u8..=128).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        format!("{address}/{}", length.min(longest))
    });
    vec(network, 0..4).prop_map(|list| Networks::parse(list.iter().map(String::as_str)).unwrap())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let object = proptest::collection::btree_map(any::<String>(), inner.clone(), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let object = proptest::collection::btree_map("[a-z]{0,4}", json(), 0..4);
    object.prop_map(|map| Metadata::try_from(map.into_iter().collect::<Value>()).unwrap())
}

fn actor() -> impl Strategy<Value = ActorRef> {
    "[a-zé]{1,9}(:[^\\p{Cc}]{0,9})?".prop_map(parsed)
}

fn end() -> impl Strategy<Value = CredentialEnd> {
    prop_oneof![
        Just(CredentialEnd::WithKey),
        moment().prop_map(CredentialEnd::At),
        moment().prop_map(CredentialEnd::OnSuccessorUse),
    ]
}

fn generation() -> impl Strategy<Value = Generation> {
    prop_oneof![8 => 1_u32..4, 1 => any::<u32>()].prop_map(Generation::new)
}

prop_compose! {
    fn credential()(
        generation in generation(),
        digest in text(),
        imported in any::<bool>(),
        hint in option::of("[0-9A-Za-z]{4}"),
        proof in option::of((1_u32.., "[0-9A-Za-z]{42}A")),
        check in option::of((0_u32.., "[0-9a-f]{8}")),
        created_at in moment(),
        end in end(),
        last_used_at in option::of(moment()),
    ) -> Credential {
        let origin = if imported { SecretOrigin::Imported } else { SecretOrigin::Generated };
        let mut credential = Credential::new(DigestText::new(digest), origin, created_at);
        credential.generation = generation;
        credential.hint = hint.map(parsed::<HintTail>);
        credential.proof = proof.map(|(v, mac)| StoredProof::from_text(&format!("v={v}${mac}")));
        credential.check = check.map(|(v, bits)| ShortCheck::from_text(&format!("v={v}${bits}")));
        credential.end = end;
        credential.last_used_at = last_used_at;
        credential
    }
}

prop_compose! {
    fn identity()(
        id in id(),
        environment in environment(),
        owner in owner(),
        name in text(),
        grant in grant(),
        current in credential().boxed(),
        created_at in moment(),
        created_by in actor(),
    ) -> KeyRecord {
        KeyRecord::new(id, environment, parsed(owner), name, grant, current, created_at, created_by)
    }
}

prop_compose! {
    fn described()(
        mut record in identity().boxed(),
        tenant in tenant(),
        description in option::of(text()),
        tier in option::of(text()),
        over in option::of((text(), moment())),
        denied in scopes(),
        networks in option::of(networks()),
        certificate in option::of(any::<[u8; 32]>()),
        metadata in metadata().boxed(),
        justification in option::of(text()),
    ) -> KeyRecord {
        record.tenant = tenant;
        record.description = description;
        record.tier = tier;
        record.tier_override = over.map(|(tier, until)| TierOverride::new(tier, until));
        record.denied = denied;
        record.networks = networks;
        record.certificate = certificate.map(Thumbprint::new);
        record.metadata = metadata;
        record.justification = justification;
        record
    }
}

prop_compose! {
    /// Any record at all.
    pub(crate) fn any_record()(
        mut record in described().boxed(),
        expires_at in option::of(moment()),
        disabled in any::<bool>(),
        revocation in option::of((moment(), actor(), text())),
        exposed_at in option::of(moment()),
        last_used in option::of((moment(), any::<Option<std::net::IpAddr>>())),
        revision in any::<u64>(),
        previous in option::of(credential().boxed()),
        publishable in any::<bool>(),
        binding in option::of(text()),
    ) -> KeyRecord {
        record.expires_at = expires_at;
        record.disabled = disabled;
        record.revocation = revocation.map(|(at, by, reason)| Revocation::new(at, by, reason));
        record.exposed_at = exposed_at;
        record.last_used = last_used.map(|(at, from)| LastUse::new(at, from));
        record.revision = Revision::new(revision);
        record.previous = previous;
        record.kind = if publishable { KeyKind::Publishable } else { KeyKind::Secret };
        record.binding = binding.map(|text| RowBinding::from_text(&text));
        record
    }
}

/// Any use.
pub(crate) fn any_usage() -> impl Strategy<Value = Usage> {
    let from = any::<Option<std::net::IpAddr>>();
    (id(), generation(), moment(), from)
        .prop_map(|(id, generation, at, from)| Usage::new(id, generation, at, from))
}

fn status() -> impl Strategy<Value = KeyStatus> {
    prop_oneof![
        Just(KeyStatus::Active),
        Just(KeyStatus::Disabled),
        Just(KeyStatus::Expired),
        Just(KeyStatus::Revoked),
    ]
}

fn unused() -> impl Strategy<Value = UsageFilter> {
    prop_oneof![
        Just(UsageFilter::Never),
        moment().prop_map(UsageFilter::NotSince)
    ]
}

fn order() -> impl Strategy<Value = ListOrder> {
    prop_oneof![
        2 => Just(ListOrder::NewestFirst),
        1 => Just(ListOrder::SoonestExpiry),
        1 => Just(ListOrder::OldestSecret),
    ]
}

prop_compose! {
    /// Any query: each filter mostly absent, so that the combinations find something.
    pub(crate) fn any_query()(
        owner in option::weighted(0.3, owner()),
        tenant in option::weighted(0.3, "[tT]"),
        environment in option::weighted(0.2, environment()),
        role in option::weighted(0.2, "[rR]"),
        status in option::weighted(0.3, (status(), moment())),
        moments in vec(option::weighted(0.2, moment()), 3),
        usage in option::weighted(0.2, unused()),
        exposed in proptest::bool::weighted(0.2),
        order in order(),
        after in option::weighted(0.3, (moment(), id())),
        limit in prop_oneof![0_u32..6, Just(100)],
    ) -> ListKeys {
        let mut query = ListKeys::new().with_limit(limit);
        query.owner = owner.map(parsed);
        query.tenant = tenant.map(parsed);
        query.environment = environment;
        query.role = role.map(parsed);
        query.status = status;
        query.expires_before = moments[0];
        query.created_before = moments[1];
        query.rotated_before = moments[2];
        query.usage = usage;
        query.exposed = exposed;
        query.order = order;
        query.after = after.map(|(at, id)| parsed::<Cursor>(format!("{}.{id}", at.as_micros())));
        query
    }
}
