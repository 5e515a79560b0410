//! The names that an authenticator app shows.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 §2.3. A blank becomes `%20`, since not every app reads `+`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The name of the issuer or of the account. It has no colon, which is what stands between the two in a URI.
#[derive(Clone, Debug)]
pub(super) struct Label(String);

impl Label {
    /// What a phone's list still shows, and an e-mail address still has room in.
    const LONGEST: usize = 128;

    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            return Err("must not be empty");
        }
        if text.len() > Self::LONGEST {
            return Err("has more than 128 bytes");
        }
        if text.contains(':') || text.chars().any(char::is_control) {
            return Err("holds a colon or a control character");
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn in_uris(&self) -> PercentEncode<'_> {
        utf8_percent_encode(&self.0, RESERVED)
    }
}
