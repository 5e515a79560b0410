//! The numbered laws of `docs/access-semantics.md`, one example at a time, with the nearest neighbour that differs.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "a helper that fails should stop the test at once"
)]

use keyward::access::{
    AccessPolicy, CeilingError, Decision, DenyReason, Grant, PublishableError, Requirement, Role,
    Scope, Subject, Target, TenantBinding, TenantId, TenantReach,
};
use keyward::key::KeyKind;

fn policy() -> AccessPolicy {
    let admin = Role::new("admin", ["manage_keys", "billing:*"]).unwrap();
    AccessPolicy::builder()
        .role(admin.with_reach(TenantReach::AllTenants))
        .role(Role::new("broker", ["send_email", "leads:*"]).unwrap())
        .role(Role::new("empty", [""; 0]).unwrap())
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

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn may(grant: &Grant, denied: &[&str], required: &str) -> Result<(), &'static str> {
    let denied = stored(denied);
    let key = Subject::new(grant, &denied, &TenantBinding::None, KeyKind::Secret);
    let requirement: Requirement = required.parse().unwrap();
    coded(policy().evaluate(&key, &requirement, &Target::Service))
}

fn reaches(
    grant: &Grant,
    binding: &TenantBinding,
    target: &Target<'_>,
) -> Result<(), &'static str> {
    let key = Subject::new(grant, &[], binding, KeyKind::Secret);
    let requirement: Requirement = "billing:read OR send_email".parse().unwrap();
    coded(policy().evaluate(&key, &requirement, target))
}

fn coded(decision: Decision) -> Result<(), &'static str> {
    decision.into_result().map_err(|reason| reason.code())
}

const MISSING: Result<(), &str> = Err("missing_permission");

#[test]
fn l1_nothing_is_granted_by_default() {
    assert_eq!(may(&scopes(&[]), &[], "send_email"), MISSING);
    assert_eq!(may(&both("broker", &[]), &[], "send_email"), MISSING);
    assert_eq!(may(&role("empty"), &[], "send_email"), MISSING);
    assert_eq!(
        may(&both("empty", &["send_email"]), &[], "send_email"),
        MISSING
    );
    assert_eq!(may(&role("broker"), &[], "send_email"), Ok(()));
}

#[test]
fn l2_an_unknown_role_grants_nothing() {
    assert_eq!(may(&role("ghost"), &[], "send_email"), Err("unknown_role"));
    assert_eq!(
        may(&both("ghost", &["send_email"]), &[], "send_email"),
        Err("unknown_role")
    );
    assert_eq!(may(&role("Broker"), &[], "send_email"), Err("unknown_role"));
}

#[test]
fn l3_role_and_scopes_must_both_grant() {
    let key = both("broker", &["leads:read", "billing:read"]);
    assert_eq!(may(&key, &[], "leads:read"), Ok(()));
    assert_eq!(may(&key, &[], "leads:write"), MISSING);
    assert_eq!(may(&key, &[], "send_email"), MISSING);
    assert_eq!(may(&key, &[], "billing:read"), MISSING);
    assert_eq!(may(&scopes(&["billing:read"]), &[], "billing:read"), Ok(()));
}

#[test]
fn l4_denied_scopes_beat_everything() {
    let key = role("broker");
    assert_eq!(
        may(&key, &["send_email"], "send_email"),
        Err("explicitly_denied")
    );
    assert_eq!(
        may(&key, &["leads:*"], "leads:read"),
        Err("explicitly_denied")
    );
    assert_eq!(may(&key, &["leads:delete"], "leads:read"), Ok(()));
    assert_eq!(
        may(&key, &["leads:delete"], "leads:read OR leads:delete"),
        Ok(())
    );
    assert_eq!(
        may(&key, &["leads:delete"], "leads:read AND leads:delete"),
        Err("explicitly_denied")
    );
}

#[test]
fn l5_a_denied_scope_that_cannot_be_read_denies_everything() {
    for bad in ["*", "re*", "", "Leads:delete", "leads:delete "] {
        assert_eq!(
            may(&role("broker"), &[bad], "send_email"),
            Err("unreadable_denial"),
            "{bad:?}"
        );
    }
    assert_eq!(may(&role("broker"), &["x:delete"], "send_email"), Ok(()));
}

#[test]
fn l6_bytes_compare_exactly() {
    for text in [
        "send_email ",
        " send_email",
        "Send_email",
        "send-email",
        "send.email",
        "send_e",
    ] {
        assert_eq!(
            may(&scopes(&[text]), &[], "send_email"),
            MISSING,
            "{text:?}"
        );
    }
    assert_eq!(may(&scopes(&["send_email"]), &[], "send_email"), Ok(()));
    assert!("Send_email".parse::<Requirement>().is_err());
}

#[test]
fn l8_an_ill_formed_scope_leaves_the_well_formed_ones_alone() {
    let key = scopes(&["*", "send_email ", "send_email"]);
    assert_eq!(may(&key, &[], "send_email"), Ok(()));
    assert_eq!(may(&key, &[], "leads:read"), MISSING);
}

#[test]
fn l9_a_tenant_bound_key_reaches_only_its_own_tenant() {
    let bound = TenantBinding::Tenant(tenant("t1"));
    for grant in [role("broker"), role("admin"), scopes(&["send_email"])] {
        assert_eq!(
            reaches(&grant, &bound, &Target::Tenant(&tenant("t1"))),
            Ok(())
        );
        for other in ["t", "t11", "T1", "t2"] {
            let answer = reaches(&grant, &bound, &Target::Tenant(&tenant(other)));
            assert_eq!(answer, Err("tenant_mismatch"), "{other}");
        }
    }
}

#[test]
fn l10_all_tenants_needs_both_the_role_and_the_key() {
    let t1 = tenant("t1");
    let anywhere = Target::Tenant(&t1);
    let platform = TenantBinding::Platform;
    assert_eq!(reaches(&role("admin"), &platform, &anywhere), Ok(()));
    assert_eq!(
        reaches(&both("admin", &["billing:*"]), &platform, &anywhere),
        Ok(())
    );
    assert_eq!(
        reaches(&role("broker"), &platform, &anywhere),
        Err("not_platform")
    );
    let elsewhere = TenantBinding::Tenant(tenant("t2"));
    assert_eq!(
        reaches(&role("admin"), &elsewhere, &anywhere),
        Err("tenant_mismatch")
    );
    assert_eq!(
        reaches(&role("admin"), &TenantBinding::None, &anywhere),
        Err("not_tenant_bound")
    );
}

#[test]
fn l10_without_a_role_no_key_reaches_all_tenants() {
    let t1 = tenant("t1");
    let answer = reaches(
        &scopes(&["send_email"]),
        &TenantBinding::Platform,
        &Target::Tenant(&t1),
    );
    assert_eq!(answer, Err("not_platform"));
}

#[test]
fn l11_a_missing_tenant_equals_nothing() {
    let bound = TenantBinding::Tenant(tenant("t1"));
    for binding in [TenantBinding::None, bound, TenantBinding::Platform] {
        let answer = reaches(&role("admin"), &binding, &Target::tenant_of(None));
        assert_eq!(answer, Err("tenant_missing"));
    }
}

#[test]
fn l12_the_tenant_rule_does_not_apply_to_the_service_itself() {
    let bound = TenantBinding::Tenant(tenant("t1"));
    for binding in [TenantBinding::None, bound, TenantBinding::Platform] {
        assert_eq!(reaches(&role("broker"), &binding, &Target::Service), Ok(()));
    }
}

#[test]
fn l12_a_key_without_tenant_reaches_no_tenant() {
    let t1 = tenant("t1");
    let answer = reaches(&role("broker"), &TenantBinding::None, &Target::Tenant(&t1));
    assert_eq!(answer, Err("not_tenant_bound"));
}

#[test]
fn l17_changing_a_role_changes_every_key_of_that_role() {
    let grant = role("broker");
    let key = Subject::new(&grant, &[], &TenantBinding::None, KeyKind::Secret);
    let send: Requirement = "send_email".parse().unwrap();
    assert!(
        policy()
            .evaluate(&key, &send, &Target::Service)
            .is_allowed()
    );
    let narrower = AccessPolicy::builder()
        .role(Role::new("broker", ["leads:read"]).unwrap())
        .build()
        .unwrap();
    let missing = DenyReason::MissingPermission("send_email".parse().unwrap());
    let answer = narrower.evaluate(&key, &send, &Target::Service);
    assert_eq!(answer, Decision::Denied(missing));
}

/// The policy of the other tests, with something for everybody.
fn publishing(list: &[&str]) -> AccessPolicy {
    AccessPolicy::builder()
        .roles(policy().roles().cloned())
        .role(Role::new("storefront", ["leads:read", "leads:create"]).unwrap())
        .publishable(list)
        .build()
        .unwrap()
}

fn published<'a>(grant: &'a Grant, binding: &'a TenantBinding) -> Subject<'a> {
    Subject::new(grant, &[], binding, KeyKind::Publishable)
}

fn may_published(list: &[&str], grant: &Grant, required: &str) -> Result<(), &'static str> {
    let key = published(grant, &TenantBinding::None);
    let requirement: Requirement = required.parse().unwrap();
    coded(publishing(list).evaluate(&key, &requirement, &Target::Service))
}

const NOT_PUBLISHABLE: Result<(), &str> = Err("not_publishable");

#[test]
fn l26_a_publishable_key_may_do_what_is_published_and_nothing_else() {
    let list = ["leads:read", "catalogue:*"];
    let broker = role("broker");
    assert_eq!(may_published(&list, &broker, "leads:read"), Ok(()));
    for required in ["leads:write", "send_email", "leads:read AND leads:write"] {
        assert_eq!(may_published(&list, &broker, required), NOT_PUBLISHABLE);
        assert_eq!(may(&broker, &[], required), Ok(()));
    }
    let either = "leads:write OR leads:read";
    assert_eq!(may_published(&list, &broker, either), Ok(()));
    let written = scopes(&["leads:*", "manage_keys", "catalogue:read"]);
    assert_eq!(
        may_published(&list, &written, "manage_keys"),
        NOT_PUBLISHABLE
    );
    assert_eq!(may_published(&list, &written, "catalogue:read"), Ok(()));
    assert_eq!(may_published(&list, &written, "catalogue"), NOT_PUBLISHABLE);
}

#[test]
fn l26_what_is_published_is_not_granted_by_that() {
    let list = ["leads:read", "send_email"];
    assert_eq!(may_published(&list, &scopes(&[]), "leads:read"), MISSING);
    let reader = scopes(&["leads:read"]);
    assert_eq!(may_published(&list, &reader, "send_email"), MISSING);
}

#[test]
fn l26_the_list_counts_at_the_moment_of_the_check() {
    let storefront = role("storefront");
    let before = may_published(&["leads:*"], &storefront, "leads:create");
    let after = may_published(&["leads:read"], &storefront, "leads:create");
    assert_eq!((before, after), (Ok(()), NOT_PUBLISHABLE));
}

#[test]
fn l27_without_a_list_nothing_is_published() {
    for grant in [role("broker"), scopes(&["leads:read"])] {
        assert_eq!(may_published(&[], &grant, "leads:read"), NOT_PUBLISHABLE);
        assert_eq!(may(&grant, &[], "leads:read"), Ok(()));
    }
}

#[test]
fn l28_a_publishable_key_is_never_platform_wide() {
    let (admin, t1) = (role("admin"), tenant("t1"));
    let policy = publishing(&["billing:read"]);
    let read: Requirement = "billing:read".parse().unwrap();
    let reaches = |binding: TenantBinding| {
        let key = published(&admin, &binding);
        coded(policy.evaluate(&key, &read, &Target::Tenant(&t1)))
    };
    let platform = reaches(TenantBinding::Platform);
    assert_eq!(platform, Err("publishable_platform"));
    assert_eq!(reaches(TenantBinding::Tenant(t1.clone())), Ok(()));
    let other = reaches(TenantBinding::Tenant(tenant("t2")));
    assert_eq!(other, Err("tenant_mismatch"));
}

#[test]
fn l29_what_is_written_on_a_publishable_key_lies_inside_the_list() {
    let policy = publishing(&["leads:read", "leads:create"]);
    let check = |grant: &Grant| policy.check_publishable(&published(grant, &TenantBinding::None));
    let outside = |text: &str| Err(PublishableError::Scope(Scope::from_stored(text)));
    assert_eq!(check(&role("storefront")), Ok(()));
    assert_eq!(check(&scopes(&["leads:read"])), Ok(()));
    assert_eq!(check(&scopes(&[])), Ok(()));
    assert_eq!(check(&both("broker", &["leads:read"])), Ok(()));
    assert_eq!(check(&role("broker")), outside("send_email"));
    assert_eq!(
        check(&scopes(&["leads:read", "leads:*"])),
        outside("leads:*")
    );
    assert_eq!(check(&scopes(&["leads:read "])), outside("leads:read "));
    assert_eq!(
        check(&both("storefront", &["leads:read", "manage_keys"])),
        outside("manage_keys")
    );
    let ghost = PublishableError::UnknownRole("ghost".parse().unwrap());
    assert_eq!(check(&role("ghost")), Err(ghost));
    let storefront = role("storefront");
    let everywhere = published(&storefront, &TenantBinding::Platform);
    assert_eq!(
        policy.check_publishable(&everywhere),
        Err(PublishableError::Platform)
    );
}

#[test]
fn l29_a_secret_key_is_not_held_to_the_list() {
    let (grant, everywhere) = (role("admin"), TenantBinding::Platform);
    let secret = Subject::new(&grant, &[], &everywhere, KeyKind::Secret);
    assert_eq!(publishing(&[]).check_publishable(&secret), Ok(()));
}

#[test]
fn l30_a_publishable_key_hands_out_nothing_and_may_be_handed_out() {
    let policy = publishing(&["leads:*"]);
    let (broker, reader) = (role("broker"), scopes(&["leads:read"]));
    let secret = |grant| Subject::new(grant, &[], &TenantBinding::None, KeyKind::Secret);
    let public = |grant| published(grant, &TenantBinding::None);
    for child in [secret(&reader), public(&reader)] {
        assert_eq!(policy.within(&secret(&broker), &child), Ok(()));
        let handed = policy.within(&public(&broker), &child);
        assert_eq!(handed, Err(CeilingError::PublishableActor));
    }
}

#[test]
fn reasons_are_written_for_a_log() {
    let denied = Decision::Denied(DenyReason::UnknownRole("ghost".parse().unwrap()));
    assert_eq!(denied.to_string(), "denied: role `ghost` is unknown");
    assert_eq!(Decision::Allowed.to_string(), "allowed");
}
