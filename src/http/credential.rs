//! Taking the key out of a request.

use std::fmt;

use ::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use ::http::{HeaderMap, Uri};

use super::exposure::{self, Exposed};
use crate::key::KeyFormat;

/// The header field that holds a key and nothing else.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request holds by way of credentials. The fields are taken out of the request in any case.
#[derive(Debug)]
pub(super) enum Presented {
    /// None.
    Missing,
    /// More than one, and not the same.
    Ambiguous,
    /// A key in the URL, where logs and histories keep it.
    InUrl(Exposed),
    /// One.
    One(Credential),
}

/// A presented key, unchecked.
#[derive(Clone)]
pub(super) struct Credential {
    field: HeaderValue,
    start: usize,
}

impl Credential {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.field.as_bytes().get(self.start..).unwrap_or_default()
    }

    const fn whole(field: HeaderValue) -> Self {
        Self { field, start: 0 }
    }

    /// Reads `Bearer`, in any case, one or more spaces, and the key. `None` for another scheme.
    fn bearer(field: &HeaderValue) -> Option<Self> {
        let bytes = field.as_bytes();
        let (scheme, rest) = bytes.split_at_checked(b"Bearer".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer") || !matches!(rest.first(), None | Some(b' ')) {
            return None;
        }
        let key = rest.iter().position(|byte| *byte != b' ');
        let start = key.map_or(bytes.len(), |at| scheme.len().saturating_add(at));
        Some(Self {
            field: field.clone(),
            start,
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// Takes the credentials out of the request.
///
/// SECURITY: `Authorization` goes whatever its scheme, so that no handler sees a key that was sent in an odd way.
pub(super) fn take(headers: &mut HeaderMap, uri: &Uri, format: &KeyFormat) -> Presented {
    let keys = take_all(headers, &API_KEY);
    let authorizations = take_all(headers, &AUTHORIZATION);
    if let Some(key) = exposure::in_url(uri, format) {
        return Presented::InUrl(key);
    }
    match (keys.as_slice(), authorizations.as_slice()) {
        ([], []) => Presented::Missing,
        ([key], []) => Presented::One(Credential::whole(key.clone())),
        (keys, [field]) => match (keys, Credential::bearer(field)) {
            ([], Some(bearer)) => Presented::One(bearer),
            ([], None) => Presented::Missing,
            ([key], Some(bearer)) if key.as_bytes() == bearer.as_bytes() => Presented::One(bearer),
            ([key], None) => Presented::One(Credential::whole(key.clone())),
            _ => Presented::Ambiguous,
        },
        _ => Presented::Ambiguous,
    }
}

fn take_all(headers: &mut HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    let found = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    found
}

/// Returns all keys in the request, wherever they stand, one of an id and at most four.
pub(super) fn all_keys(headers: &HeaderMap, uri: &Uri, format: &KeyFormat) -> Vec<Exposed> {
    let keys = headers.get_all(API_KEY).iter().cloned();
    let bearers = headers.get_all(AUTHORIZATION).iter();
    let credentials = keys
        .map(Credential::whole)
        .chain(bearers.filter_map(Credential::bearer));
    let mut keys: Vec<Exposed> = credentials
        .filter_map(|it| Exposed::of(it.as_bytes(), format))
        .chain(exposure::in_url(uri, format))
        .collect();
    // SECURITY: secret ones first. A publishable key must not take the place of one, nor one of the same id.
    keys.sort_by_key(Exposed::is_publishable);
    keys.truncate(4);
    keys.sort_by_key(Exposed::id);
    keys.dedup_by_key(|key| key.id());
    keys
}

/// Returns whether the request holds a field that credentials travel in.
pub(super) fn is_present(headers: &HeaderMap) -> bool {
    headers.contains_key(API_KEY) || headers.contains_key(AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(text: &'static str) -> Option<Vec<u8>> {
        let found = Credential::bearer(&HeaderValue::from_static(text));
        found.map(|it| it.as_bytes().to_vec())
    }

    #[test]
    fn reads_bearer_in_any_case_with_any_number_of_spaces() {
        for text in ["Bearer k", "bearer k", "BEARER k", "beaReR     k"] {
            assert_eq!(bearer(text), Some(b"k".to_vec()), "{text}");
        }
    }

    #[test]
    fn takes_an_empty_bearer_for_an_empty_key() {
        assert_eq!(bearer("Bearer"), Some(Vec::new()));
        assert_eq!(bearer("Bearer  "), Some(Vec::new()));
    }

    #[test]
    fn leaves_other_schemes_alone() {
        for text in ["Basic k", "BearerX k", "Bearer\tk", "Beare", "", "k"] {
            assert_eq!(bearer(text), None, "{text}");
        }
    }

    #[test]
    fn cuts_nothing_off_the_end() {
        assert_eq!(bearer("Bearer k "), Some(b"k ".to_vec()));
        assert_eq!(bearer("Bearer k k"), Some(b"k k".to_vec()));
    }
}
