//! The evaluator against a naive model that shares no code with it, and the laws that hold for every input.
//!
//! The model works on lists of segments and on sets of permissions drawn from a small universe, so that the inputs
//! collide often: equal names, parents, siblings with the same first letters, stars in the wrong places.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails should stop the test at once"
)]

use std::collections::BTreeSet;

use keyward::access::{
    AccessPolicy, Grant, Permission, Requirement, Role, Scope, Subject, Target, TenantBinding,
    TenantId, TenantReach,
};
use keyward::key::KeyKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const UNIVERSE: [&str; 8] = ["a", "ab", "a:b", "a:bc", "a:b:c", "a:b:d", "b", "b:a"];
const SCOPES: [&str; 18] = [
    "a", "ab", "a:b", "a:bc", "a:b:c", "b", "b:a", "a:*", "a:b:*", "ab:*",
    "b:*", // well-formed
    "*", "a*", "a:b*", "*:b", "A", "a ", "",
];
const WELL_FORMED: usize = 11;
const ROLES: [&str; 3] = ["one", "two", "ghost"];
const TENANTS: [&str; 3] = ["t", "t1", "T1"];

#[derive(Clone, Debug)]
struct Key {
    role: Option<&'static str>,
    scopes: Option<Vec<&'static str>>,
    denied: Vec<&'static str>,
    /// `*` is platform-wide.
    tenant: Option<&'static str>,
    kind: KeyKind,
}

#[derive(Clone, Debug)]
struct RoleModel {
    grants: Vec<&'static str>,
    everywhere: bool,
}

#[derive(Clone, Debug)]
struct PolicyModel {
    roles: [RoleModel; 2],
    publishable: Vec<&'static str>,
}

#[derive(Clone, Debug)]
enum Need {
    One(&'static str),
    Any(Vec<Self>),
    All(Vec<Self>),
}

#[derive(Clone, Copy, Debug)]
enum About {
    Service,
    Resource(Option<&'static str>),
}

// ---- the model -------------------------------------------------------------------------------------------------

fn model_covers(scope: &str, permission: &str) -> bool {
    let pattern: Vec<&str> = scope.split(':').collect();
    let name: Vec<&str> = permission.split(':').collect();
    match pattern.split_last() {
        Some((&"*", parent)) if !parent.is_empty() => {
            name.len() > parent.len() && name.starts_with(parent)
        }
        _ => pattern == name,
    }
}

fn model_set(scopes: &[&str]) -> BTreeSet<&'static str> {
    let covered = |name: &&str| scopes.iter().any(|scope| model_covers(scope, name));
    UNIVERSE.into_iter().filter(covered).collect()
}

fn model_role<'a>(model: &'a PolicyModel, name: &str) -> Option<&'a RoleModel> {
    let at = ROLES.iter().position(|role| *role == name)?;
    model.roles.get(at)
}

fn model_holds(model: &PolicyModel, key: &Key) -> BTreeSet<&'static str> {
    if key
        .denied
        .iter()
        .any(|text| !SCOPES[..WELL_FORMED].contains(text))
    {
        return BTreeSet::new();
    }
    let mut held: BTreeSet<&str> = UNIVERSE.into_iter().collect();
    if key.kind == KeyKind::Publishable {
        held = model_set(&model.publishable);
    }
    if let Some(name) = key.role {
        let granted = model_role(model, name).map(|role| model_set(&role.grants));
        held = &held & &granted.unwrap_or_default();
    }
    if let Some(scopes) = &key.scopes {
        held = &held & &model_set(scopes);
    }
    &held - &model_set(&key.denied)
}

fn model_meets(held: &BTreeSet<&str>, need: &Need) -> bool {
    match need {
        Need::One(name) => held.contains(name),
        Need::Any(parts) => parts.iter().any(|part| model_meets(held, part)),
        Need::All(parts) => !parts.is_empty() && parts.iter().all(|part| model_meets(held, part)),
    }
}

fn model_reaches(model: &PolicyModel, key: &Key, about: About) -> bool {
    match (about, key.tenant) {
        (About::Service, _) => true,
        (About::Resource(None), _) | (_, None) => false,
        (About::Resource(Some(_)), Some("*")) if key.kind == KeyKind::Publishable => false,
        (About::Resource(Some(_)), Some("*")) => {
            let role = key.role.and_then(|name| model_role(model, name));
            role.is_some_and(|role| role.everywhere)
        }
        (About::Resource(Some(wanted)), Some(own)) => wanted == own,
    }
}

fn model_allows(model: &PolicyModel, key: &Key, need: &Need, about: About) -> bool {
    let known = key
        .role
        .is_none_or(|name| model_role(model, name).is_some());
    known && model_reaches(model, key, about) && model_meets(&model_holds(model, key), need)
}

// ---- the real thing --------------------------------------------------------------------------------------------

fn policy(model: &PolicyModel) -> AccessPolicy {
    let build = |(name, model): (&&str, &RoleModel)| {
        let reach = if model.everywhere {
            TenantReach::AllTenants
        } else {
            TenantReach::Bound
        };
        Role::new(name, &model.grants).unwrap().with_reach(reach)
    };
    AccessPolicy::builder()
        .roles(ROLES.iter().zip(&model.roles).map(build))
        .publishable(&model.publishable)
        .build()
        .unwrap()
}

fn stored(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|&text| Scope::from_stored(text)).collect()
}

fn grant(key: &Key) -> Grant {
    let role = key.role.map(|name| name.parse().unwrap());
    match (role, key.scopes.as_deref().map(stored)) {
        (Some(role), None) => Grant::Role(role),
        (Some(role), Some(scopes)) => Grant::RoleWithScopes { role, scopes },
        (None, scopes) => Grant::Scopes(scopes.unwrap_or_default()),
    }
}

fn binding(key: &Key) -> TenantBinding {
    match key.tenant {
        None => TenantBinding::None,
        Some("*") => TenantBinding::Platform,
        Some(tenant) => TenantBinding::Tenant(tenant.parse().unwrap()),
    }
}

fn requirement(need: &Need) -> Requirement {
    match need {
        Need::One(name) => Requirement::permission(name.parse().unwrap()),
        Need::Any(parts) => Requirement::any(parts.iter().map(requirement)),
        Need::All(parts) => Requirement::all(parts.iter().map(requirement)),
    }
}

fn allows(policy: &AccessPolicy, key: &Key, requirement: &Requirement, about: About) -> bool {
    let (grant, denied, binding) = (grant(key), stored(&key.denied), binding(key));
    let subject = Subject::new(&grant, &denied, &binding, key.kind);
    let tenant: TenantId;
    let target = match about {
        About::Service => Target::Service,
        About::Resource(None) => Target::Unknown,
        About::Resource(Some(name)) => {
            tenant = name.parse().unwrap();
            Target::Tenant(&tenant)
        }
    };
    policy.evaluate(&subject, requirement, &target).is_allowed()
}

fn within(policy: &AccessPolicy, actor: &Key, child: &Key) -> bool {
    let (ag, ad, ab) = (grant(actor), stored(&actor.denied), binding(actor));
    let (cg, cd, cb) = (grant(child), stored(&child.denied), binding(child));
    policy
        .within(
            &Subject::new(&ag, &ad, &ab, actor.kind),
            &Subject::new(&cg, &cd, &cb, child.kind),
        )
        .is_ok()
}

fn one(name: &str) -> Requirement {
    Requirement::permission(name.parse().unwrap())
}

// ---- inputs ----------------------------------------------------------------------------------------------------

fn scope_list() -> impl Strategy<Value = Vec<&'static str>> {
    // Mostly well-formed: one unreadable denial decides everything, and would leave little to compare.
    let text = prop_oneof![
        9 => select(&SCOPES[..WELL_FORMED]),
        1 => select(&SCOPES[WELL_FORMED..]),
    ];
    vec(text, 0..5)
}

fn policies() -> impl Strategy<Value = PolicyModel> {
    let role = (subsequence(&SCOPES[..WELL_FORMED], 0..=6), any::<bool>());
    let role = role.prop_map(|(grants, everywhere)| RoleModel { grants, everywhere });
    let publishable = subsequence(&SCOPES[..WELL_FORMED], 0..=6);
    ([role.clone(), role], publishable)
        .prop_map(|(roles, publishable)| PolicyModel { roles, publishable })
}

fn key() -> impl Strategy<Value = Key> {
    let carried = prop_oneof![
        select(&ROLES[..]).prop_map(|role| (Some(role), None)),
        scope_list().prop_map(|scopes| (None, Some(scopes))),
        (select(&ROLES[..]), scope_list()).prop_map(|(role, scopes)| (Some(role), Some(scopes))),
    ];
    let denied = prop_oneof![Just(Vec::new()), scope_list()];
    let tenant = prop_oneof![
        Just(None),
        Just(Some("*")),
        select(&TENANTS[..]).prop_map(Some)
    ];
    let kind = prop_oneof![3 => Just(KeyKind::Secret), 1 => Just(KeyKind::Publishable)];
    (carried, denied, tenant, kind).prop_map(|((role, scopes), denied, tenant, kind)| Key {
        role,
        scopes,
        denied,
        tenant,
        kind,
    })
}

/// Keys that share much with another, so that handing one out often succeeds and just as often barely fails.
fn heir(of: Key) -> impl Strategy<Value = Key> {
    let like = |weight| prop::bool::weighted(weight);
    (key(), like(0.5), like(0.9), like(0.9)).prop_map(move |(fresh, grant, denied, tenant)| {
        let carried = if grant { of.clone() } else { fresh.clone() };
        let kept = if denied {
            of.denied.clone()
        } else {
            Vec::new()
        };
        Key {
            role: carried.role,
            scopes: carried.scopes,
            denied: [kept, fresh.denied].concat(),
            tenant: if tenant { of.tenant } else { fresh.tenant },
            kind: fresh.kind,
        }
    })
}

fn pair() -> impl Strategy<Value = (Key, Key)> {
    key().prop_flat_map(|actor| (Just(actor.clone()), heir(actor)))
}

fn chain() -> impl Strategy<Value = (Key, Key, Key)> {
    pair().prop_flat_map(|(actor, child)| (Just(actor), Just(child.clone()), heir(child)))
}

fn need() -> impl Strategy<Value = Need> {
    let leaf = select(&UNIVERSE[..]).prop_map(Need::One);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Need::Any),
            vec(inner, 0..4).prop_map(Need::All),
        ]
    })
}

fn need_without_empty_groups() -> impl Strategy<Value = Need> {
    let leaf = select(&UNIVERSE[..]).prop_map(Need::One);
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Need::Any),
            vec(inner, 1..4).prop_map(Need::All),
        ]
    })
}

fn about() -> impl Strategy<Value = About> {
    prop_oneof![
        Just(About::Service),
        Just(About::Resource(None)),
        select(&TENANTS[..]).prop_map(|tenant| About::Resource(Some(tenant))),
    ]
}

/// Everything a key could be asked, one permission at a time.
fn questions() -> impl Iterator<Item = (&'static str, About)> {
    let resources = TENANTS
        .into_iter()
        .map(|tenant| About::Resource(Some(tenant)));
    let targets: Vec<About> = resources
        .chain([About::Service, About::Resource(None)])
        .collect();
    UNIVERSE.into_iter().flat_map(move |name| {
        let targets = targets.clone();
        targets.into_iter().map(move |about| (name, about))
    })
}

fn assert_not_wider(policy: &AccessPolicy, narrow: &Key, wide: &Key) -> Result<(), TestCaseError> {
    for (name, about) in questions() {
        let narrow_may = allows(policy, narrow, &one(name), about);
        let wide_may = allows(policy, wide, &one(name), about);
        prop_assert!(!narrow_may || wide_may, "{name} {about:?}");
    }
    Ok(())
}

// ---- laws ------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_the_naive_model(model in policies(), key in key(), need in need(), about in about()) {
        let real = allows(&policy(&model), &key, &requirement(&need), about);
        prop_assert_eq!(real, model_allows(&model, &key, &need, about));
    }

    #[test]
    fn decides_every_single_question_as_the_naive_model(model in policies(), key in key()) {
        let policy = policy(&model);
        for (name, about) in questions() {
            let real = allows(&policy, &key, &one(name), about);
            prop_assert_eq!(real, model_allows(&model, &key, &Need::One(name), about), "{} {:?}", name, about);
        }
    }

    #[test]
    fn l1_a_key_with_nothing_may_do_nothing(model in policies(), need in need(), about in about()) {
        let key = Key { role: None, scopes: Some(Vec::new()), denied: Vec::new(), tenant: Some("*"), kind: KeyKind::Secret };
        prop_assert!(!allows(&policy(&model), &key, &requirement(&need), about));
    }

    #[test]
    fn l4_what_is_denied_is_never_allowed(
        model in policies(), mut key in key(), name in select(&UNIVERSE[..]), need in need(), about in about(),
    ) {
        key.denied.push(name);
        let requirement = Requirement::all([one(name), requirement(&need)]);
        prop_assert!(!allows(&policy(&model), &key, &requirement, about));
    }

    #[test]
    fn l13_groups_are_boolean_combinations(
        model in policies(), key in key(), needs in vec(need(), 1..5), about in about(),
    ) {
        let policy = policy(&model);
        let may = |need: &Need| allows(&policy, &key, &requirement(need), about);
        let (any, all) = (Need::Any(needs.clone()), Need::All(needs.clone()));
        prop_assert_eq!(may(&any), needs.iter().any(may));
        prop_assert_eq!(may(&all), needs.iter().all(may));
    }

    #[test]
    fn l14_a_requirement_reads_back_as_it_was_written(need in need_without_empty_groups()) {
        let requirement = requirement(&need);
        let text = requirement.to_string();
        prop_assume!(text.len() <= Requirement::MAX_CHARS);
        prop_assert_eq!(text.parse::<Requirement>().unwrap(), requirement);
    }

    #[test]
    fn l14_any_text_is_read_or_refused_at_a_place_inside_it(text in "[ab:*@ ()\tANDORandor\u{e9}]{0,40}") {
        match text.parse::<Requirement>() {
            Ok(requirement) => prop_assert_eq!(requirement.to_string().parse(), Ok(requirement)),
            Err(error) => prop_assert!(text.is_char_boundary(error.position())),
        }
    }

    #[test]
    fn l15_order_and_duplicates_do_not_matter(model in policies(), key in key(), need in need(), about in about()) {
        let mut mixed = key.clone();
        for list in [mixed.scopes.as_mut(), Some(&mut mixed.denied)].into_iter().flatten() {
            list.reverse();
            list.extend_from_within(..);
        }
        let mut turned = model.clone();
        turned.publishable.reverse();
        turned.publishable.extend_from_within(..);
        for role in &mut turned.roles {
            role.grants.reverse();
            role.grants.extend_from_within(..);
        }
        let requirement = requirement(&need);
        let before = allows(&policy(&model), &key, &requirement, about);
        prop_assert_eq!(allows(&policy(&turned), &mixed, &requirement, about), before);
    }

    #[test]
    fn l16_taking_a_scope_away_never_widens(model in policies(), key in key(), at in any::<prop::sample::Index>()) {
        let mut narrow = key.clone();
        if let Some(scopes) = narrow.scopes.as_mut().filter(|scopes| !scopes.is_empty()) {
            scopes.remove(at.index(scopes.len()));
        }
        assert_not_wider(&policy(&model), &narrow, &key)?;
    }

    #[test]
    fn l16_denying_one_more_scope_never_widens(model in policies(), key in key(), more in select(&SCOPES[..])) {
        let mut narrow = key.clone();
        narrow.denied.push(more);
        assert_not_wider(&policy(&model), &narrow, &key)?;
    }

    #[test]
    fn l16_adding_scopes_to_a_role_never_widens(model in policies(), mut key in key(), scopes in scope_list()) {
        key.role = Some("one");
        key.scopes = None;
        let narrow = Key { scopes: Some(scopes), ..key.clone() };
        assert_not_wider(&policy(&model), &narrow, &key)?;
    }

    #[test]
    fn l16_taking_a_grant_from_a_role_never_widens(model in policies(), key in key(), at in any::<prop::sample::Index>()) {
        let mut fewer = model.clone();
        let grants = &mut fewer.roles[0].grants;
        if !grants.is_empty() {
            grants.remove(at.index(grants.len()));
        }
        let (before, after) = (policy(&model), policy(&fewer));
        for (name, about) in questions() {
            let now_may = allows(&after, &key, &one(name), about);
            prop_assert!(!now_may || allows(&before, &key, &one(name), about), "{name} {about:?}");
        }
    }

    #[test]
    fn l16_a_shorter_list_of_what_is_publishable_never_widens(
        model in policies(), key in key(), at in any::<prop::sample::Index>(),
    ) {
        let mut fewer = model.clone();
        if !fewer.publishable.is_empty() {
            fewer.publishable.remove(at.index(model.publishable.len()));
        }
        let (before, after) = (policy(&model), policy(&fewer));
        for (name, about) in questions() {
            let now_may = allows(&after, &key, &one(name), about);
            prop_assert!(!now_may || allows(&before, &key, &one(name), about), "{name} {about:?}");
        }
    }

    #[test]
    fn l26_a_publishable_key_may_do_nothing_that_is_not_published(
        model in policies(), key in key(), need in need(), about in about(),
    ) {
        let (policy, published) = (policy(&model), model_set(&model.publishable));
        let key = Key { kind: KeyKind::Publishable, ..key };
        for (name, about) in questions() {
            prop_assert!(published.contains(name) || !allows(&policy, &key, &one(name), about), "{name} {about:?}");
        }
        let may = allows(&policy, &key, &requirement(&need), about);
        prop_assert!(!may || model_meets(&published, &need));
    }

    #[test]
    fn l26_a_publishable_key_may_do_nothing_that_the_same_secret_key_may_not(model in policies(), key in key()) {
        let narrow = Key { kind: KeyKind::Publishable, ..key.clone() };
        assert_not_wider(&policy(&model), &narrow, &Key { kind: KeyKind::Secret, ..key })?;
    }

    #[test]
    fn l27_a_secret_key_is_not_held_to_what_is_publishable(
        model in policies(), key in key(), list in subsequence(&SCOPES[..WELL_FORMED], 0..=6),
    ) {
        let key = Key { kind: KeyKind::Secret, ..key };
        let other = PolicyModel { publishable: list, ..model.clone() };
        for (name, about) in questions() {
            let before = allows(&policy(&model), &key, &one(name), about);
            prop_assert_eq!(allows(&policy(&other), &key, &one(name), about), before, "{} {:?}", name, about);
        }
    }

    #[test]
    fn l29_what_passes_as_publishable_loses_nothing_to_the_list(model in policies(), key in key()) {
        let policy = policy(&model);
        let key = Key { kind: KeyKind::Publishable, ..key };
        let (grant, denied, binding) = (grant(&key), stored(&key.denied), binding(&key));
        let subject = Subject::new(&grant, &denied, &binding, key.kind);
        if policy.check_publishable(&subject).is_ok() {
            let secret = Key { kind: KeyKind::Secret, ..key.clone() };
            assert_not_wider(&policy, &secret, &key)?;
        }
    }

    #[test]
    fn l30_a_publishable_key_hands_out_nothing(model in policies(), (actor, child) in pair()) {
        let actor = Key { kind: KeyKind::Publishable, ..actor };
        prop_assert!(!within(&policy(&model), &actor, &child));
    }

    #[test]
    fn l23_a_key_handed_out_may_do_nothing_that_its_maker_may_not(
        model in policies(), (actor, child) in pair(),
    ) {
        let policy = policy(&model);
        if within(&policy, &actor, &child) {
            assert_not_wider(&policy, &child, &actor)?;
        }
    }

    #[test]
    fn l23_a_chain_of_keys_never_widens(model in policies(), (a, b, c) in chain()) {
        let policy = policy(&model);
        if within(&policy, &a, &b) && within(&policy, &b, &c) {
            assert_not_wider(&policy, &c, &a)?;
        }
    }

    #[test]
    fn l20_a_key_handed_out_by_one_with_scopes_stays_inside_it_when_roles_change(
        before in policies(), after in policies(), (actor, child) in pair(),
    ) {
        let (before, after) = (policy(&before), policy(&after));
        let scopes = grant(&actor).scopes().map(<[Scope]>::to_vec);
        if let Some(scopes) = scopes && within(&before, &actor, &child) {
            for (name, about) in questions() {
                let permission: Permission = name.parse().unwrap();
                let written = scopes.iter().any(|scope| scope.covers(&permission));
                prop_assert!(written || !allows(&after, &child, &one(name), about), "{name}");
            }
        }
    }

    #[test]
    fn l7_one_scope_covers_another_exactly_if_it_covers_all_below(
        wide in select(&SCOPES[..]), narrow in select(&SCOPES[..]), name in select(&UNIVERSE[..]),
    ) {
        let (wide, narrow) = (Scope::from_stored(wide), Scope::from_stored(narrow));
        let permission: Permission = name.parse().unwrap();
        if wide.covers_scope(&narrow) && narrow.covers(&permission) {
            prop_assert!(wide.covers(&permission));
        }
    }
}
