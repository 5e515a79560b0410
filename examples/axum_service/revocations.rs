//! The emergency brake: all keys of an owner, a tenant or a role, in one request. No second factor: it only takes away.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use keyward::VerifiedKey;
use keyward::http::Problem;
use keyward::service::{KeyService, LifecycleError, RevokeMany, RevokedMany};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{actor, invalid, read, unprocessable};

/// Whose keys are to end. What is given must all fit; nothing given is refused and does not mean everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocations {
    owner: Option<String>,
    tenant: Option<String>,
    role: Option<String>,
    reason: String,
}

/// `POST /admin/revocations`. The answer says `complete` when every key has ended; otherwise send it again.
pub(crate) async fn revoke_many(
    State(service): State<KeyService>,
    key: VerifiedKey,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let wanted: Revocations = read(&body)?;
    let (actor, order) = (actor(&key)?, wanted.into_order()?);
    // On a task of its own: whoever hangs up does not stop it.
    let running = tokio::spawn(async move { service.revoke_many(&actor, &order).await });
    let outcome = running.await.map_err(|error| {
        tracing::error!("revoking many keys: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
    })?;
    match outcome {
        Ok(done) => Ok(Json(answer(&done))),
        Err(stopped) => {
            tracing::warn!("revoking many keys ended after {}", stopped.so_far.revoked);
            Err(stopped.cause.into())
        }
    }
}

impl Revocations {
    fn into_order(self) -> Result<RevokeMany, Problem> {
        if self.owner.is_none() && self.tenant.is_none() && self.role.is_none() {
            return Err(unprocessable(
                "`owner`, `tenant` or `role` must say whose keys end",
            ));
        }
        let mut order = RevokeMany::every_key(self.reason);
        if let Some(owner) = self.owner {
            order = order.with_owner(owner.parse().map_err(invalid("owner"))?);
        }
        if let Some(tenant) = self.tenant {
            order = order.with_tenant(tenant.parse().map_err(invalid("tenant"))?);
        }
        if let Some(role) = self.role {
            order = order.with_role(role.parse().map_err(invalid("role"))?);
        }
        Ok(order)
    }
}

fn answer(done: &RevokedMany) -> Value {
    let failed = |(id, error): &(_, LifecycleError)| json!({ "id": id, "code": error.code() });
    json!({
        "complete": done.is_complete(),
        "revoked": done.revoked,
        "already_revoked": done.already_ended,
        "failed": done.failed.iter().map(failed).collect::<Vec<_>>(),
        // These keys are dead; the trail does not say so.
        "unaudited": done.unaudited.iter().map(|(id, _)| id).collect::<Vec<_>>(),
    })
}
