//! Fields that tell a client when its secret ends.

use ::http::header::{HeaderName, HeaderValue, LINK};
use ::http::{HeaderMap, Uri};
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::service::{Rejection, Retirement, VerifyError};
use crate::time::Timestamp;

/// RFC 9745.
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// RFC 8594.
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// When a secret ends or ended, and since when its holder is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sunset {
    since: Option<Timestamp>,
    ends_at: Timestamp,
}

impl Sunset {
    pub(super) fn coming(retirement: Retirement) -> Self {
        Self {
            since: Some(retirement.since),
            ends_at: retirement.ends_at,
        }
    }

    /// The end that lies behind a refused secret.
    pub(super) fn past(error: &VerifyError) -> Option<Self> {
        match error.rejection() {
            Some(Rejection::RotationOverdue { since }) => Some(Self {
                since: None,
                ends_at: *since,
            }),
            Some(_) | None => None,
        }
    }

    /// Writes the fields, unless the handler has set one of them: it speaks of the route, which no client should take for
    /// its key's end, nor the one field for a pair with the other.
    pub(super) fn write(self, page: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if headers.contains_key(DEPRECATION) || headers.contains_key(SUNSET) {
            return;
        }
        if let Some(since) = self.since.and_then(date) {
            headers.insert(DEPRECATION, since);
        }
        if let Some(end) = http_date(self.ends_at) {
            headers.insert(SUNSET, end);
        }
        if let Some(page) = page {
            headers.append(LINK, page.clone());
        }
    }
}

/// A link to a page about both fields.
pub(super) fn link(page: &Uri) -> Option<HeaderValue> {
    HeaderValue::try_from(format!(r#"<{page}>; rel="deprecation sunset""#)).ok()
}

/// A date of RFC 9651.
fn date(at: Timestamp) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("@{}", at.as_secs())).ok()
}

/// Rounded towards the past: a client that keeps to it is not late. `None` outside the years 0 to 9999.
fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_second(at.as_secs()).ok()?;
    let text = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(at: Timestamp) -> Option<String> {
        http_date(at).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn writes_dates_as_http_does_and_rounds_them_down() {
        let example = "Sun, 06 Nov 1994 08:49:37 GMT";
        let end = Timestamp::from_micros(784_111_777_999_999);
        assert_eq!(shown(end).as_deref(), Some(example));
        assert_eq!(date(end).unwrap(), "@784111777");
    }

    #[test]
    fn leaves_out_what_has_no_form() {
        assert_eq!(shown(Timestamp::MAX), None);
        assert_eq!(shown(Timestamp::MIN), None);
        assert_eq!(date(Timestamp::MIN).unwrap(), "@-9223372036855");
    }
}
