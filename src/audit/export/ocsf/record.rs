//! The object that an event becomes.

use serde::Serialize;

use super::about::{About, comment_name};
use super::class::{Class, Theme};
use super::code::{Code, OTHER, status};
use super::people::is_somebody_else;
use super::scene::unknown_method;
use super::verdict::Verdict;
use super::{OCSF_VERSION, Product, millis};
use crate::audit::export::details::Details;
use crate::audit::{AuditEvent, EventId, Outcome};

/// The profile that brings action and disposition.
const PROFILES: [&str; 1] = ["security_control"];

#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    activity_id: u8,
    activity_name: &'a str,
    category_uid: u8,
    category_name: &'static str,
    class_uid: u32,
    class_name: &'static str,
    type_uid: u32,
    type_name: String,
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    severity_id: u8,
    severity: &'static str,
    status_id: u8,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<&'a str>,
    action_id: u8,
    action: &'static str,
    disposition_id: u8,
    disposition: &'static str,
    metadata: Metadata<'a>,
    #[serde(flatten)]
    about: About<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unmapped: Option<Unmapped<'a>>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    version: &'static str,
    product: &'a Product,
    profiles: [&'static str; 1],
    /// The kind as the trail has it: several kinds share a class and an activity.
    event_code: &'static str,
    /// With the microseconds, which `time` has no room for.
    original_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_uid: Option<&'a str>,
}

/// What OCSF has no field for.
#[derive(Debug, Serialize)]
struct Unmapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details_omitted: Option<u32>,
    /// Apart from the others, because their names are anybody's.
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details<'a>,
}

impl<'a> Record<'a> {
    pub(super) fn of(event: &'a AuditEvent, product: &'a Product) -> Self {
        let theme = Theme::of(event.kind());
        let class = theme.class();
        let category = class.category();
        let (activity_id, activity_name) = theme.activity(event);
        let severity = theme.severity(event);
        let status = status_of(theme, event);
        let verdict = Verdict::of(event);
        Self {
            activity_id,
            activity_name,
            category_uid: category.0,
            category_name: category.1,
            class_uid: class.uid(),
            class_name: class.name(),
            type_uid: class
                .uid()
                .saturating_mul(100)
                .saturating_add(activity_id.into()),
            type_name: type_name(class, activity_id, activity_name),
            time: millis(event.time()),
            duration: micros(event).map(|micros| micros.div_euclid(1000)),
            severity_id: severity.0,
            severity: severity.1,
            status_id: status.0,
            status: status.1,
            status_code: event.reason(),
            action_id: verdict.action.0,
            action: verdict.action.1,
            disposition_id: verdict.disposition.0,
            disposition: verdict.disposition.1,
            metadata: Metadata::of(event, product),
            about: About::of(theme, event, product),
            unmapped: Unmapped::of(theme, event),
        }
    }
}

fn type_name(class: Class, activity_id: u8, activity_name: &str) -> String {
    let activity = if activity_id == OTHER {
        "Other"
    } else {
        activity_name
    };
    format!("{}: {activity}", class.name())
}

/// Of a finding OCSF wants to know how far it was dealt with.
fn status_of(theme: Theme, event: &AuditEvent) -> Code {
    match (theme, event.outcome()) {
        (Theme::Alert, _) => status::NEW,
        (_, Outcome::Success) => status::SUCCESS,
        (_, Outcome::Failure) => status::FAILURE,
    }
}

fn micros(event: &AuditEvent) -> Option<u64> {
    let span = event.duration()?;
    Some(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

impl<'a> Metadata<'a> {
    fn of(event: &'a AuditEvent, product: &'a Product) -> Self {
        Self {
            version: OCSF_VERSION,
            product,
            profiles: PROFILES,
            event_code: event.kind().code(),
            original_time: event.time().to_string(),
            uid: event.id().as_ref().map(EventId::to_string),
            sequence: event.sequence(),
            correlation_uid: event.request_id(),
            tenant_uid: event.tenant(),
        }
    }
}

impl<'a> Unmapped<'a> {
    fn of(theme: Theme, event: &'a AuditEvent) -> Option<Self> {
        let omitted = event.details_omitted();
        let crowded_out = theme == Theme::Request && is_somebody_else(event);
        let unmapped = Self {
            key_id: event.key_id().filter(|_| crowded_out),
            owner: event.owner().filter(|_| crowded_out),
            role: event.role(),
            method: unknown_method(event),
            duration_us: micros(event),
            details_omitted: (omitted > 0).then_some(omitted),
            details: Details::without(event, comment_name(event)),
        };
        unmapped.is_needed().then_some(unmapped)
    }

    fn is_needed(&self) -> bool {
        self.key_id.is_some()
            || self.owner.is_some()
            || self.role.is_some()
            || self.method.is_some()
            || self.duration_us.is_some()
            || self.details_omitted.is_some()
            || !self.details.is_empty()
    }
}
