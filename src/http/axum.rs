//! Extractors.

use std::convert::Infallible;

use ::axum::extract::{FromRequestParts, OptionalFromRequestParts};
use ::http::request::Parts;

use super::{ClientAddress, Problem};
use crate::service::VerifiedKey;

/// The key that [`AuthenticateLayer`](super::AuthenticateLayer) accepted.
///
/// On a route that no layer protects the request is answered 500 before the handler runs, and never served as if it
/// had a key. `Option<VerifiedKey>` is for handlers that are also used on open routes.
impl<S: Sync> FromRequestParts<S> for VerifiedKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = parts.extensions.get::<Self>().cloned();
        key.ok_or_else(Problem::unprotected)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for VerifiedKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Who made the request, as [`ClientAddressLayer`](super::ClientAddressLayer) found out or the connection says.
impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
