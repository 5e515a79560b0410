use super::*;

fn event() -> AuditEvent {
    AuditEvent::new(
        AuditKind::RequestCompleted,
        Timestamp::from_micros(1_700_000_000_123_456),
    )
}

/// Every field set.
fn full() -> AuditEvent {
    event()
        .with_id(EventId::new(event().time(), &[7; 10]))
        .with_sequence(9)
        .with_failure("refused")
        .with_actor(ActorRef::user("ana"))
        .with_key_id("a1B2c3D4e5F6")
        .with_owner("acme")
        .with_tenant("north")
        .with_role("reader")
        .with_client_ip([192, 0, 2, 1].into())
        .with_peer_ip("2001:db8::1".parse().unwrap())
        .with_user_agent("curl/8.0")
        .with_request_id("r-1")
        .with_method("GET")
        .with_route("/users/{id}")
        .with_status(403)
        .with_duration(Duration::from_micros(1500))
        .with_detail("limit", 60_u32)
        .with_detail("quota", "minute")
}

#[test]
fn writes_every_field_under_its_documented_name() {
    let json: serde_json::Value = serde_json::from_str(&full().to_line().unwrap()).unwrap();
    let expected = serde_json::json!({
        "schema": 1,
        "sequence": 9,
        "id": "018bcfe5-687b-7707-8707-070707070707",
        "time": "2023-11-14T22:13:20.123456Z",
        "kind": "request_completed",
        "outcome": "failure",
        "reason": "refused",
        "actor": "user:ana",
        "key_id": "a1B2c3D4e5F6",
        "owner": "acme",
        "tenant": "north",
        "role": "reader",
        "client_ip": "192.0.2.1",
        "peer_ip": "2001:db8::1",
        "user_agent": "curl/8.0",
        "request_id": "r-1",
        "method": "GET",
        "route": "/users/{id}",
        "status": 403,
        "duration_us": 1500,
        "details": { "limit": 60, "quota": "minute" },
    });
    assert_eq!(json, expected);
}

#[test]
fn reads_back_every_field() {
    let line = full().to_line().unwrap();
    assert_eq!(serde_json::from_str::<AuditEvent>(&line).unwrap(), full());
}

#[test]
fn reads_an_event_with_fields_it_does_not_know() {
    let line = r#"{"schema":1,"time":"2023-11-14T22:13:20Z","kind":"key_created","outcome":"success","prev":"00"}"#;
    let event: AuditEvent = serde_json::from_str(line).unwrap();
    assert_eq!(event.kind(), AuditKind::KeyCreated);
}

#[test]
fn keeps_times_no_calendar_reaches() {
    for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::EPOCH] {
        let event = AuditEvent::new(AuditKind::KeyCreated, time);
        let line = event.to_line().unwrap();
        assert_eq!(serde_json::from_str::<AuditEvent>(&line).unwrap(), event);
    }
}

#[test]
fn takes_a_refusal_for_a_failure_and_the_rest_for_a_success() {
    let outcome = |kind| AuditEvent::new(kind, Timestamp::EPOCH).outcome();
    assert_eq!(outcome(AuditKind::AuthenticationFailed), Outcome::Failure);
    assert_eq!(
        outcome(AuditKind::AuthenticationSucceeded),
        Outcome::Success
    );
}

#[test]
fn bounds_every_text() {
    let long = "x".repeat(1 << 20);
    let event = event()
        .with_reason(&*long)
        .with_key_id(&*long)
        .with_owner(&*long)
        .with_tenant(&*long)
        .with_role(&*long)
        .with_user_agent(&long)
        .with_request_id(&long)
        .with_method(&long)
        .with_route(&*long)
        .with_detail(&*long, &*long);
    let texts = [
        (event.reason(), MAX_REASON),
        (event.key_id(), MAX_KEY_ID),
        (event.owner(), MAX_NAME),
        (event.tenant(), MAX_NAME),
        (event.role(), MAX_NAME),
        (event.user_agent(), MAX_USER_AGENT),
        (event.request_id(), MAX_REQUEST_ID),
        (event.method(), MAX_METHOD),
        (event.route(), MAX_NAME),
    ];
    for (text, max) in texts {
        let text = text.unwrap();
        assert_eq!(text.len(), max);
        assert!(text.ends_with('…'));
    }
    let (name, value) = event.details().next().unwrap();
    let Detail::Text(value) = value else {
        panic!("a text")
    };
    assert_eq!((name.len(), value.as_str().len()), (64, 256));
}

#[test]
fn counts_the_details_it_leaves_out() {
    let event = (0..18_u32).fold(event(), |event, n| event.with_detail(format!("d{n:02}"), n));
    assert_eq!(event.details().count(), 16);
    assert_eq!(event.details_omitted(), 2);
    assert_eq!(event.detail("d15"), Some(&Detail::Number(15)));
}

#[test]
fn replaces_a_detail_even_when_there_is_no_room_for_more() {
    let event = (0..16_u32).fold(event(), |event, n| event.with_detail(format!("d{n}"), n));
    let event = event.with_detail("d3", "new");
    assert_eq!(event.details_omitted(), 0);
    assert_eq!(event.detail("d3"), Some(&Detail::from("new")));
}

#[test]
fn escapes_what_could_leave_the_line_and_nothing_else() {
    let hostile = "a\r\n\0\u{1b}[2J\u{7f}\u{85}\u{9f}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{61c}\"\\z ä€😀…\u{a0}";
    let line = event().with_user_agent(hostile).to_line().unwrap();
    assert!(line.contains(concat!(
        r"a\r\n\u0000\u001b[2J\u007f\u0085\u009f\u2028\u2029\u202e\u2066\u200f\u061c",
        r#"\"\\z ä€😀…"#,
        "\u{a0}"
    )));
    let back: AuditEvent = serde_json::from_str(&line).unwrap();
    assert_eq!(back.user_agent(), Some(hostile));
}

#[test]
fn escapes_a_bare_text_like_a_json_string() {
    assert_eq!(escape("plain ä"), "plain ä");
    assert_eq!(escape("a\nb\"\u{2028}\\"), r#"a\nb\"\u2028\\"#);
}
