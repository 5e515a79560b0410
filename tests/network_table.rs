//! Every row of the tables of networks and of carriers: on a key, in its role, and through every header.
#![cfg(all(feature = "axum", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken table should stop the test at once"
)]

mod http_support;

use axum::Router;
use axum::routing::get as route;
use http_support::{World, get_with};
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::http::{AuthenticateLayer, ClientAddressLayer, ProxyTrust};
use keyward::key::Networks;
use keyward::service::{IssueKey, Rejection, RequestContext};

fn rows<const N: usize>(table: &'static str) -> Vec<[&'static str; N]> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let split = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        fields
            .try_into()
            .unwrap_or_else(|_| panic!("not {N} fields: {line}"))
    };
    lines.skip(1).map(split).collect()
}

fn networks() -> Vec<[&'static str; 5]> {
    rows(include_str!("cases/networks.tsv"))
}

fn world_with_role(networks: Networks) -> World {
    let role = Role::new("office", ["send_email"]).unwrap();
    let policy = AccessPolicy::builder().role(role.with_networks(networks));
    World::with(|builder| builder.policy(policy.build().unwrap()))
}

#[test]
fn lists_that_cannot_be_read_are_refused_and_the_others_read() {
    for [id, list, _, expect, why] in networks() {
        let read = list.parse::<Networks>();
        assert_eq!(read.is_err(), expect == "bad", "{id}: {why}");
        let entries: Vec<&str> = list.split(',').map(str::trim).collect();
        let json = serde_json::json!({"name": "office", "grants": [], "networks": entries});
        let role: Result<Role, _> = serde_json::from_value(json);
        // In data the empty list has no entry; an empty entry is a mistake.
        let is_bad = expect == "bad" || list.is_empty();
        assert_eq!(role.is_err(), is_bad, "{id}: {why}");
    }
}

#[tokio::test]
async fn a_list_means_the_same_on_a_key_and_in_its_role() {
    for [id, list, client, expect, why] in networks() {
        let (Ok(networks), Ok(client)) = (list.parse::<Networks>(), client.parse()) else {
            continue;
        };
        let context = RequestContext::new().with_client(client);
        let wanted = |refusal| (expect == "deny").then_some(refusal);

        let world = World::new();
        let key = world
            .key_with(|request| request.with_networks(networks.clone()))
            .await;
        let outcome = world.service.verify(key.text.as_bytes(), &context).await;
        let refusal = outcome.err().map(|error| *error.rejection().unwrap());
        assert_eq!(refusal, wanted(Rejection::NetworkRefused), "{id}: {why}");

        let world = world_with_role(networks);
        let key = world
            .key_with(|_| {
                let office = Grant::Role("office".parse().unwrap());
                IssueKey::new("acme".parse().unwrap(), "mailer", office)
            })
            .await;
        let outcome = world.service.verify(key.text.as_bytes(), &context).await;
        let refusal = outcome.err().map(|error| *error.rejection().unwrap());
        let wanted = wanted(Rejection::RoleNetworkRefused);
        assert_eq!(refusal, wanted, "{id}: {why}");
    }
}

#[tokio::test]
async fn an_address_arrives_as_it_is_through_every_carrier_or_not_at_all() {
    let world = World::new();
    let networks = || "192.0.2.7, 2001:db8::7".parse().unwrap();
    let key = world
        .key_with(|request| request.with_networks(networks()))
        .await;
    let app = |trust| {
        Router::new()
            .route("/", route(|| async {}))
            .layer(AuthenticateLayer::new(world.service.clone()).cost(0))
            .layer(ClientAddressLayer::new(trust))
    };
    let proxies = || "10.0.0.0/8".parse().unwrap();
    let x_forwarded = app(ProxyTrust::x_forwarded(proxies()));
    let forwarded = app(ProxyTrust::forwarded(proxies()));
    for [id, carrier, field, expect, why] in rows(include_str!("cases/carriers.tsv")) {
        let (believed, name) = match carrier {
            "x" => (&x_forwarded, "x-forwarded-for"),
            _ => (&forwarded, "forwarded"),
        };
        let call = || {
            let fields = field.split('|').map(|it| if it == "-" { "" } else { it });
            fields.fold(get_with("/", &key), |call, it| call.header(name, it))
        };
        let reply = call().from("10.0.0.1").send(believed).await;
        assert_eq!(reply.status.as_str(), expect, "{id}: {why}");
        // From anybody else, and where the other field is believed, it says nothing.
        let reply = call().from("198.51.100.66").send(believed).await;
        assert_eq!(reply.status, 403, "{id} from a stranger");
        let other = match carrier {
            "x" => &forwarded,
            _ => &x_forwarded,
        };
        let reply = call().from("10.0.0.1").send(other).await;
        assert_eq!(reply.status, 403, "{id} where it is not believed");
    }
}
