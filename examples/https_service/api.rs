//! The routes, and what each asks of a key.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post, put};
use keyward::http::{
    AuthenticateLayer, BrowserRedirect, ClientAddressLayer, Problem, ProxyTrust, RequireHttpsLayer,
    RequireLayer,
};
use keyward::key::{KeyId, Thumbprint};
use keyward::service::{Actor, Field, LifecycleError, UpdateKey};
use keyward::{KeyService, VerifiedKey};

/// `host` is where browsers are sent that come in clear.
pub(crate) fn router(service: &KeyService, host: &str) -> Result<Router, Box<dyn Error>> {
    let send = || RequireLayer::permission("send_email");
    let manage = RequireLayer::permission("manage_keys")?;
    let protected = Router::new()
        .route("/v1/me", get(me).layer(RequireLayer::any_key()))
        .route("/v1/emails", post(|| async { "sent\n" }).layer(send()?))
        .route("/v1/payouts", post(pay).layer(send()?))
        .route("/v1/keys/{id}/certificate", put(bind).layer(manage))
        .with_state(service.clone())
        .layer(AuthenticateLayer::new(service.clone()).permissions_by_route());
    let browsers = BrowserRedirect::to(host)?.except_under("/v1");
    Ok(Router::new()
        .route("/", get(|| async { Html("<p>Nothing but an API.</p>\n") }))
        .merge(protected)
        .layer(RequireHttpsLayer::new(service.clone()).redirect_browsers(browsers))
        // No proxy in front: whoever says `Client-Cert` is refused.
        .layer(ClientAddressLayer::new(
            ProxyTrust::none().with_client_cert(),
        )))
}

/// `GET /v1/me`: any key. One that is bound to a certificate has shown it by now.
async fn me(key: VerifiedKey) -> String {
    let bound = match key.record().certificate {
        Some(_) => "bound to the certificate of this connection",
        None => "bound to no certificate",
    };
    format!("{}, {bound}\n", key.record().name)
}

/// `POST /v1/payouts`: only keys that are worth nothing without a private key beside them.
async fn pay(key: VerifiedKey) -> Result<&'static str, Problem> {
    if key.record().certificate.is_none() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "certificate_required")
            .with_detail("use a key that is bound to a client certificate"));
    }
    Ok("paid\n")
}

/// `PUT /v1/keys/{id}/certificate`: binds a key to another certificate, whose thumbprint is the body. Not its holder does
/// that: whoever has stolen a key could take its certificate off.
async fn bind(
    State(service): State<KeyService>,
    key: VerifiedKey,
    Path(id): Path<String>,
    body: String,
) -> Result<&'static str, Problem> {
    let invalid = |error: &dyn Error| Problem::bad_request(error.to_string());
    let thumbprint: Thumbprint = body.trim().parse().map_err(|error| invalid(&error))?;
    let id: KeyId = id.parse().map_err(|_| LifecycleError::NotFound)?;
    let actor = Actor::key(&key).map_err(|error| invalid(&error))?;
    let update = UpdateKey::new().with_certificate(Field::Set(thumbprint));
    let _record: Arc<_> = service.update(&actor, &id, update).await?;
    Ok("bound\n")
}
