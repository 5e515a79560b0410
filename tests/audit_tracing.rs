//! Events as `tracing` events: names, levels, and values that stay on their line.
#![cfg(all(feature = "tracing", feature = "testing"))]
#![allow(
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use keyward::audit::{ActorRef, AuditEvent, AuditKind, AuditSink, TARGET, TracingSink};
use keyward::time::Timestamp;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// What a subscriber wrote.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn event(kind: AuditKind) -> AuditEvent {
    AuditEvent::new(kind, Timestamp::from_secs(1_700_000_000))
}

fn as_json(events: &[AuditEvent]) -> Vec<Value> {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .without_time()
        .with_writer(output.clone());
    let _default = subscriber.finish().set_default();
    trace(events);
    output
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn as_text(events: &[AuditEvent]) -> Vec<String> {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(output.clone());
    let _default = subscriber.finish().set_default();
    trace(events);
    output.lines()
}

#[test]
fn uses_the_names_of_the_json_form() {
    let event = event(AuditKind::KeyCreated)
        .with_sequence(3)
        .with_id("018bcfe5-6800-7000-8000-000000000001".parse().unwrap())
        .with_reason("requested")
        .with_actor(ActorRef::user("ana"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_tenant("north")
        .with_role("reader")
        .with_client_ip([192, 0, 2, 1].into())
        .with_peer_ip([192, 0, 2, 2].into())
        .with_user_agent("curl/8.0")
        .with_request_id("r-1")
        .with_method("POST")
        .with_route("/keys")
        .with_status(201)
        .with_duration(std::time::Duration::from_micros(1500));
    let mut expected: Value = serde_json::from_str(&event.to_line().unwrap()).unwrap();
    expected.as_object_mut().unwrap().remove("schema");
    expected["message"] = json!("audit");
    let found = as_json(&[event]);
    assert_eq!(found[0]["fields"], expected);
    assert_eq!(found[0]["target"], json!(TARGET));
}

#[test]
fn leaves_out_what_is_not_set() {
    let found = as_json(&[event(AuditKind::KeyCreated)]);
    let expected = json!({
        "message": "audit",
        "time": "2023-11-14T22:13:20.000000Z",
        "kind": "key_created",
        "outcome": "success",
    });
    assert_eq!(found[0]["fields"], expected);
}

#[test]
fn puts_details_into_one_field_of_json() {
    let event = event(AuditKind::LimitHit)
        .with_detail("limit", 60_u32)
        .with_detail("a\"b", "c\nd");
    let found = as_json(&[event]);
    let details = found[0]["fields"]["details"].as_str().unwrap();
    let details: Value = serde_json::from_str(details).unwrap();
    assert_eq!(details, json!({ "limit": 60, "a\"b": "c\nd" }));
}

#[test]
fn warns_of_failures_and_informs_of_successes() {
    let found = as_json(&[
        event(AuditKind::AuthenticationFailed),
        event(AuditKind::KeyCreated),
    ]);
    let levels: Vec<_> = found
        .iter()
        .map(|line| line["level"].as_str().unwrap())
        .collect();
    assert_eq!(levels, ["WARN", "INFO"]);
}

#[test]
fn keeps_hostile_text_on_one_line() {
    let hostile = "x\r\nINFO keyward::audit: forged\u{85}\u{2028}\u{1b}[2J\u{202e}\0\u{9b}";
    let event = event(AuditKind::AuthenticationFailed)
        .with_actor(ActorRef::user(hostile))
        .with_key_id(hostile)
        .with_owner(hostile)
        .with_tenant(hostile)
        .with_role(hostile)
        .with_reason(hostile)
        .with_user_agent(&hostile.repeat(1 << 14))
        .with_request_id(hostile)
        .with_method(hostile)
        .with_route(hostile)
        .with_detail(hostile, hostile);
    let lines = as_text(&[event]);
    assert_eq!(lines.len(), 1);
    let unsafe_character = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
    assert!(!lines[0].contains(unsafe_character), "{}", lines[0]);
    assert!(lines[0].contains(r"user_agent=x\r\nINFO keyward::audit: forged\u0085\u2028\u001b[2J"));
}

#[test]
fn keeps_the_order() {
    let events: Vec<_> = (1..=5)
        .map(|n| event(AuditKind::KeyCreated).with_sequence(n))
        .collect();
    let found = as_json(&events);
    let order: Vec<_> = found
        .iter()
        .map(|line| line["fields"]["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
}

fn trace(events: &[AuditEvent]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let written = runtime.unwrap().block_on(TracingSink::new().write(events));
    written.unwrap();
}
