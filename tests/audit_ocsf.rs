//! Exported events against the schemas that OCSF publishes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use keyward::audit::export::{OCSF_VERSION, Product, to_ocsf};
use keyward::audit::{ActorRef, AuditEvent, AuditKind, Outcome};
use keyward::time::Timestamp;
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

#[expect(dead_code, reason = "other tests use the rest")]
mod export_support;

use export_support::{MICROS, bare, full, hostile};

const OUTCOMES: [Outcome; 2] = [Outcome::Success, Outcome::Failure];

/// The schemas by class.
static SCHEMAS: LazyLock<BTreeMap<u64, (Value, Validator)>> = LazyLock::new(|| {
    let texts = [
        (2004, include_str!("ocsf/detection_finding.json")),
        (3002, include_str!("ocsf/authentication.json")),
        (3004, include_str!("ocsf/entity_management.json")),
        (6003, include_str!("ocsf/api_activity.json")),
    ];
    let compile = |(class, text): (u64, &str)| {
        let schema: Value = serde_json::from_str(text).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        (class, (schema, validator))
    };
    texts.into_iter().map(compile).collect()
});

fn product() -> Product {
    Product::new("billing-api")
        .with_vendor("Example Ltd")
        .with_version("4.2.0")
        .with_uid("p-1")
}

fn exported(event: &AuditEvent) -> Value {
    serde_json::from_str(&to_ocsf(event, &product()).unwrap()).unwrap()
}

/// What the schema of the object's class has against it.
fn complaints(object: &Value) -> Vec<String> {
    let class = object["class_uid"].as_u64().unwrap();
    let (_, validator) = &SCHEMAS[&class];
    validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn is_valid(event: &AuditEvent) -> Value {
    let object = exported(event);
    let complaints = complaints(&object);
    assert!(complaints.is_empty(), "{complaints:#?}\n{object:#}");
    object
}

/// Every kind with every outcome.
fn all() -> impl Iterator<Item = (AuditKind, Outcome)> {
    let with_outcomes = |kind: &AuditKind| OUTCOMES.map(|outcome| (*kind, outcome));
    AuditKind::ALL.iter().flat_map(with_outcomes)
}

#[test]
fn every_kind_is_valid_with_all_fields_and_with_none() {
    for (kind, outcome) in all() {
        is_valid(&bare(kind).with_outcome(outcome));
        is_valid(&full(kind, outcome, "plain"));
    }
}

#[test]
fn every_kind_is_valid_with_any_one_field() {
    let text = "plain";
    let with_one = |event: AuditEvent| {
        [
            event.clone().with_sequence(u64::MAX),
            event.clone().with_reason(text),
            event.clone().with_actor(ActorRef::user(text)),
            event.clone().with_actor(ActorRef::system(text)),
            event.clone().with_actor(ActorRef::key(text)),
            event.clone().with_actor(ActorRef::new("", "")),
            event
                .clone()
                .with_actor(ActorRef::key(text))
                .with_key_id(text),
            event.clone().with_key_id(text),
            event.clone().with_owner(text),
            event.clone().with_tenant(text),
            event.clone().with_role(text),
            event.clone().with_client_ip([192, 0, 2, 1].into()),
            event.clone().with_peer_ip([192, 0, 2, 1].into()),
            event.clone().with_user_agent(text),
            event.clone().with_request_id(text),
            event.clone().with_method("GET"),
            event.clone().with_method("PROPFIND"),
            event.clone().with_route(text),
            event.clone().with_status(u16::MAX),
            event.clone().with_duration(std::time::Duration::MAX),
            event.clone().with_detail("reason", 7_i64),
            event.with_detail("operation", text),
        ]
    };
    for (kind, outcome) in all() {
        for event in with_one(bare(kind).with_outcome(outcome)) {
            is_valid(&event);
        }
    }
}

#[test]
fn every_kind_is_valid_with_hostile_fields() {
    for text in hostile() {
        for (kind, outcome) in all() {
            is_valid(&full(kind, outcome, &text));
        }
    }
}

#[test]
fn a_hostile_product_is_valid_too() {
    for text in hostile().iter().filter(|text| text.len() < 1000) {
        let product = Product::new(text.as_str())
            .with_uid(text.as_str())
            .with_vendor(text.as_str())
            .with_version(text.as_str());
        let line = to_ocsf(&bare(AuditKind::KeyCreated), &product).unwrap();
        assert!(!line.contains(export_support::leaves_the_line));
        let object: Value = serde_json::from_str(&line).unwrap();
        assert!(complaints(&object).is_empty());
        assert_eq!(object["metadata"]["product"]["name"], text.as_str());
    }
}

proptest! {
    #[test]
    fn any_address_time_and_span_is_valid(v4: [u8; 4], v6: [u8; 16], time: i64, secs: u64, status in any::<u16>()) {
        let event = AuditEvent::new(AuditKind::RequestCompleted, Timestamp::from_micros(time))
            .with_client_ip(v6.into())
            .with_peer_ip(v4.into())
            .with_status(status)
            .with_duration(std::time::Duration::from_secs(secs));
        prop_assert!(complaints(&exported(&event)).is_empty());
    }
}

#[test]
fn addresses_of_every_shape_are_valid() {
    for ip in [
        "::",
        "::1",
        "::ffff:192.0.2.1",
        "1::",
        "1:2:3:4:5:6:7:8",
        "fe80::1:0:0:1",
        "0.0.0.0",
    ] {
        let event = bare(AuditKind::AuthenticationFailed).with_client_ip(ip.parse().unwrap());
        assert_eq!(is_valid(&event)["src_endpoint"]["ip"], ip);
    }
}

#[test]
fn the_validator_refuses_what_is_wrong() {
    let whole = exported(&full(AuditKind::KeyRevoked, Outcome::Success, "plain"));
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = whole.clone();
        change(&mut changed);
        assert!(!complaints(&changed).is_empty(), "{changed:#}");
    };
    assert!(complaints(&whole).is_empty());
    refused(&|it| it["unknown_field"] = json!(1));
    refused(&|it| it["metadata"]["correlation_id"] = json!("r-1"));
    refused(&|it| it["activity_id"] = json!(77));
    refused(&|it| it["type_uid"] = json!(300_477));
    refused(&|it| it["category_uid"] = json!(6));
    refused(&|it| it["time"] = json!("2023-11-14T22:13:20Z"));
    refused(&|it| it["disposition_id"] = json!(98));
    refused(&|it| it["src_endpoint"]["ip"] = json!("not an address"));
    refused(&|it| it["http_request"]["http_method"] = json!("PROPFIND"));
    refused(&|it| drop(it.as_object_mut().unwrap().remove("severity_id")));
    refused(&|it| drop(it.as_object_mut().unwrap().remove("entity")));
    refused(&|it| drop(it["metadata"].as_object_mut().unwrap().remove("product")));
}

#[test]
fn the_schemas_are_those_of_the_version_that_events_claim() {
    for (schema, _) in SCHEMAS.values() {
        let id = schema["$id"].as_str().unwrap();
        assert!(
            id.contains(&format!("/schema/{OCSF_VERSION}/classes/")),
            "{id}"
        );
        assert!(id.ends_with("?profiles=security_control"), "{id}");
    }
    assert_eq!(
        exported(&bare(AuditKind::KeyCreated))["metadata"]["version"],
        OCSF_VERSION
    );
}

#[test]
fn type_is_class_and_activity_and_the_category_is_the_class_s() {
    for (kind, outcome) in all() {
        let object = exported(&full(kind, outcome, "plain"));
        let number = |name: &str| object[name].as_u64().unwrap();
        assert_eq!(
            number("type_uid"),
            number("class_uid") * 100 + number("activity_id")
        );
        assert_eq!(number("category_uid"), number("class_uid") / 1000);
    }
}

/// A validator knows which numbers there are, and not which one was meant.
#[test]
fn captions_are_those_that_ocsf_gives_the_numbers() {
    let captions: Value = serde_json::from_str(include_str!("ocsf/captions.json")).unwrap();
    let pairs = [
        ("activity_id", "activity_name"),
        ("category_uid", "category_name"),
        ("class_uid", "class_name"),
        ("type_uid", "type_name"),
        ("severity_id", "severity"),
        ("status_id", "status"),
        ("action_id", "action"),
        ("disposition_id", "disposition"),
    ];
    let methods = ["POST", "GET", "PUT", "DELETE", "PROPFIND"];
    for ((kind, outcome), method) in all().flat_map(|it| methods.map(|method| (it, method))) {
        let object = exported(&bare(kind).with_outcome(outcome).with_method(method));
        let captions = &captions[object["class_uid"].to_string()];
        for (number, caption) in pairs {
            let expected = &captions[number][object[number].to_string()];
            // Where OCSF has no number, the activity is named by the kind.
            if number == "activity_id" && object[number] == 99 {
                assert_eq!(object[caption], kind.code());
            } else {
                assert_eq!(&object[caption], expected, "{kind}: {number}");
            }
        }
    }
}

/// The table of `docs/audit.md`, read from the page.
#[test]
fn the_page_s_table_is_what_is_done() {
    let page = include_str!("../docs/audit.md");
    let (_, rest) = page
        .split_once("| `kind` | class | activity | success | failure |\n")
        .unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let mut told = BTreeSet::new();
    for row in table.lines().skip(1) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [kinds, class, activity, success, failure] = cells[..] else {
            panic!("{row}")
        };
        for kind in kinds.split(", ").map(|kind| kind.trim_matches('`')) {
            assert!(told.insert(kind.to_owned()), "{kind} twice");
            for (outcome, expected) in [(Outcome::Success, success), (Outcome::Failure, failure)] {
                // A refusal that succeeded does not happen.
                if expected == "–" {
                    continue;
                }
                let object = exported(&bare(kind.parse().unwrap()).with_outcome(outcome));
                let found = |name: &str| object[name].as_str().unwrap().to_owned();
                assert_eq!(
                    format!("{} {}", object["class_uid"], found("class_name")),
                    class
                );
                assert_eq!(
                    format!("{} {}", object["activity_id"], found("activity_name"))
                        .replace(kind, "Other"),
                    activity
                );
                assert_eq!(
                    format!(
                        "{} / {}, {}",
                        found("action"),
                        found("disposition"),
                        found("severity")
                    ),
                    expected,
                    "{kind}"
                );
            }
        }
    }
    let known: BTreeSet<_> = AuditKind::ALL
        .iter()
        .map(|kind| kind.code().to_owned())
        .collect();
    assert_eq!(told, known);
}

#[test]
fn a_revocation_in_full() {
    let event = bare(AuditKind::KeyRevoked)
        .with_id("018bcfe5-687b-7707-8707-070707070707".parse().unwrap())
        .with_sequence(9)
        .with_actor(ActorRef::user("ana"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_tenant("north")
        .with_role("reader")
        .with_client_ip([192, 0, 2, 1].into())
        .with_peer_ip([198, 51, 100, 7].into())
        .with_request_id("r-1")
        .with_detail("reason", "leaked")
        .with_detail("actor_generation", 2_i64);
    let credential = json!([{ "uid": "a1B2c3D4e5F6", "type": "API Key" }]);
    let expected = json!({
        "activity_id": 4,
        "activity_name": "Delete",
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "class_uid": 3004,
        "class_name": "Entity Management",
        "type_uid": 300_404,
        "type_name": "Entity Management: Delete",
        "time": 1_700_000_000_123_i64,
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "action_id": 1,
        "action": "Allowed",
        "disposition_id": 1,
        "disposition": "Allowed",
        "comment": "leaked",
        "entity": {
            "uid": "a1B2c3D4e5F6",
            "type_id": 99,
            "type": "API key",
            "user": {
                "uid": "acme",
                "type_id": 99,
                "type": "API key owner",
                "credential_uid": "a1B2c3D4e5F6",
                "programmatic_credentials": credential,
            },
        },
        "actor": { "user": { "name": "user:ana", "uid": "ana", "type_id": 1, "type": "User" } },
        "src_endpoint": { "ip": "192.0.2.1", "proxy_endpoint": { "ip": "198.51.100.7" } },
        "metadata": {
            "version": "1.8.0",
            "product": {
                "name": "billing-api",
                "uid": "p-1",
                "vendor_name": "Example Ltd",
                "version": "4.2.0",
            },
            "profiles": ["security_control"],
            "event_code": "key_revoked",
            "original_time": "2023-11-14T22:13:20.123456Z",
            "uid": "018bcfe5-687b-7707-8707-070707070707",
            "sequence": 9,
            "correlation_uid": "r-1",
            "tenant_uid": "north",
        },
        "unmapped": { "role": "reader", "details": { "actor_generation": 2 } },
    });
    assert_eq!(is_valid(&event), expected);
}

#[test]
fn a_refused_key_in_full() {
    let event = bare(AuditKind::AuthenticationFailed)
        .with_reason("revoked")
        .with_key_id("a1B2c3D4e5F6")
        .with_user_agent("curl/8.0");
    let object = is_valid(&event);
    assert_eq!(object["status_code"], "revoked");
    assert_eq!(object["auth_protocol_id"], 99);
    assert_eq!(object["auth_protocol"], "API key");
    assert_eq!(object["service"], json!({ "name": "billing-api" }));
    assert_eq!(object["http_request"], json!({ "user_agent": "curl/8.0" }));
    let credential = json!([{ "uid": "a1B2c3D4e5F6", "type": "API Key" }]);
    let user = json!({
        "name": "unknown",
        "type_id": 0,
        "type": "Unknown",
        "credential_uid": "a1B2c3D4e5F6",
        "programmatic_credentials": credential,
    });
    assert_eq!(object["user"], user);
    assert_eq!(object.get("unmapped"), None);
    assert_eq!(object.get("src_endpoint"), None);
}

#[test]
fn a_request_in_full() {
    let event = bare(AuditKind::RequestCompleted)
        .with_actor(ActorRef::key("a1B2c3D4e5F6"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_request_id("r-1")
        .with_method("PATCH")
        .with_route("/users/{id}")
        .with_status(200)
        .with_duration(std::time::Duration::from_micros(1500));
    let object = is_valid(&event);
    assert_eq!(
        (&object["activity_id"], &object["activity_name"]),
        (&json!(3), &json!("Update"))
    );
    let api = json!({
        "operation": "PATCH /users/{id}",
        "service": { "name": "billing-api" },
        "request": { "uid": "r-1" },
    });
    assert_eq!(object["api"], api);
    assert_eq!(
        object["http_request"],
        json!({ "http_method": "PATCH", "url": { "path": "/users/{id}" } })
    );
    assert_eq!(object["http_response"], json!({ "code": 200 }));
    assert_eq!(object["duration"], 1);
    assert_eq!(object["unmapped"], json!({ "duration_us": 1500 }));
    // A key that acts for itself stands for its owner.
    let user = &object["actor"]["user"];
    assert_eq!(
        (&user["name"], &user["uid"]),
        (&json!("key:a1B2c3D4e5F6"), &json!("acme"))
    );
    // The class demands a source, and nobody knows it.
    assert_eq!(object["src_endpoint"], json!({ "name": "unknown" }));
}

#[test]
fn a_key_that_acts_on_another_is_named_by_its_own_id() {
    let event = bare(AuditKind::KeyCreated)
        .with_actor(ActorRef::key("managerKey01"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme");
    let object = is_valid(&event);
    let actor = &object["actor"]["user"];
    assert_eq!(
        (&actor["uid"], &actor["credential_uid"]),
        (&json!("managerKey01"), &json!("managerKey01"))
    );
    assert_eq!(object["entity"]["user"]["uid"], "acme");
}

#[test]
fn key_and_owner_of_somebody_else_s_request_are_kept() {
    let event = bare(AuditKind::RequestCompleted)
        .with_actor(ActorRef::user("ana"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme");
    let object = is_valid(&event);
    assert_eq!(object["actor"]["user"]["uid"], "ana");
    assert_eq!(
        object["unmapped"],
        json!({ "key_id": "a1B2c3D4e5F6", "owner": "acme" })
    );
}

#[test]
fn an_alert_in_full() {
    let event = bare(AuditKind::AlertRaised)
        .with_reason("error_rate")
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_client_ip([192, 0, 2, 1].into())
        .with_detail("rate", 12_i64);
    let object = is_valid(&event);
    assert_eq!(
        (&object["status_id"], &object["status"]),
        (&json!(1), &json!("New"))
    );
    assert_eq!(object["is_alert"], true);
    assert_eq!(object["finding_info"]["title"], "error_rate");
    assert_eq!(object["finding_info"]["uid"], "2023-11-14T22:13:20.123456Z");
    assert_eq!(object["evidences"][0]["user"]["uid"], "acme");
    assert_eq!(object["evidences"][0]["src_endpoint"]["ip"], "192.0.2.1");
    let with_id = is_valid(&full(AuditKind::AlertRaised, Outcome::Success, "plain"));
    assert_eq!(with_id["finding_info"]["uid"], with_id["metadata"]["uid"]);
}

#[test]
fn the_method_tells_the_activity_of_a_request() {
    let activity = |method: &str| {
        let object = is_valid(&bare(AuditKind::RequestCompleted).with_method(method));
        (
            object["activity_id"].as_u64().unwrap(),
            object["unmapped"]["method"].clone(),
        )
    };
    for (method, expected) in [
        ("POST", 1),
        ("GET", 2),
        ("HEAD", 2),
        ("PUT", 3),
        ("PATCH", 3),
        ("DELETE", 4),
        ("OPTIONS", 99),
    ] {
        assert_eq!(activity(method), (expected, Value::Null), "{method}");
    }
    assert_eq!(activity("PROPFIND"), (99, json!("PROPFIND")));
    assert_eq!(activity("get"), (99, json!("get")));
}

#[test]
fn a_refused_operation_on_keys_is_the_operation_that_was_refused() {
    let event = bare(AuditKind::PermissionRefused).with_detail("operation", "key_revoked");
    assert_eq!(is_valid(&event)["api"]["operation"], "key_revoked");
    assert_eq!(
        is_valid(&bare(AuditKind::LimitHit))["api"]["operation"],
        "limit_hit"
    );
}

#[test]
fn an_outage_is_neither_allowed_nor_denied() {
    let verdict = |event: AuditEvent| {
        let object = is_valid(&event);
        (object["action"].clone(), object["disposition"].clone())
    };
    let error = (json!("Unknown"), json!("Error"));
    for reason in ["unavailable", "overloaded"] {
        assert_eq!(
            verdict(bare(AuditKind::AuthenticationFailed).with_failure(reason)),
            error
        );
        assert_eq!(
            verdict(bare(AuditKind::PermissionRefused).with_failure(reason)),
            error
        );
    }
    let answered = |status| {
        bare(AuditKind::RequestCompleted)
            .with_outcome(Outcome::Failure)
            .with_status(status)
    };
    assert_eq!(verdict(answered(503)), error);
    assert_eq!(verdict(answered(500)), error);
}

#[test]
fn the_status_tells_what_a_failed_request_was_refused_for() {
    let disposition = |status| {
        let event = bare(AuditKind::RequestCompleted)
            .with_outcome(Outcome::Failure)
            .with_status(status);
        let object = is_valid(&event);
        assert_eq!(object["action"], "Denied");
        object["disposition"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        [400, 401, 403, 404, 429, 499].map(disposition),
        [
            "Rejected",
            "Blocked",
            "Unauthorized",
            "Rejected",
            "Blocked",
            "Rejected"
        ]
    );
}

#[test]
fn times_are_milliseconds_rounded_towards_the_past() {
    let time = |micros| {
        exported(&AuditEvent::new(
            AuditKind::KeyCreated,
            Timestamp::from_micros(micros),
        ))["time"]
            .clone()
    };
    assert_eq!(time(MICROS), MICROS / 1000);
    assert_eq!(time(1999), 1);
    assert_eq!(time(-1), -1);
    assert_eq!(time(i64::MIN), i64::MIN / 1000 - 1);
}

#[test]
fn a_detail_cannot_pass_for_a_field_of_ours() {
    let event = bare(AuditKind::RequestCompleted)
        .with_role("reader")
        .with_detail("role", "admin");
    assert_eq!(
        is_valid(&event)["unmapped"],
        json!({ "role": "reader", "details": { "role": "admin" } })
    );
}

#[test]
fn only_a_comment_that_is_a_text_leaves_the_details() {
    let object = is_valid(&bare(AuditKind::KeyRevoked).with_detail("reason", 7_i64));
    assert_eq!(
        (object.get("comment"), &object["unmapped"]["details"]),
        (None, &json!({ "reason": 7 }))
    );
    let object = is_valid(
        &bare(AuditKind::KeyCreated)
            .with_detail("reason", "x")
            .with_detail("justification", "y"),
    );
    assert_eq!(
        (&object["comment"], &object["unmapped"]["details"]),
        (&json!("y"), &json!({ "reason": "x" }))
    );
}

#[test]
fn says_how_many_details_were_left_out() {
    let event = (0..18_i64).fold(bare(AuditKind::KeyCreated), |event, n| {
        event.with_detail(format!("d{n}"), n)
    });
    assert_eq!(is_valid(&event)["unmapped"]["details_omitted"], 2);
}
