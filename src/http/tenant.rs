//! Whose resource a request is about.

use std::fmt;
use std::sync::Arc;

use ::http::request::Parts;

use super::percent;
use crate::access::TenantId;

/// How a route knows whose resources a request is about.
///
/// A tenant that is missing or unreadable equals nothing: the request is refused.
///
/// ```
/// use keyward::http::TenantFrom;
///
/// // The application has looked the project up in a layer of its own.
/// #[derive(Clone)]
/// struct Project { tenant: keyward::access::TenantId }
///
/// let tenant = TenantFrom::with(|parts| Some(parts.extensions.get::<Project>()?.tenant.clone()));
/// ```
#[derive(Clone)]
pub struct TenantFrom(Source);

type Read = dyn Fn(&Parts) -> Option<TenantId> + Send + Sync;

#[derive(Clone)]
enum Source {
    Service,
    Segment(usize),
    #[cfg(feature = "axum")]
    Param(Arc<str>),
    With(Arc<Read>),
}

/// What a request is about, owned.
pub(super) enum Found {
    Service,
    Tenant(Option<TenantId>),
}

impl TenantFrom {
    /// The route belongs to no tenant ("send an e-mail", "who am I"). The tenant rule does not apply.
    #[must_use]
    pub const fn service() -> Self {
        Self(Source::Service)
    }

    /// The tenant is a segment of the path, from 0, percent-decoded: `1` for `/tenants/acme`.
    ///
    /// It is the path that the layer sees: inside a nested axum router the prefix is gone. Prefer `path_param` there.
    #[must_use]
    pub const fn path_segment(index: usize) -> Self {
        Self(Source::Segment(index))
    }

    /// The tenant is a parameter of axum's route, by its name: `tenant` for `/tenants/{tenant}`.
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn path_param(name: &str) -> Self {
        Self(Source::Param(name.into()))
    }

    /// The tenant is what `read` returns. Take it from what decides which resource the handler touches, and from
    /// nothing else: a header that the handler does not look at proves nothing.
    #[must_use]
    pub fn with(read: impl Fn(&Parts) -> Option<TenantId> + Send + Sync + 'static) -> Self {
        Self(Source::With(Arc::new(read)))
    }

    #[cfg_attr(
        not(feature = "axum"),
        expect(
            clippy::unused_async,
            reason = "axum reads path parameters in a future"
        )
    )]
    pub(super) async fn find(&self, parts: &mut Parts) -> Found {
        Found::Tenant(match &self.0 {
            Source::Service => return Found::Service,
            Source::Segment(index) => segment(parts.uri.path(), *index),
            #[cfg(feature = "axum")]
            Source::Param(name) => param(parts, name).await,
            Source::With(read) => read(parts),
        })
    }
}

fn segment(path: &str, index: usize) -> Option<TenantId> {
    let raw = path.strip_prefix('/')?.split('/').nth(index)?;
    match percent::decode(raw.as_bytes()) {
        Some(decoded) => str::from_utf8(&decoded).ok()?.parse().ok(),
        None => raw.parse().ok(),
    }
}

#[cfg(feature = "axum")]
async fn param(parts: &mut Parts, name: &str) -> Option<TenantId> {
    use axum::extract::{FromRequestParts as _, RawPathParams};

    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let mut values = params.iter().filter(|(known, _)| *known == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => value.parse().ok(),
        _ => None,
    }
}

impl fmt::Debug for TenantFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Service => f.write_str("Service"),
            Source::Segment(index) => write!(f, "Segment({index})"),
            #[cfg(feature = "axum")]
            Source::Param(name) => write!(f, "Param({name:?})"),
            Source::With(_) => f.write_str("With(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, index: usize) -> Option<String> {
        segment(path, index).map(|tenant| tenant.as_str().to_owned())
    }

    #[test]
    fn reads_a_segment_decoded_once() {
        assert_eq!(at("/t/acme/x", 1).as_deref(), Some("acme"));
        assert_eq!(at("/t/acm%65", 1).as_deref(), Some("acme"));
        assert_eq!(at("/t/acm%2565", 1).as_deref(), Some("acm%65"));
    }

    #[test]
    fn finds_no_tenant_in_a_segment_that_is_missing_empty_or_no_tenant() {
        for path in [
            "", "*", "/", "/t", "/t/", "/t//acme", "/t/*", "/t/a%20b", "/t/%ff",
        ] {
            assert_eq!(at(path, 1), None, "{path}");
        }
    }
}
