//! What the trail says of a key that is handed out.

use super::KeyService;
use crate::access::Scope;
use crate::key::{KeyRecord, Networks};

impl KeyService {
    /// What a key may do and for how long, for the event that hands it out or changes it. Long lists are cut by the event.
    pub(super) fn granted(
        &self,
        record: &KeyRecord,
        before: Option<&KeyRecord>,
    ) -> Vec<(&'static str, String)> {
        let mut details = terms(record);
        if self.manages_keys(record) {
            let kept = before.is_some_and(|before| self.manages_keys(before));
            let how = if kept { "kept" } else { "gained" };
            details.push(("manages_keys", how.to_owned()));
        }
        details
    }
}

/// What was set for a key.
fn terms(record: &KeyRecord) -> Vec<(&'static str, String)> {
    let scopes = |list: &[Scope]| list.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    let networks = |list: &Networks| {
        let texts: Vec<_> = list.as_slice().iter().map(ToString::to_string).collect();
        texts.join(" ")
    };
    let facts = [
        ("scopes", record.grant.scopes().map(scopes)),
        (
            "denied",
            Some(scopes(&record.denied)).filter(|it| !it.is_empty()),
        ),
        ("tier", record.tier.clone()),
        ("expires_at", record.expires_at.map(|at| at.to_string())),
        ("networks", record.networks.as_ref().map(networks)),
        ("certificate", record.certificate.map(|it| it.to_string())),
        ("justification", record.justification.clone()),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
