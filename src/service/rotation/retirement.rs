use super::RotationAge;
use crate::key::{Generation, KeyRecord};
use crate::time::Timestamp;

/// The presented secret will not be accepted for much longer: from when on its holder is told, and when it ends.
///
/// Over HTTP it is the fields `Deprecation` and `Sunset`; see `docs/rotation.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retirement {
    /// Since when its holder is told.
    pub since: Timestamp,
    /// From when on it is refused: valid while `now < ends_at`. The earliest of all that ends it, the key's own expiry
    /// among them.
    pub ends_at: Timestamp,
    /// Why, and with it what helps.
    pub reason: RetirementReason,
}

/// Why a secret is about to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RetirementReason {
    /// It will soon have the age at which it is refused: rotate the key.
    Age,
    /// The secret was sent where others can read it, and ends after a grace: rotate the key now.
    Exposed,
    /// The key has a newer secret: use that.
    Superseded,
}

/// From when on a secret of the key is refused for its age.
pub(super) fn overdue_from(record: &KeyRecord, used: Generation, age: RotationAge) -> Timestamp {
    match &record.previous {
        Some(previous) if used != record.current.generation => {
            age.end_of_previous(record, previous)
        }
        Some(_) | None => age.end_of_current(record),
    }
}

impl Retirement {
    /// What a holder of that secret is to be told at that moment.
    pub(super) fn of(
        record: &KeyRecord,
        used: Generation,
        age: Option<RotationAge>,
        at: Timestamp,
    ) -> Option<Self> {
        let too_old = age.map(|age| overdue_from(record, used, age));
        let own = record.credential(used).and_then(|it| it.end.deadline());
        // Moments that others have written may be ahead of this clock.
        let (since, reason) = if used != record.current.generation {
            let since = record.current.created_at.min(at);
            (since, RetirementReason::Superseded)
        } else if own.is_some() {
            // A current secret ends before its key for one reason only.
            let since = record.exposed_at.map_or(at, |since| since.min(at));
            (since, RetirementReason::Exposed)
        } else {
            let warning = age?.warning();
            (too_old?.saturating_sub(warning), RetirementReason::Age)
        };
        let ends = [too_old, own, record.expires_at];
        let ends_at = ends.into_iter().flatten().min()?;
        (since <= at).then_some(Self {
            since,
            ends_at,
            reason,
        })
    }
}
