//! tower layers and axum extractors.
//!
//! From the outside in:
//!
//! 1. [`ClientAddressLayer`]: who the client is, and its certificate, if there are proxies in front;
//! 2. [`RequireHttpsLayer`]: nothing over plain HTTP;
//! 3. [`AuthenticateLayer`]: nothing without a valid key; limits; rate-limit fields; audit;
//! 4. [`RequireLayer`], on single routes: what the key must be allowed to do.
//!
//! The layers work with every tower server whose response body can be made from a `String`: axum's, and `Full` of
//! `http-body-util` among them. `docs/http.md` has the whole of it.

mod address;
mod authenticate;
#[cfg(feature = "axum")]
mod axum;
mod certificate;
mod credential;
mod exchange;
mod exposure;
mod gate;
mod headers;
mod https;
mod percent;
mod problem;
mod require;
mod route;
mod sunset;
mod tenant;

use std::future::Future;
use std::pin::Pin;

use ::http::Response;

pub use address::{
    ClientAddress, ClientAddressLayer, ClientAddressService, ConnectionInfo, ProxyTrust, Scheme,
};
pub use authenticate::{AuthenticateLayer, AuthenticateService};
pub use certificate::ClientCertError;
pub use https::{
    BrowserRedirect, DangerousHttps, Hsts, InvalidHost, RequireHttpsLayer, RequireHttpsService,
};
pub use problem::Problem;
pub use require::{RequireLayer, RequireService};
pub use route::RouteTemplate;
pub use tenant::TenantFrom;

/// The challenge of a 401 unless the application sets its own. There is no registered scheme for `X-API-Key`.
const CHALLENGE: &str = r#"Bearer realm="api""#;

/// The future of the layers.
type Answer<R, E> = Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>;

/// Takes the service that was polled ready and leaves a clone, which has to be polled again.
fn swap_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    std::mem::replace(service, clone)
}
