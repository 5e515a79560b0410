//! Keys in places where they must not be.

use std::borrow::Cow;
use std::fmt;

use ::http::Uri;
use zeroize::Zeroizing;

use super::percent;
use crate::audit::{AuditEvent, AuditKind, PLATFORM};
use crate::key::{KeyFormat, KeyId, KeyKind};
use crate::service::KeyService;

use super::exchange::Origin;

/// How often an encoded URL inside a URL is unpacked.
const LAYERS: usize = 3;

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

/// Writes down that a key was sent where others can read it.
///
/// The secret is not checked for this event: it names the key that the client says it is. The check comes after it, and a
/// secret that is the right one marks its key as exposed, with a second event. A publishable key is where others can read it
/// anyway.
pub(super) fn report(service: &KeyService, key: &Exposed, place: &'static str, origin: &Origin) {
    if key.is_publishable() {
        return;
    }
    let now = service.clock().now();
    let event = AuditEvent::new(AuditKind::KeyExposed, now)
        .with_failure(place)
        .with_key_id(key.id.as_str())
        .with_detail("secret", "unchecked")
        // SECURITY: nobody has looked whose it is, so only who sees all tenants reads of it.
        .with_detail(PLATFORM.0, PLATFORM.1);
    service.recorder().enqueue(origin.write(event));
    service.note_exposure(key.presented.clone(), place, origin.context().client());
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
