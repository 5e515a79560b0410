//! What an OCSF object holds of an event, read as `docs/audit.md` says where it stands.

use serde_json::Value;

/// All texts of the event, by the names of its JSON form.
pub(crate) fn texts(object: &Value) -> Vec<(String, String)> {
    let alert = object["class_uid"] == 2004;
    let scene = if alert {
        &object["evidences"][0]
    } else {
        object
    };
    let (key_id, owner) = key_and_owner(object);
    let actor = &scene["actor"]["user"]["name"];
    let fields = [
        ("reason", &object["status_code"]),
        (
            "actor",
            if actor == "unknown" {
                &Value::Null
            } else {
                actor
            },
        ),
        ("key_id", key_id),
        ("owner", owner),
        ("tenant", &object["metadata"]["tenant_uid"]),
        ("role", &object["unmapped"]["role"]),
        ("user_agent", &scene["http_request"]["user_agent"]),
        ("request_id", &object["metadata"]["correlation_uid"]),
        (
            "method",
            either(
                &scene["http_request"]["http_method"],
                &object["unmapped"]["method"],
            ),
        ),
        ("route", &scene["http_request"]["url"]["path"]),
    ];
    fields
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text.as_str()?.to_owned())))
        .collect()
}

/// The details that are texts; what became a comment comes from there.
pub(crate) fn detail_texts(object: &Value) -> Vec<(String, String)> {
    let mut texts: Vec<_> = object["unmapped"]["details"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    if let Some(comment) = object["comment"].as_str() {
        let revoked = object["metadata"]["event_code"] == "key_revoked";
        let name = if revoked { "reason" } else { "justification" };
        texts.push((name.to_owned(), comment.to_owned()));
    }
    texts.sort();
    texts
}

fn key_and_owner(object: &Value) -> (&Value, &Value) {
    let unmapped = &object["unmapped"];
    let user = match object["class_uid"].as_u64().unwrap() {
        2004 => &object["evidences"][0]["user"],
        3002 => &object["user"],
        3004 => &object["entity"]["user"],
        _ => &object["actor"]["user"],
    };
    if user["type_id"] == 0 || user["type"] == "API key owner" {
        (&user["credential_uid"], &user["uid"])
    } else {
        (&unmapped["key_id"], &unmapped["owner"])
    }
}

fn either<'a>(one: &'a Value, other: &'a Value) -> &'a Value {
    if one.is_null() { other } else { one }
}
