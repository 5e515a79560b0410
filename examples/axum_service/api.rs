//! The routes, and what each asks of a key.

use std::error::Error;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use keyward::http::{
    AuthenticateLayer, ClientAddressLayer, ProxyTrust, RequireHttpsLayer, RequireLayer, TenantFrom,
};
use keyward::{KeyService, VerifiedKey};
use serde_json::{Value, json};

use crate::{admin, revocations};

pub(crate) fn router(service: &KeyService) -> Result<Router, Box<dyn Error>> {
    let manage = || RequireLayer::permission("manage_keys");
    let listings =
        RequireLayer::permission("listings:read")?.tenant(TenantFrom::path_param("tenant"));

    let protected = Router::new()
        .route("/v1/me", get(me).layer(RequireLayer::any_key()))
        .route(
            "/v1/emails",
            post(send).layer(RequireLayer::permission("send_email")?),
        )
        .route(
            "/v1/analytics",
            get(analytics).layer(RequireLayer::permission("read_analytics")?),
        )
        .route("/v1/listings/{tenant}", get(list).layer(listings))
        .route(
            "/admin/keys",
            post(admin::issue).get(admin::list).layer(manage()?),
        )
        .route("/admin/keys/{id}", get(admin::get).layer(manage()?))
        .route(
            "/admin/keys/{id}/rotate",
            post(admin::rotate).layer(manage()?),
        )
        .route(
            "/admin/keys/{id}/revoke",
            post(admin::revoke).layer(manage()?),
        )
        .route(
            "/admin/keys/{id}/disable",
            post(admin::disable).layer(manage()?),
        )
        .route(
            "/admin/keys/{id}/enable",
            post(admin::enable).layer(manage()?),
        )
        .route(
            "/admin/revocations",
            post(revocations::revoke_many).layer(manage()?),
        )
        .with_state(service.clone())
        // Every route above states what it requires; limits are charged after that.
        .layer(AuthenticateLayer::new(service.clone()).permissions_by_route());

    // DEVELOPMENT ONLY: plain HTTP, for clients on this machine. Behind a TLS terminator take this line's second half
    // away, and name the terminator's networks in `ProxyTrust`.
    let https = RequireHttpsLayer::new(service.clone())
        .dangerous()
        .allow_plain_http_from_loopback();

    // The last layer added is the first to see a request.
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(protected)
        .layer(https)
        .layer(ClientAddressLayer::new(ProxyTrust::none())))
}

/// `GET /v1/me`: any key.
async fn me(key: VerifiedKey) -> Json<Value> {
    let record = key.record();
    Json(json!({
        "id": record.id,
        "owner": record.owner,
        "name": record.name,
        "role": record.grant.role(),
        "scopes": record.grant.scopes(),
    }))
}

/// `POST /v1/emails`: scope `send_email`.
async fn send(key: VerifiedKey) -> (StatusCode, Json<Value>) {
    (
        StatusCode::ACCEPTED,
        Json(json!({ "queued_for": key.owner() })),
    )
}

/// `GET /v1/analytics`: scope `read_analytics`.
async fn analytics() -> Json<Value> {
    Json(json!({ "visits": 42 }))
}

/// `GET /v1/listings/{tenant}`: permission `listings:read`, of that tenant. It may be published: a `storefront` key in a web
/// page calls this.
async fn list(Path(tenant): Path<String>) -> Json<Value> {
    Json(json!({ "tenant": tenant, "listings": ["Sea view, two rooms"] }))
}
