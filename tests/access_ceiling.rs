//! What one key may hand out to another.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "a helper that fails should stop the test at once"
)]

use keyward::access::{
    AccessPolicy, CeilingError, Grant, Role, Scope, Subject, TenantBinding, TenantReach,
};
use keyward::key::KeyKind;

fn policy() -> AccessPolicy {
    let admin = Role::new(
        "admin",
        ["manage_keys", "send_email", "billing:*", "leads:*"],
    )
    .unwrap();
    AccessPolicy::builder()
        .role(admin.with_reach(TenantReach::AllTenants))
        .role(Role::new("broker", ["send_email", "leads:*"]).unwrap())
        .role(Role::new("agent", ["send_email", "leads:read"]).unwrap())
        .build()
        .unwrap()
}

fn stored(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|&text| Scope::from_stored(text)).collect()
}

fn role(name: &str) -> Grant {
    Grant::Role(name.parse().unwrap())
}

fn scopes(texts: &[&str]) -> Grant {
    Grant::Scopes(stored(texts))
}

fn both(name: &str, texts: &[&str]) -> Grant {
    Grant::RoleWithScopes {
        role: name.parse().unwrap(),
        scopes: stored(texts),
    }
}

fn tenant(name: &str) -> TenantBinding {
    TenantBinding::Tenant(name.parse().unwrap())
}

fn hands_out(actor: &Grant, child: &Grant) -> Result<(), CeilingError> {
    let none = TenantBinding::None;
    policy().within(
        &Subject::new(actor, &[], &none, KeyKind::Secret),
        &Subject::new(child, &[], &none, KeyKind::Secret),
    )
}

fn outside(scope: &str) -> Result<(), CeilingError> {
    Err(CeilingError::ScopeOutside(Scope::from_stored(scope)))
}

fn role_outside(name: &str) -> Result<(), CeilingError> {
    Err(CeilingError::RoleOutside(name.parse().unwrap()))
}

#[test]
fn l19_hands_out_scopes_that_it_holds_and_no_others() {
    let actor = scopes(&["billing:*", "read"]);
    assert_eq!(
        hands_out(
            &actor,
            &scopes(&["billing:read", "billing:invoice:*", "read"])
        ),
        Ok(())
    );
    assert_eq!(hands_out(&actor, &scopes(&["billing:*"])), Ok(()));
    assert_eq!(hands_out(&actor, &scopes(&["billing"])), outside("billing"));
    assert_eq!(
        hands_out(&actor, &scopes(&["billing_admin"])),
        outside("billing_admin")
    );
    assert_eq!(hands_out(&actor, &scopes(&["read:*"])), outside("read:*"));
    assert_eq!(
        hands_out(&scopes(&["billing:read"]), &scopes(&["billing:*"])),
        outside("billing:*")
    );
}

#[test]
fn l19_what_the_actor_holds_is_its_role_and_its_scopes() {
    let actor = both("broker", &["leads:*", "billing:*"]);
    assert_eq!(hands_out(&actor, &scopes(&["leads:read"])), Ok(()));
    assert_eq!(
        hands_out(&actor, &scopes(&["billing:read"])),
        outside("billing:read")
    );
    assert_eq!(
        hands_out(&actor, &scopes(&["send_email"])),
        outside("send_email")
    );
}

#[test]
fn l19_a_scope_written_down_counts_even_where_the_childs_role_withholds_it_today() {
    assert_eq!(
        hands_out(&role("agent"), &both("agent", &["leads:read"])),
        Ok(())
    );
    assert_eq!(
        hands_out(&role("agent"), &both("agent", &["leads:*"])),
        outside("leads:*")
    );
}

#[test]
fn l19_an_ill_formed_scope_is_never_handed_out() {
    let actor = role("admin");
    assert_eq!(
        hands_out(&actor, &scopes(&["billing:re*"])),
        outside("billing:re*")
    );
    assert_eq!(hands_out(&scopes(&["*"]), &scopes(&["*"])), outside("*"));
}

#[test]
fn l19_nothing_may_always_be_handed_out() {
    assert_eq!(hands_out(&scopes(&[]), &scopes(&[])), Ok(()));
    assert_eq!(hands_out(&role("ghost"), &scopes(&[])), Ok(()));
    assert_eq!(
        hands_out(&role("ghost"), &scopes(&["read"])),
        outside("read")
    );
}

#[test]
fn l20_hands_out_a_role_whose_every_grant_it_holds() {
    assert_eq!(hands_out(&role("broker"), &role("broker")), Ok(()));
    assert_eq!(hands_out(&role("admin"), &role("broker")), Ok(()));
    assert_eq!(hands_out(&role("broker"), &role("agent")), Ok(()));
    assert_eq!(
        hands_out(&role("agent"), &role("broker")),
        role_outside("broker")
    );
    assert_eq!(
        hands_out(&role("broker"), &role("admin")),
        role_outside("admin")
    );
}

#[test]
fn l20_a_role_narrowed_by_scopes_that_the_actor_holds_may_be_any_known_one() {
    assert_eq!(
        hands_out(&role("broker"), &both("admin", &["leads:read"])),
        Ok(())
    );
    assert_eq!(
        hands_out(&role("broker"), &both("admin", &["billing:read"])),
        outside("billing:read")
    );
}

#[test]
fn l20_an_actor_with_scopes_hands_out_only_keys_with_scopes() {
    let actor = both("broker", &["send_email", "leads:*"]);
    assert_eq!(
        hands_out(&actor, &both("broker", &["send_email", "leads:*"])),
        Ok(())
    );
    assert_eq!(
        hands_out(&actor, &role("broker")),
        Err(CeilingError::ScopesRequired)
    );
    let actor = scopes(&["send_email", "leads:*"]);
    assert_eq!(
        hands_out(&actor, &role("broker")),
        Err(CeilingError::ScopesRequired)
    );
}

#[test]
fn l20_an_unknown_role_is_never_handed_out() {
    let unknown = || Err(CeilingError::UnknownRole("ghost".parse().unwrap()));
    assert_eq!(hands_out(&role("admin"), &role("ghost")), unknown());
    assert_eq!(
        hands_out(&role("admin"), &both("ghost", &["send_email"])),
        unknown()
    );
    assert_eq!(hands_out(&role("ghost"), &role("ghost")), unknown());
}

#[test]
fn l21_the_childs_tenant_lies_inside_the_actors() {
    let reach = |grant: &str, actor: TenantBinding, child: TenantBinding| {
        let grant = role(grant);
        let actor = Subject::new(&grant, &[], &actor, KeyKind::Secret);
        policy()
            .within(&actor, &Subject::new(&grant, &[], &child, KeyKind::Secret))
            .is_ok()
    };
    let (none, platform) = (TenantBinding::None, TenantBinding::Platform);
    let bindings = || [none.clone(), tenant("t1"), tenant("t2"), platform.clone()];
    let allowed = |role: &str, actor: &TenantBinding| {
        bindings().map(|child| reach(role, actor.clone(), child))
    };
    assert_eq!(allowed("broker", &none), [true, false, false, false]);
    assert_eq!(
        allowed("broker", &tenant("t1")),
        [false, true, false, false]
    );
    assert_eq!(allowed("admin", &tenant("t1")), [false, true, false, false]);
    assert_eq!(allowed("admin", &platform), [true, true, true, true]);
    assert_eq!(allowed("broker", &platform), [true, false, false, false]);
}

#[test]
fn l22_the_actors_denied_scopes_hold_for_the_child() {
    let grant = role("broker");
    let none = TenantBinding::None;
    let with = |actor: &[&str], child: &[&str]| {
        let (actor, child) = (stored(actor), stored(child));
        policy().within(
            &Subject::new(&grant, &actor, &none, KeyKind::Secret),
            &Subject::new(&grant, &child, &none, KeyKind::Secret),
        )
    };
    let dropped = |text| Err(CeilingError::DenialDropped(Scope::from_stored(text)));
    assert_eq!(with(&["leads:delete"], &["leads:delete"]), Ok(()));
    assert_eq!(with(&["leads:delete"], &["leads:*", "send_email"]), Ok(()));
    assert_eq!(with(&[], &["leads:delete"]), Ok(()));
    assert_eq!(with(&["leads:delete"], &[]), dropped("leads:delete"));
    assert_eq!(with(&["leads:*"], &["leads:delete"]), dropped("leads:*"));
    assert_eq!(with(&["re*"], &["re*"]), dropped("re*"));
}
