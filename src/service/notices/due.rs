//! Which notices a key's record gives reason for.

use std::time::Duration;

use super::Notices;
use crate::key::{KeyRecord, KeyStatus};
use crate::notice::{NoticeId, NoticeSubject};
use crate::service::KeyService;
use crate::service::lookup::after;
use crate::store::{ListKeys, ListOrder, UsageFilter};
use crate::time::Timestamp;

/// A notice that is due, and those that need not be sent beside it.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: NoticeId,
    pub(super) subject: NoticeSubject,
    pub(super) superseded: Vec<NoticeId>,
}

/// What can be the matter, the most urgent first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    Expiring,
    RotationEnforced { shortest: Duration },
    RotationDue { age: Duration },
    LongUnused { span: Duration },
    NeverUsed { span: Duration },
}

impl Reason {
    pub(super) fn all(notices: &Notices, service: &KeyService) -> Vec<Self> {
        let age = service.inner.settings.rotation_age;
        let enforced = service.shortest_age();
        let tells_of_ends = !notices.thresholds.is_empty();
        let unused = |reason: fn(Duration) -> Self| notices.unused.map(reason);
        [
            tells_of_ends.then_some(Self::Expiring),
            enforced
                .filter(|_| tells_of_ends)
                .map(|shortest| Self::RotationEnforced { shortest }),
            notices.rotation.then_some(Self::RotationDue { age }),
            unused(|span| Self::LongUnused { span }),
            unused(|span| Self::NeverUsed { span }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Returns the query for the keys that may give this reason, the most urgent first.
    pub(super) fn query(self, notices: &Notices, now: Timestamp) -> ListKeys {
        let active = ListKeys::new().with_status(KeyStatus::Active, now);
        let ago = |span| after(now.saturating_sub(span));
        let longest = notices.thresholds.last().copied().unwrap_or_default();
        match self {
            Self::Expiring => active
                .with_expires_before(after(now.saturating_add(longest)))
                .with_order(ListOrder::SoonestExpiry),
            Self::RotationEnforced { shortest } => {
                let soon = now.saturating_add(longest);
                active
                    .with_rotated_before(after(soon.saturating_sub(shortest)))
                    .with_order(ListOrder::OldestSecret)
            }
            Self::RotationDue { age } => active
                .with_rotated_before(ago(age))
                .with_order(ListOrder::OldestSecret),
            Self::LongUnused { span } => active
                .with_usage(UsageFilter::NotSince(ago(span)))
                .with_order(ListOrder::OldestSecret),
            Self::NeverUsed { span } => active
                .with_usage(UsageFilter::Never)
                .with_created_before(ago(span))
                .with_order(ListOrder::OldestSecret),
        }
    }

    /// Returns the notice that is due for this reason, if one is.
    pub(super) fn due(
        self,
        notices: &Notices,
        service: &KeyService,
        record: &KeyRecord,
        now: Timestamp,
    ) -> Option<Due> {
        if record.status(now) != KeyStatus::Active {
            return None;
        }
        let is_past = |since: Timestamp, span| since <= now.saturating_sub(span);
        match self {
            Self::Expiring => expiring(&notices.thresholds, record, now),
            Self::RotationEnforced { .. } => {
                let refused_from = service.refused_from(record)?;
                enforced(&notices.thresholds, record, refused_from, now)
            }
            Self::RotationDue { age } => {
                let since = record.current.created_at;
                is_past(since, age).then(|| Due {
                    id: NoticeId::rotation_due(record, record.current.generation),
                    subject: NoticeSubject::RotationDue { since },
                    superseded: Vec::new(),
                })
            }
            Self::LongUnused { span } | Self::NeverUsed { span } => {
                let since = record.last_used.map_or(record.created_at, |last| last.at);
                is_past(since, span).then(|| Due {
                    id: NoticeId::unused(record, since),
                    subject: NoticeSubject::Unused { since },
                    superseded: Vec::new(),
                })
            }
        }
    }
}

/// The thresholds before an end that were passed, the shortest first.
///
/// A threshold that was passed when the thing that ends began is none: whoever asks for a key of a day is not told a minute
/// later that it ends within a month.
fn passed(
    thresholds: &[Duration],
    beginning: Timestamp,
    end: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = Duration> {
    let is_passed = move |within: &Duration| {
        let moment = end.saturating_sub(*within);
        beginning < moment && moment <= now
    };
    thresholds.iter().copied().filter(is_passed)
}

/// The shortest threshold that was passed; the longer ones need no notice any more.
fn expiring(thresholds: &[Duration], record: &KeyRecord, now: Timestamp) -> Option<Due> {
    let expires_at = record.expires_at?;
    let mut passed = passed(thresholds, record.created_at, expires_at, now);
    let within = passed.next()?;
    let id = |within| NoticeId::expiring(record, within, expires_at);
    Some(Due {
        id: id(within),
        subject: NoticeSubject::Expiring { within, expires_at },
        superseded: passed.map(id).collect(),
    })
}

/// The same for the end that an enforced age makes of a secret. Beside it nobody need be told that a rotation is recommended.
fn enforced(
    thresholds: &[Duration],
    record: &KeyRecord,
    refused_from: Timestamp,
    now: Timestamp,
) -> Option<Due> {
    let secret = &record.current;
    let mut passed = passed(thresholds, secret.created_at, refused_from, now);
    let within = passed.next()?;
    let id = |within| NoticeId::rotation_enforced(record, within, refused_from);
    let recommended = NoticeId::rotation_due(record, secret.generation);
    Some(Due {
        id: id(within),
        subject: NoticeSubject::RotationEnforced {
            within,
            refused_from,
        },
        superseded: passed.map(id).chain([recommended]).collect(),
    })
}
