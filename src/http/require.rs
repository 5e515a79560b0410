//! What one route asks of a key.

use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::exchange::Exchange;
use super::gate::Gate;
use super::{Answer, Problem, TenantFrom, swap_ready};
use crate::access::{Permission, Requirement};

/// Refuses requests whose key may not do what the route is for. Inside an
/// [`AuthenticateLayer`](super::AuthenticateLayer): without one around it, nothing passes.
///
/// ```
/// use keyward::access::Requirement;
/// use keyward::http::RequireLayer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let send = RequireLayer::permission("send_email")?;
/// let report = RequireLayer::new("reports:read AND (billing:read OR admin)".parse()?).cost(10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is added to a route"]
pub struct RequireLayer {
    gate: Gate,
}

impl RequireLayer {
    /// Requires what the requirement says, of a route that belongs to no tenant; see [`RequireLayer::tenant`].
    pub fn new(requirement: Requirement) -> Self {
        Self {
            gate: Gate {
                requirement: Some(Arc::new(requirement)),
                ..Gate::any_key()
            },
        }
    }

    /// Requires one permission.
    ///
    /// # Errors
    ///
    /// [`NameError`](crate::access::NameError) when the text does not name a permission.
    pub fn permission(permission: &str) -> Result<Self, crate::access::NameError> {
        let permission: Permission = permission.parse()?;
        Ok(Self::new(permission.into()))
    }

    /// Requires nothing but a valid key: for routes behind
    /// [`AuthenticateLayer::permissions_by_route`](super::AuthenticateLayer::permissions_by_route) that are open to every key.
    pub const fn any_key() -> Self {
        Self {
            gate: Gate::any_key(),
        }
    }

    /// Sets how the route knows whose resources a request is about: [`TenantFrom::service`] unless set, so that the
    /// tenant rule does not apply.
    pub fn tenant(mut self, tenant: TenantFrom) -> Self {
        self.gate.tenant = tenant;
        self
    }

    /// Sets what a request counts for; 1 unless set. 0 shows the limits and charges nothing.
    pub const fn cost(mut self, cost: u32) -> Self {
        self.gate.cost = Some(cost);
        self
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = RequireService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService {
            inner,
            gate: Arc::new(self.gate.clone()),
        }
    }
}

/// What [`RequireLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct RequireService<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S, B, R> Service<Request<B>> for RequireService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut inner = swap_ready(&mut self.inner);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match admit(&gate, &mut parts).await {
                Ok(()) => inner.call(Request::from_parts(parts, body)).await,
                Err(problem) => Ok(problem.into_http()),
            }
        })
    }
}

async fn admit(gate: &Gate, parts: &mut ::http::request::Parts) -> Result<(), Problem> {
    let exchange = Exchange::of(&parts.extensions)
        .cloned()
        .ok_or_else(Problem::unprotected)?;
    exchange.note_route(&parts.extensions);
    if exchange.progress(|progress| progress.is_preflight) {
        return Ok(());
    }
    gate.pass(&exchange, parts).await
}
