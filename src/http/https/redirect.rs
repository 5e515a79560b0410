use ::http::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderValue, LOCATION};
use ::http::request::Parts;
use ::http::uri::Authority;
use ::http::{HeaderMap, Method, Response, StatusCode};

use crate::http::credential;

/// Sends browsers from http to https.
///
/// Only to hosts that are named here: a `Host` that the client made up never becomes a `Location`.
///
/// ```
/// use keyward::http::BrowserRedirect;
///
/// let redirect = BrowserRedirect::to("www.example.com")?.also_to("example.com")?.except_under("/api");
/// assert!(BrowserRedirect::to("https://example.com/").is_err());
/// # Ok::<(), keyward::http::InvalidHost>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BrowserRedirect {
    host: Authority,
    others: Vec<Authority>,
    api: Vec<String>,
}

/// A host to redirect to is not a host name or address with an optional port.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a host name or address with an optional port")]
#[non_exhaustive]
pub struct InvalidHost;

impl BrowserRedirect {
    /// Redirects to this host, which may have a port.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`].
    pub fn to(host: &str) -> Result<Self, InvalidHost> {
        Ok(Self {
            host: authority(host)?,
            others: Vec::new(),
            api: Vec::new(),
        })
    }

    /// Redirects requests for this host to itself instead.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`].
    pub fn also_to(mut self, host: &str) -> Result<Self, InvalidHost> {
        self.others.push(authority(host)?);
        Ok(self)
    }

    /// Takes a path and everything below it for API, where nothing is redirected.
    pub fn except_under(mut self, path: &str) -> Self {
        self.api.push(path.trim_end_matches('/').to_owned());
        self
    }

    pub(super) fn answer<R: From<String>>(&self, parts: &Parts) -> Option<Response<R>> {
        if !self.is_navigation(parts) {
            return None;
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let location = format!("https://{}{path}", self.host_for(&parts.headers));
        let mut response = Response::new(R::from(String::new()));
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        let headers = response.headers_mut();
        headers.insert(LOCATION, HeaderValue::try_from(location).ok()?);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }

    fn is_navigation(&self, parts: &Parts) -> bool {
        let path = parts.uri.path();
        let is_api = self.api.iter().any(|prefix| {
            path.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        matches!(parts.method, Method::GET | Method::HEAD)
            && path.starts_with('/')
            && !is_api
            && accepts_html(&parts.headers)
            && !credential::is_present(&parts.headers)
    }

    fn host_for(&self, headers: &HeaderMap) -> &Authority {
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok());
        let known = asked.and_then(|asked| {
            let asked: Authority = asked.parse().ok()?;
            let fits = |host: &&Authority| host.host().eq_ignore_ascii_case(asked.host());
            self.others.iter().find(fits)
        });
        known.unwrap_or(&self.host)
    }
}

fn authority(host: &str) -> Result<Authority, InvalidHost> {
    let parsed: Authority = host.parse().map_err(|_| InvalidHost)?;
    if parsed.as_str().contains('@') || parsed.host().is_empty() {
        return Err(InvalidHost);
    }
    Ok(parsed)
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(ACCEPT).iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}
