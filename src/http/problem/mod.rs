//! Error bodies: `application/problem+json` (RFC 9457).

mod known;

use std::fmt;
use std::time::Duration;

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use ::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};

/// An error response: what stands in its body, and the header fields that belong to it.
///
/// The layers answer with these, and so can the application. Every problem has `type`, `title`, `status` and, if set,
/// `detail`; ours also have `code`, one stable lower-case word. The response is never stored by a cache.
///
/// ```
/// use http::StatusCode;
/// use keyward::http::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "name_taken").with_detail("there is a project of this name");
/// let response: http::Response<String> = problem.into_http();
/// assert_eq!(response.status(), 409);
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// assert_eq!(
///     response.body(),
///     r#"{"code":"name_taken","detail":"there is a project of this name","status":409,"title":"Conflict","type":"about:blank"}"#
/// );
/// ```
#[derive(Clone)]
#[must_use = "a problem does nothing until it is sent"]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// Returns a problem that is described by its status, with a code for programs.
    pub fn new(status: StatusCode, code: &str) -> Self {
        let title = status.canonical_reason().unwrap_or("Unknown");
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let problem = Self(Box::new(Inner {
            status,
            members: Map::new(),
            headers,
        }));
        problem
            .with_member("type", "about:blank")
            .with_member("title", title)
            .with_member("status", status.as_u16())
            .with_member("code", code)
    }

    /// Sets what identifies the kind of problem, with the title that belongs to it.
    pub fn with_type(self, uri: &str, title: &str) -> Self {
        self.with_member("type", uri).with_member("title", title)
    }

    /// Sets what happened this time, for a person. It goes to the client: nothing secret.
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        self.with_member("detail", detail.into())
    }

    /// Sets a further member of the body.
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a header field of the response.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Sets `Retry-After`: whole seconds, rounded up, at least one.
    pub fn with_retry_after(self, wait: Duration) -> Self {
        let part = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(part).max(1);
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> &str {
        self.member("code").and_then(Value::as_str).unwrap_or("")
    }

    /// Returns a member of the body.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.get(name)
    }

    /// Returns the response.
    #[must_use]
    pub fn into_http<B: From<String>>(self) -> Response<B> {
        let Inner {
            status,
            members,
            headers,
        } = *self.0;
        let mut response = Response::new(B::from(Value::Object(members).to_string()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("status", &self.0.status)
            .field("members", &self.0.members)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        self.into_http()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(wait: Duration) -> String {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "x").with_retry_after(wait);
        let response: Response<String> = problem.into_http();
        response.headers()[RETRY_AFTER].to_str().unwrap().to_owned()
    }

    #[test]
    fn rounds_a_wait_up_to_whole_seconds_and_never_to_zero() {
        assert_eq!(retry_after(Duration::ZERO), "1");
        assert_eq!(retry_after(Duration::from_millis(200)), "1");
        assert_eq!(retry_after(Duration::from_secs(2)), "2");
        assert_eq!(retry_after(Duration::from_nanos(2_000_000_001)), "3");
        assert_eq!(retry_after(Duration::MAX), u64::MAX.to_string());
    }

    #[test]
    fn says_the_status_in_the_body_as_in_the_status_line() {
        let problem = Problem::new(StatusCode::GONE, "x");
        assert_eq!(
            problem.member("status"),
            Some(&Value::from(problem.status().as_u16()))
        );
    }

    #[test]
    fn escapes_what_it_is_told() {
        let problem = Problem::new(StatusCode::GONE, "x").with_detail("a\"b\r\nc");
        let response: Response<String> = problem.into_http();
        assert!(response.body().contains(r#""detail":"a\"b\r\nc""#));
    }
}
