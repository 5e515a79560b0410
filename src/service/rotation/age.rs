use std::time::Duration;

use crate::key::{Credential, KeyRecord};
use crate::service::Rotation;
use crate::time::Timestamp;

/// Two weeks: a planned change of somebody who works in fortnights, or is away for one.
const LONGEST_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Of short ages a sixth: five days of thirty, four hours of a day.
const PART_OF_AGE: u32 = 6;

/// An age that no secret in use may reach.
///
/// A secret is accepted while `now < created_at + age`. Before that, its holder is warned.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::RotationAge;
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
///
/// let quarter = RotationAge::refuse_at(DAY * 90);
/// assert_eq!(quarter.warning(), DAY * 14);
/// assert_eq!(RotationAge::refuse_at(DAY * 30).warning(), DAY * 5);
/// assert_eq!(quarter.warn_for(DAY * 30).warning(), DAY * 30);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct RotationAge {
    age: Duration,
    warning: Duration,
    overlap: Duration,
}

impl RotationAge {
    /// Returns the age from which on a secret is refused. Its holder is warned two weeks before, or a sixth of the age where
    /// that is less.
    pub fn refuse_at(age: Duration) -> Self {
        Self {
            age,
            warning: LONGEST_WARNING.min(age / PART_OF_AGE),
            overlap: Rotation::USUAL_GRACE,
        }
    }

    /// Sets how long before that age the holder is warned. More than nothing, and less than the age.
    pub const fn warn_for(mut self, span: Duration) -> Self {
        self.warning = span;
        self
    }

    /// Sets how long a secret that was rotated out in time may outlive that age, within its own grace; 24 hours
    /// ([`Rotation::USUAL_GRACE`]) otherwise, so that the usual grace is never cut short.
    ///
    /// # Security
    ///
    /// A grace may be as long as a year, and whoever may rotate a key chooses it. This is what keeps an old secret from
    /// living on in one.
    pub const fn overlap(mut self, span: Duration) -> Self {
        self.overlap = span;
        self
    }

    /// Returns the age from which on a secret is refused.
    #[must_use]
    pub const fn age(self) -> Duration {
        self.age
    }

    /// Returns how long before that age its holder is warned.
    #[must_use]
    pub const fn warning(self) -> Duration {
        self.warning
    }

    /// Both ages at once: the shorter one, and no outgoing secret is accepted longer than either allows.
    pub(super) fn and(self, other: Self) -> Self {
        let (shorter, longer) = if other.age < self.age {
            (other, self)
        } else {
            (self, other)
        };
        let last = longer.age.saturating_add(longer.overlap);
        let overlap = last.saturating_sub(shorter.age);
        Self {
            overlap: shorter.overlap.min(overlap),
            ..shorter
        }
    }

    pub(super) fn is_sound(self) -> bool {
        !self.warning.is_zero() && self.warning < self.age
    }

    /// From when on the key's current secret is refused.
    pub(super) fn end_of_current(self, record: &KeyRecord) -> Timestamp {
        record.current.created_at.saturating_add(self.age)
    }

    /// From when on the secret before it is refused, its own end aside.
    ///
    /// SECURITY: one that was too old already when its successor was made stays refused. A rotation must not bring it back
    /// for the time of its grace.
    pub(super) fn end_of_previous(self, record: &KeyRecord, previous: &Credential) -> Timestamp {
        let end = previous.created_at.saturating_add(self.age);
        if end <= record.current.created_at {
            return end;
        }
        end.saturating_add(self.overlap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn warns_two_weeks_before_or_a_sixth_of_the_age() {
        for (age, warning) in [
            (DAY * 365, DAY * 14),
            (DAY * 84, DAY * 14),
            (DAY * 60, DAY * 10),
            (DAY, Duration::from_secs(4 * 3600)),
            (Duration::MAX, DAY * 14),
        ] {
            assert_eq!(RotationAge::refuse_at(age).warning(), warning);
        }
    }

    #[test]
    fn a_warning_is_longer_than_nothing_and_shorter_than_the_age() {
        let age = RotationAge::refuse_at(DAY);
        assert!(age.is_sound());
        assert!(age.warn_for(DAY - Duration::from_nanos(1)).is_sound());
        assert!(!age.warn_for(DAY).is_sound());
        assert!(!age.warn_for(Duration::ZERO).is_sound());
    }
}
