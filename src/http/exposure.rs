//! Keys in places where they must not be.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use ::http::Uri;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::exchange::Origin;
use super::{Problem, percent};
use crate::audit::{AuditEvent, AuditKind, PLATFORM};
use crate::key::{KeyFormat, KeyId, KeyKind};
use crate::service::{ExposureAction, ExposureOutcome, KeyService};

/// How often an encoded URL inside a URL is unpacked.
const LAYERS: usize = 3;
/// How long the answer waits for what becomes of a key: a slow hash and its queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// The member of the answer that says what became of the keys of the request.
const MEMBER: &str = "exposed_keys";

/// A key where it must not be, as it was presented.
pub(super) struct Exposed {
    id: KeyId,
    kind: KeyKind,
    presented: Zeroizing<Vec<u8>>,
}

impl Exposed {
    pub(super) fn of(presented: &[u8], format: &KeyFormat) -> Option<Self> {
        let key = format.parse(presented).ok()?;
        Some(Self {
            id: key.id(),
            kind: key.kind(),
            presented: Zeroizing::new(presented.to_vec()),
        })
    }

    pub(super) const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether others may read it.
    pub(super) fn is_publishable(&self) -> bool {
        self.kind == KeyKind::Publishable
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposed")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Returns a key in path or query, percent-encoded or not, alone or inside another value: a secret one, if there is one.
///
/// The whole of it is looked at: the `http` crate takes no URL of more than 64 kB, and a part that is not looked at
/// would be the place to put a key.
pub(super) fn in_url(uri: &Uri, format: &KeyFormat) -> Option<Exposed> {
    let mut text = Cow::Borrowed(uri.path_and_query()?.as_str().as_bytes());
    let mut found = first_key(&text, format);
    for _ in 0..LAYERS {
        if found.as_ref().is_some_and(|key| !key.is_publishable()) {
            return found;
        }
        let Some(decoded) = percent::decode(&text) else {
            return found;
        };
        text = Cow::Owned(decoded);
        found = first_key(&text, format).or(found);
    }
    found
}

/// Whatever stands around a key in a URL, it is none of the characters a key is made of.
fn first_key(text: &[u8], format: &KeyFormat) -> Option<Exposed> {
    let mut keys = text
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .filter_map(|word| Exposed::of(word, format));
    let first = keys.next()?;
    if !first.is_publishable() {
        return Some(first);
    }
    // A publishable key must not hide a secret one from the trail.
    keys.find(|key| !key.is_publishable()).or(Some(first))
}

/// Keys that were sent where others can read them, and are being looked at.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Noticed {
    place: &'static str,
    outcomes: Option<oneshot::Receiver<Vec<ExposureOutcome>>>,
}

/// Writes down that keys were sent where others can read them.
///
/// The secrets are not checked for these events: they name the keys that the client says they are. The check comes after them,
/// and a secret that is the right one has its key treated as the policy says, with another event. A publishable key is where
/// others can read it anyway.
pub(super) fn report(
    service: &KeyService,
    keys: &[Exposed],
    place: &'static str,
    origin: &Origin,
) -> Noticed {
    let keys: Vec<_> = keys.iter().filter(|key| !key.is_publishable()).collect();
    if keys.is_empty() {
        return Noticed::default();
    }
    let now = service.clock().now();
    for key in &keys {
        let event = AuditEvent::new(AuditKind::KeyExposed, now)
            .with_failure(place)
            .with_key_id(key.id.as_str())
            .with_detail("secret", "unchecked")
            // SECURITY: nobody has looked whose it is, so only who sees all tenants reads of it.
            .with_detail(PLATFORM.0, PLATFORM.1);
        service.recorder().enqueue(origin.write(event));
    }
    let presented = keys.iter().map(|key| key.presented.clone()).collect();
    Noticed {
        place,
        outcomes: service.look_at_exposed(presented, place, origin.client()),
    }
}

impl Noticed {
    /// Says in the answer what became of the keys, as far as they were proved in time.
    ///
    /// SECURITY: whatever else they turned out to be leaves no trace in it. It may travel in clear, and names no key.
    pub(super) async fn told_in(self, problem: Problem) -> Problem {
        let Some(outcomes) = self.outcomes else {
            return problem;
        };
        let outcomes = timeout(PATIENCE, outcomes).await;
        // Outer: in time. Inner: looked at to the end.
        let Ok(Ok(outcomes)) = outcomes else {
            return problem;
        };
        let actions = outcomes.into_iter().filter_map(ExposureOutcome::action);
        let told: Vec<_> = actions.map(|action| told(action, self.place)).collect();
        if told.is_empty() {
            return problem;
        }
        problem.with_member(MEMBER, told)
    }
}

fn told(action: ExposureAction, place: &str) -> Value {
    let mut told = Map::new();
    told.insert("action".to_owned(), action.code().into());
    if let Some(ends_at) = action.ends_at() {
        told.insert("ends_at".to_owned(), ends_at.to_string().into());
    }
    told.insert("detail".to_owned(), action.advice().into());
    told.insert("place".to_owned(), place.into());
    Value::Object(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn found(build: impl FnOnce(&str) -> String) -> bool {
        let format = KeyFormat::default();
        let key = format.generate(&OsRandom::new()).unwrap();
        let uri = build(key.plaintext().expose()).parse().unwrap();
        let found = in_url(&uri, &format);
        found.is_some_and(|it| {
            it.id() == key.id() && *it.presented == key.plaintext().expose().as_bytes()
        })
    }

    fn encode(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    #[test]
    fn finds_a_key_in_the_query_and_in_the_path() {
        assert!(found(|key| format!("/v1/x?api_key={key}")));
        assert!(found(|key| format!("/v1/x?a=1&b={key}&c=2")));
        assert!(found(|key| format!("/v1/x?{key}")));
        assert!(found(|key| format!("/v1/{key}/x")));
        assert!(found(|key| format!("https://example.com/{key}")));
    }

    #[test]
    fn finds_an_encoded_key() {
        assert!(found(|key| format!("/?k={}", key.replace('_', "%5F"))));
        assert!(found(|key| format!("/?k={}", encode(key))));
        assert!(found(|key| format!("/?k={}", encode(&encode(key)))));
        assert!(found(|key| format!(
            "/?next=https%3A%2F%2Fexample.com%2F%3Fkey%3D{key}"
        )));
    }

    #[test]
    fn finds_a_secret_key_behind_publishable_ones() {
        let format = KeyFormat::builder().publishable().build().unwrap();
        let [secret, public] = [KeyKind::Secret, KeyKind::Publishable]
            .map(|kind| format.generate_kind(kind, &OsRandom::new()).unwrap());
        let [open, hidden] = [public.plaintext().expose(), secret.plaintext().expose()];
        for (url, expected) in [
            (format!("/?a={open}"), public.id()),
            (format!("/?a={open}&b={hidden}"), secret.id()),
            (format!("/?a={open}&b={}", encode(hidden)), secret.id()),
            (format!("/?a={}&b={hidden}", encode(open)), secret.id()),
            (format!("/?a={}&b=%", encode(open)), public.id()),
        ] {
            let found = in_url(&url.parse().unwrap(), &format);
            assert_eq!(found.map(|key| key.id()), Some(expected), "{url}");
        }
    }

    #[test]
    fn finds_a_key_at_the_end_of_a_very_long_url() {
        assert!(found(|key| format!("/?a={}&k={key}", "x".repeat(60_000))));
    }

    #[test]
    fn takes_nothing_else_for_a_key() {
        assert!(!found(|key| format!("/?k={}", key.split_at(68).0)));
        assert!(!found(|key| format!("/?k={key}x")));
        assert!(!found(|_| "/?api_key=hello%".to_owned()));
        assert!(!found(|_| "*".to_owned()));
    }
}
