//! Every row of the access table, and the requirement texts that other products refuse or accept.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken table should stop the test at once"
)]

use keyward::access::{
    AccessPolicy, Decision, Grant, Requirement, Role, Scope, Subject, Target, TenantBinding,
    TenantId, TenantReach,
};
use keyward::key::KeyKind;

struct Row<'a> {
    id: &'a str,
    role: &'a str,
    key_tenant: &'a str,
    scopes: &'a str,
    denied: &'a str,
    resource_tenant: &'a str,
    required: &'a str,
    expect: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let table = include_str!("cases/access.tsv");
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.skip(1).map(row).collect()
}

fn row(line: &'static str) -> Row<'static> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [
        id,
        role,
        key_tenant,
        scopes,
        denied,
        resource_tenant,
        required,
        expect,
        _source,
    ] = fields[..]
    else {
        panic!("not nine fields: {line}");
    };
    Row {
        id,
        role,
        key_tenant,
        scopes,
        denied,
        resource_tenant,
        required,
        expect,
    }
}

fn policy() -> AccessPolicy {
    let admin = [
        "send_email",
        "read_analytics",
        "manage_keys",
        "billing:*",
        "leads:*",
    ];
    let broker = ["send_email", "read_analytics", "leads:*", "billing:read"];
    AccessPolicy::builder()
        .role(
            Role::new("admin", admin)
                .unwrap()
                .with_reach(TenantReach::AllTenants),
        )
        .role(Role::new("broker", broker).unwrap())
        .role(Role::new("agent", ["send_email", "leads:read"]).unwrap())
        .build()
        .unwrap()
}

/// Lists in the table are data at rest: nothing is trimmed, nothing is refused.
fn stored_list(text: &str) -> Vec<Scope> {
    match text {
        "-" => Vec::new(),
        list => list.split(',').map(Scope::from_stored).collect(),
    }
}

fn binding(text: &str) -> TenantBinding {
    match text {
        "*" => TenantBinding::Platform,
        "-" => TenantBinding::None,
        tenant => TenantBinding::Tenant(tenant.parse().unwrap()),
    }
}

fn allows(policy: &AccessPolicy, row: &Row<'_>) -> bool {
    let Ok(requirement) = row.required.parse::<Requirement>() else {
        return false;
    };
    let grant = Grant::RoleWithScopes {
        role: row.role.parse().unwrap(),
        scopes: stored_list(row.scopes),
    };
    let denied = stored_list(row.denied);
    let binding = binding(row.key_tenant);
    let tenant: Option<TenantId> = match row.resource_tenant {
        "-" => None,
        tenant => Some(tenant.parse().unwrap()),
    };
    let subject = Subject::new(&grant, &denied, &binding, KeyKind::Secret);
    let target = Target::tenant_of(tenant.as_ref());
    policy.evaluate(&subject, &requirement, &target) == Decision::Allowed
}

#[test]
fn every_row_of_the_table_holds() {
    let policy = policy();
    let rows = rows();
    assert!(rows.len() >= 28, "the table is cut off");
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| allows(&policy, row) != (row.expect == "allow"))
        .map(|row| row.id)
        .collect();
    assert_eq!(wrong, Vec::<&str>::new());
}

#[test]
fn every_row_says_allow_or_deny() {
    for row in rows() {
        assert!(matches!(row.expect, "allow" | "deny"), "{}", row.id);
    }
}
