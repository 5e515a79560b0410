//! Deciding allocates nothing, whatever the answer.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails should stop the test at once"
)]

use allocation_counter::measure;
use keyward::access::{
    AccessPolicy, Grant, Permission, Requirement, Role, Scope, Subject, Target, TenantBinding,
    TenantId,
};
use keyward::key::KeyKind;

fn policy() -> AccessPolicy {
    let role = |name| Role::new(name, ["send_email", "leads:*", "billing:read"]).unwrap();
    AccessPolicy::builder()
        .roles(["admin", "agent", "broker", "support"].map(role))
        .publishable(["leads:read", "send_email"])
        .build()
        .unwrap()
}

fn allocations(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(7)))) > 0);
}

#[test]
fn l18_evaluating_allocates_nothing() {
    let policy = policy();
    let tenant: TenantId = "t1".parse().unwrap();
    let (bound, none) = (TenantBinding::Tenant(tenant.clone()), TenantBinding::None);
    let scopes = ["leads:read", "send_email", "re*"].map(Scope::from_stored);
    let denied = ["leads:delete", "x:*"].map(Scope::from_stored);
    let unreadable = ["*"].map(Scope::from_stored);
    let role = |name: &str| Grant::Role(name.parse().unwrap());
    let grants = [
        role("broker"),
        role("ghost"),
        Grant::Scopes(scopes.to_vec()),
        Grant::RoleWithScopes {
            role: "broker".parse().unwrap(),
            scopes: scopes.to_vec(),
        },
    ];
    let nothing: [Permission; 0] = [];
    let requirements = [
        "send_email".parse().unwrap(),
        "leads:delete".parse().unwrap(),
        "leads:write OR (send_email AND (leads:read OR nothing)) OR leads:delete"
            .parse()
            .unwrap(),
        Requirement::any(nothing),
    ];
    let targets = [Target::Service, Target::Tenant(&tenant), Target::Unknown];

    let kinds = [KeyKind::Secret, KeyKind::Publishable];

    let mut allowed = 0;
    let counted = allocations(|| {
        for (grant, kind) in grants
            .iter()
            .flat_map(|grant| kinds.iter().map(move |kind| (grant, kind)))
        {
            for (binding, denied) in [(&bound, &denied[..]), (&none, &[]), (&bound, &unreadable)] {
                let subject = Subject::new(grant, denied, binding, *kind);
                for (requirement, target) in requirements.iter().zip(targets.iter().cycle()) {
                    let decision = policy.evaluate(&subject, requirement, target);
                    allowed += usize::from(decision.is_allowed());
                }
            }
        }
    });
    assert_eq!(counted, 0);
    assert!(allowed > 0, "only refusals were measured");
}

#[test]
fn l18_cloning_a_name_allocates_nothing() {
    let permission: Permission = "billing:invoice:read".parse().unwrap();
    assert_eq!(
        allocations(|| drop(std::hint::black_box(permission.clone()))),
        0
    );
}
