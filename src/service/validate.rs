//! The bounds of what the service stores.

use std::time::Duration;

use super::request::Expiry;
use super::{Field, Inner, IssueKey, LifecycleError, UpdateKey};
use crate::access::{Grant, Scope};
use crate::key::KeyKind;
use crate::time::Timestamp;

/// A name is shown in lists and logs.
const NAME: usize = 255;
/// A description, a justification, a reason: a paragraph.
pub(super) const LONG_TEXT: usize = 1024;
/// 9999-12-30T22:00:00Z, the last moment that RFC 3339 can write in every time zone. Later means "never": say that.
const LATEST: Timestamp = Timestamp::from_secs(253_402_207_200);
/// A year. An old secret that is to live longer than that is not being rotated out.
const LONGEST_GRACE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) fn text(
    field: &'static str,
    text: &str,
    least: usize,
    most: usize,
) -> Result<(), LifecycleError> {
    if text.trim().len() < least {
        return Err(LifecycleError::invalid(field, "must not be empty"));
    }
    if text.len() > most {
        return Err(LifecycleError::invalid(
            field,
            format!("has {} bytes, more than {most}", text.len()),
        ));
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(LifecycleError::invalid(field, "holds control characters"));
    }
    Ok(())
}

pub(super) fn issue(
    request: &IssueKey,
    inner: &Inner,
    now: Timestamp,
) -> Result<(), LifecycleError> {
    text("name", &request.name, 1, NAME)?;
    optional("description", request.description.as_deref())?;
    optional("justification", request.justification.as_deref())?;
    known_tier("tier", request.tier.as_deref(), inner)?;
    grant(&request.grant, inner)?;
    scopes("denied", &request.denied)?;
    known_kind(request.kind, inner)?;
    let ends = match request.expiry {
        Expiry::After(lifetime) if lifetime.is_zero() => Some(now),
        other => other.moment(now),
    };
    in_future("expiry", ends, now)
}

pub(super) fn update(
    update: &UpdateKey,
    inner: &Inner,
    now: Timestamp,
) -> Result<(), LifecycleError> {
    if let Some(name) = &update.name {
        text("name", name, 1, NAME)?;
    }
    if let Field::Set(description) = &update.description {
        optional("description", Some(description))?;
    }
    if let Field::Set(justification) = &update.justification {
        optional("justification", Some(justification))?;
    }
    if let Field::Set(tier) = &update.tier {
        known_tier("tier", Some(tier), inner)?;
    }
    if let Field::Set(over) = &update.tier_override {
        known_tier("tier_override", Some(&over.tier), inner)?;
        in_future("tier_override", Some(over.until), now)?;
    }
    if let Some(changed) = &update.grant {
        grant(changed, inner)?;
    }
    if let Some(denied) = &update.denied {
        scopes("denied", denied)?;
    }
    match update.expires_at {
        Field::Set(moment) => in_future("expires_at", Some(moment), now),
        Field::Leave | Field::Clear => Ok(()),
    }
}

pub(super) fn grace(wait: Duration) -> Result<(), LifecycleError> {
    if wait > LONGEST_GRACE {
        return Err(LifecycleError::invalid("grace", "is longer than a year"));
    }
    Ok(())
}

fn optional(field: &'static str, value: Option<&str>) -> Result<(), LifecycleError> {
    value.map_or(Ok(()), |value| text(field, value, 0, LONG_TEXT))
}

fn known_tier(
    field: &'static str,
    tier: Option<&str>,
    inner: &Inner,
) -> Result<(), LifecycleError> {
    match tier {
        Some(name) if inner.limits.tier(name).is_none() => {
            Err(LifecycleError::invalid(field, "names no tier"))
        }
        Some(_) | None => Ok(()),
    }
}

fn known_kind(kind: KeyKind, inner: &Inner) -> Result<(), LifecycleError> {
    if inner.format.accepts_kind(kind) {
        return Ok(());
    }
    let problem = "is not one that the service makes";
    Err(LifecycleError::invalid("kind", problem))
}

/// A role that the policy does not know would grant nothing today and perhaps everything tomorrow.
pub(super) fn grant(grant: &Grant, inner: &Inner) -> Result<(), LifecycleError> {
    match grant.role() {
        Some(role) if inner.policy.role(role).is_none() => {
            return Err(LifecycleError::invalid("role", "names no role"));
        }
        Some(_) | None => {}
    }
    scopes("scopes", grant.scopes().unwrap_or_default())
}

fn scopes(field: &'static str, scopes: &[Scope]) -> Result<(), LifecycleError> {
    if scopes.len() > Grant::MAX_SCOPES {
        return Err(LifecycleError::invalid(
            field,
            format!("are more than {}", Grant::MAX_SCOPES),
        ));
    }
    if scopes.iter().all(Scope::is_well_formed) {
        Ok(())
    } else {
        Err(LifecycleError::invalid(
            field,
            "hold a name that is not well formed",
        ))
    }
}

fn in_future(
    field: &'static str,
    moment: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), LifecycleError> {
    if moment.is_some_and(|moment| moment <= now) {
        return Err(LifecycleError::invalid(field, "lies in the past"));
    }
    if moment.is_some_and(|moment| moment > LATEST) {
        return Err(LifecycleError::invalid(field, "lies beyond the year 9999"));
    }
    Ok(())
}
