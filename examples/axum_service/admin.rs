//! Managing keys over HTTP. Every route needs `manage_keys`, and the acting key gives no more than it has.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use keyward::VerifiedKey;
use keyward::access::{Grant, Scope, TenantBinding, TenantId};
use keyward::http::Problem;
use keyward::key::{KeyId, KeyKind, KeyRecord, Networks, Revocation};
use keyward::service::{Actor, IssueKey, IssuedKey, KeyService, LifecycleError, Rotation};
use keyward::store::{Cursor, ListKeys};
use keyward::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::time::Duration;

type View = Map<String, Value>;
type Id = Result<Path<String>, PathRejection>;
/// A plaintext must not be kept by anything between here and its owner.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// What may be asked for. A field that is not named here is refused rather than ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    owner: String,
    /// `secret` or `publishable`.
    #[serde(default)]
    kind: KeyKind,
    /// A tenant's id, or `*` for a key of the platform as a whole.
    tenant: Option<String>,
    role: Option<String>,
    scopes: Option<Vec<String>>,
    tier: Option<String>,
    expires_in_seconds: Option<u64>,
    allowed_networks: Option<Vec<String>>,
    justification: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rotate {
    grace_seconds: Option<u64>,
    until_first_use: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    owner: Option<String>,
    tenant: Option<String>,
    limit: Option<u32>,
    after: Option<Cursor>,
}

/// `POST /admin/keys`
pub(crate) async fn issue(
    State(service): State<KeyService>,
    key: VerifiedKey,
    body: Bytes,
) -> Result<impl IntoResponse, Problem> {
    let wanted: NewKey = read(&body)?;
    let issued = service.issue(&actor(&key)?, wanted.into_request()?).await?;
    Ok((
        StatusCode::CREATED,
        NO_STORE,
        Json(with_plaintext(&service, &issued)),
    ))
}

/// `GET /admin/keys?owner=&tenant=&limit=&after=`
pub(crate) async fn list(
    State(service): State<KeyService>,
    key: VerifiedKey,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|error| unprocessable(&error.body_text()))?;
    let page = service.list(&actor(&key)?, filter.into_query()?).await?;
    let keys: Vec<_> = page
        .records
        .iter()
        .map(|record| view(&service, record))
        .collect();
    Ok(Json(json!({ "keys": keys, "next": page.next })))
}

/// `GET /admin/keys/{id}`
pub(crate) async fn get(
    State(service): State<KeyService>,
    key: VerifiedKey,
    id: Id,
) -> Result<Json<View>, Problem> {
    let record = service.get(&actor(&key)?, &key_id(id)?).await?;
    Ok(Json(view(&service, &record)))
}

/// `POST /admin/keys/{id}/rotate`. Without a body the old secret ends at once.
pub(crate) async fn rotate(
    State(service): State<KeyService>,
    key: VerifiedKey,
    id: Id,
    body: Bytes,
) -> Result<impl IntoResponse, Problem> {
    let wanted: Rotate = if body.is_empty() {
        Rotate::default()
    } else {
        read(&body)?
    };
    let grace = wanted.grace_seconds.map(Duration::from_secs);
    let rotation = match (wanted.until_first_use, grace) {
        (true, latest) => Rotation::UntilFirstUse(latest.unwrap_or(Rotation::USUAL_GRACE)),
        (false, Some(grace)) => Rotation::Grace(grace),
        (false, None) => Rotation::AtOnce,
    };
    let rotated = service
        .rotate(&actor(&key)?, &key_id(id)?, rotation)
        .await?;
    Ok((NO_STORE, Json(with_plaintext(&service, &rotated))))
}

/// `POST /admin/keys/{id}/revoke`
pub(crate) async fn revoke(
    State(service): State<KeyService>,
    key: VerifiedKey,
    id: Id,
    body: Bytes,
) -> Result<Json<View>, Problem> {
    let wanted: Revoke = read(&body)?;
    let revoked = service
        .revoke(&actor(&key)?, &key_id(id)?, &wanted.reason)
        .await?;
    let mut answer = view(&service, &revoked.record);
    // The key is dead either way; whoever revoked it must know if the trail has a gap.
    answer.insert("audited".to_owned(), json!(revoked.unaudited.is_none()));
    Ok(Json(answer))
}

/// `POST /admin/keys/{id}/disable`
pub(crate) async fn disable(
    State(service): State<KeyService>,
    key: VerifiedKey,
    id: Id,
) -> Result<Json<View>, Problem> {
    let record = service.disable(&actor(&key)?, &key_id(id)?).await?;
    Ok(Json(view(&service, &record)))
}

/// `POST /admin/keys/{id}/enable`
pub(crate) async fn enable(
    State(service): State<KeyService>,
    key: VerifiedKey,
    id: Id,
) -> Result<Json<View>, Problem> {
    let record = service.enable(&actor(&key)?, &key_id(id)?).await?;
    Ok(Json(view(&service, &record)))
}

impl NewKey {
    fn into_request(self) -> Result<IssueKey, Problem> {
        let scopes = self
            .scopes
            .map(|scopes| parse_all::<Scope>("scopes", &scopes))
            .transpose()?;
        let role = self
            .role
            .map(|role| role.parse().map_err(invalid("role")))
            .transpose()?;
        let grant = match (role, scopes) {
            (Some(role), Some(scopes)) => {
                Grant::try_role_with_scopes(role, scopes).map_err(invalid("scopes"))?
            }
            (Some(role), None) => Grant::Role(role),
            (None, Some(scopes)) => Grant::try_scopes(scopes).map_err(invalid("scopes"))?,
            (None, None) => {
                return Err(unprocessable(
                    "`role` or `scopes` must say what the key may do",
                ));
            }
        };
        let owner = self.owner.parse().map_err(invalid("owner"))?;
        let mut request =
            IssueKey::new(owner, self.name, grant).with_tenant(binding(self.tenant.as_deref())?);
        request = request.with_kind(self.kind);
        if let Some(tier) = self.tier {
            request = request.with_tier(tier);
        }
        if let Some(seconds) = self.expires_in_seconds {
            request = request.with_lifetime(Duration::from_secs(seconds));
        }
        if let Some(networks) = self.allowed_networks {
            let networks = Networks::parse(networks.iter().map(String::as_str));
            request = request.with_networks(networks.map_err(invalid("allowed_networks"))?);
        }
        if let Some(justification) = self.justification {
            request = request.with_justification(justification);
        }
        Ok(request)
    }
}

impl Filter {
    fn into_query(self) -> Result<ListKeys, Problem> {
        let mut query = ListKeys::new();
        if let Some(owner) = self.owner {
            query = query.with_owner(owner.parse().map_err(invalid("owner"))?);
        }
        if let Some(tenant) = self.tenant {
            query = query.with_tenant(tenant.parse().map_err(invalid("tenant"))?);
        }
        if let Some(limit) = self.limit {
            query = query.with_limit(limit);
        }
        if let Some(after) = self.after {
            query = query.with_after(after);
        }
        Ok(query)
    }
}

/// Who acts is the key that was verified for this request, never anything in its body.
pub(crate) fn actor(key: &VerifiedKey) -> Result<Actor, Problem> {
    Actor::key(key).map_err(invalid("actor"))
}

/// An id that cannot be one does not exist.
fn key_id(id: Id) -> Result<KeyId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(|| Problem::from(LifecycleError::NotFound))
}

/// Reads a JSON object, and nothing else that would fill the fields.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let unreadable = |error: serde_json::Error| {
        Problem::new(StatusCode::BAD_REQUEST, "unreadable").with_detail(error.to_string())
    };
    let object: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
    serde_json::from_value(Value::Object(object)).map_err(|error| unprocessable(&error.to_string()))
}

fn binding(tenant: Option<&str>) -> Result<TenantBinding, Problem> {
    match tenant {
        None => Ok(TenantBinding::None),
        Some("*") => Ok(TenantBinding::Platform),
        Some(tenant) => Ok(TenantBinding::Tenant(
            tenant.parse().map_err(invalid("tenant"))?,
        )),
    }
}

fn parse_all<T: std::str::FromStr>(field: &'static str, texts: &[String]) -> Result<Vec<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    texts
        .iter()
        .map(|text| text.parse().map_err(invalid(field)))
        .collect()
}

pub(crate) fn invalid<E: std::fmt::Display>(field: &'static str) -> impl Fn(E) -> Problem {
    move |error| unprocessable(&format!("`{field}`: {error}"))
}

pub(crate) fn unprocessable(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid").with_detail(detail)
}

fn with_plaintext(service: &KeyService, issued: &IssuedKey) -> View {
    let mut answer = view(service, issued.record());
    answer.insert("key".to_owned(), json!(issued.key().expose()));
    answer
}

/// What is shown of a key: its settings and its state, never a digest.
fn view(service: &KeyService, record: &KeyRecord) -> View {
    let now = service.clock().now();
    let tenant = match &record.tenant {
        TenantBinding::Platform => Some("*"),
        other => other.tenant().map(TenantId::as_str),
    };
    let fields = [
        ("id", json!(record.id)),
        ("hint", json!(service.hint(record))),
        ("kind", json!(record.kind)),
        ("name", json!(record.name)),
        ("owner", json!(record.owner)),
        ("tenant", json!(tenant)),
        ("role", json!(record.grant.role())),
        ("scopes", json!(record.grant.scopes())),
        ("tier", json!(record.tier)),
        ("status", json!(record.status(now))),
        ("allowed_networks", json!(record.networks)),
        ("justification", json!(record.justification)),
        ("created_at", json!(record.created_at.to_string())),
        ("created_by", json!(record.created_by)),
        (
            "expires_at",
            json!(record.expires_at.map(|at| at.to_string())),
        ),
        ("previous_secret_ends_at", json!(previous_end(record, now))),
        ("rotated_at", json!(record.current.created_at.to_string())),
        ("rotate_by", json!(deadline(service, record))),
        (
            "last_used_at",
            json!(record.last_used.map(|last| last.at.to_string())),
        ),
        (
            "last_used_from",
            json!(record.last_used.and_then(|last| last.from)),
        ),
        ("revoked", json!(record.revocation.as_ref().map(end))),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn end(revocation: &Revocation) -> Value {
    json!({ "at": revocation.at.to_string(), "by": revocation.by, "reason": revocation.reason })
}

/// From when on the secret is refused for its age.
fn deadline(service: &KeyService, record: &KeyRecord) -> Option<String> {
    let deadline = service.rotation_deadline(record)?;
    Some(deadline.to_string())
}

/// Until when the secret before the current one still works, if it does.
fn previous_end(record: &KeyRecord, now: Timestamp) -> Option<String> {
    let previous = record
        .previous
        .as_ref()
        .filter(|previous| previous.is_live(now))?;
    previous.end.deadline().map(|at| at.to_string())
}
