//! Events with something in every field, and texts that would break out of it.

pub(crate) mod csv;
pub(crate) mod ocsf;

use std::time::Duration;

use keyward::audit::{ActorRef, AuditEvent, AuditKind, Detail, EventId, Outcome};
use keyward::time::Timestamp;

/// 2023-11-14T22:13:20.123456Z.
pub(crate) const MICROS: i64 = 1_700_000_000_123_456;

pub(crate) fn bare(kind: AuditKind) -> AuditEvent {
    AuditEvent::new(kind, Timestamp::from_micros(MICROS))
}

/// Every field set, and every text one to `text`.
pub(crate) fn full(kind: AuditKind, outcome: Outcome, text: &str) -> AuditEvent {
    bare(kind)
        .with_id(EventId::new(Timestamp::from_micros(MICROS), &[7; 10]))
        .with_sequence(9)
        .with_outcome(outcome)
        .with_reason(text)
        .with_actor(ActorRef::user(text))
        .with_key_id(text)
        .with_owner(text)
        .with_tenant(text)
        .with_role(text)
        .with_client_ip([192, 0, 2, 1].into())
        .with_peer_ip("2001:db8::1".parse().unwrap())
        .with_user_agent(text)
        .with_request_id(text)
        .with_method(text)
        .with_route(text)
        .with_status(403)
        .with_duration(Duration::from_micros(1_234_567))
        .with_detail(text, text)
        .with_detail("reason", text)
        .with_detail("justification", text)
        .with_detail("operation", text)
        .with_detail("limit", -60_i64)
}

/// All texts of an event, by the names of its JSON form; details by theirs.
pub(crate) fn texts(event: &AuditEvent) -> Vec<(String, String)> {
    let fields = [
        ("reason", event.reason()),
        ("actor", event.actor().map(ActorRef::as_str)),
        ("key_id", event.key_id()),
        ("owner", event.owner()),
        ("tenant", event.tenant()),
        ("role", event.role()),
        ("user_agent", event.user_agent()),
        ("request_id", event.request_id()),
        ("method", event.method()),
        ("route", event.route()),
    ];
    fields
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.to_owned())))
        .collect()
}

/// The details that are texts.
pub(crate) fn detail_texts(event: &AuditEvent) -> Vec<(String, String)> {
    let text = |(name, value): (&str, &Detail)| match value {
        Detail::Text(text) => Some((name.to_owned(), text.as_str().to_owned())),
        _ => None,
    };
    event.details().filter_map(text).collect()
}

/// What somebody sends who wants a second line, another cell, a moved cursor or an overrun.
pub(crate) fn hostile() -> Vec<String> {
    let short = [
        "",
        " ",
        "\r\n",
        "x\r\n{\"kind\":\"key_created\"}\r\n",
        "x\nkey_created,,,",
        "x\ry",
        "\n",
        "\u{2028}x\u{2029}y",
        "x\u{85}y",
        "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{1f}",
        "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m",
        "\u{202e}txt.exe\u{202c} \u{2066}x\u{2069} \u{200e}\u{200f}\u{61c}",
        "nul\0nul",
        "\u{7f}\u{80}\u{9f}",
        "\"",
        "'",
        "'=1",
        "\"\"\"",
        "\\",
        "\\\"",
        "\\u000a\\n",
        r"\ud800",
        r"\udc00\ud800 \uD83D",
        "=cmd|' /C calc'!A0",
        "+1+cmd",
        "-2+3",
        "@SUM(1+1)",
        "\t=1",
        "\r=1",
        "  =1",
        "\u{a0}=1",
        "\u{3000}＝1",
        "\u{feff}=1",
        "＝1",
        "＋1",
        "－1",
        "＠1",
        "\",\"=1\",\"",
        "a,b;c\td|e",
        "\"\r\n=1,\"",
        "<script>alert(1)</script>&amp;%0d%0a",
        "{{7*7}} ${jndi:ldap://x} %s%n",
        "\u{fffd}\u{ffff}\u{10ffff}\u{fdd0}😀é",
        "GET",
        "user:",
    ];
    let mut texts: Vec<String> = short.iter().map(|text| (*text).to_owned()).collect();
    // One mebibyte, so cut that the cut falls into a character, an escape or a line end.
    texts.extend(
        ["x", "ä", "\u{2028}", "\"", "\\", "\r\n", "=", "😀"]
            .map(|it| it.repeat((1 << 20) / it.len())),
    );
    texts
}

/// What anything that reads lines may take for the end of one, or for a change of direction or a terminal's command.
pub(crate) fn leaves_the_line(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Splits what was written into lines, under every notion of a line at once, and returns them.
///
/// `ending` is how the form ends its lines; nothing else in the text may end one.
pub(crate) fn lines<'a>(written: &'a str, ending: &str) -> Vec<&'a str> {
    let lines: Vec<_> = written
        .strip_suffix(ending)
        .unwrap()
        .split(ending)
        .collect();
    for line in &lines {
        assert!(!line.contains(leaves_the_line), "{line:?}");
    }
    lines
}
