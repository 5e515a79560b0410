use std::collections::BTreeMap;
use std::time::Duration;

use super::RotationAge;
use crate::access::{AccessPolicy, Permission, RoleName};
use crate::key::KeyRecord;
use crate::service::rules::can_manage;

/// How old secrets may become, by the key's role. The [`Default`] policy enforces nothing.
///
/// It is looked at when a key is checked: a changed policy holds for every key at once. `docs/rotation.md` tells how to
/// bring one in without locking anybody out.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::{RotationAge, RotationPolicy};
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = RotationPolicy::builder()
///     .role("partner".parse()?, RotationAge::refuse_at(DAY * 180))
///     .otherwise(RotationAge::refuse_at(DAY * 90))
///     .administrative(RotationAge::refuse_at(DAY * 30))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RotationPolicy {
    roles: BTreeMap<RoleName, RotationAge>,
    without_role: Option<RotationAge>,
    otherwise: Option<RotationAge>,
    administrative: Option<RotationAge>,
}

impl RotationPolicy {
    /// Returns a builder that enforces nothing.
    pub fn builder() -> RotationPolicyBuilder {
        RotationPolicyBuilder {
            roles: Vec::new(),
            rest: Self::default(),
        }
    }

    /// The age of the key's role, and that of keys that can manage keys where it is one.
    pub(super) fn age_for(
        &self,
        access: &AccessPolicy,
        manage: &Permission,
        record: &KeyRecord,
    ) -> Option<RotationAge> {
        let own = match record.grant.role() {
            Some(role) => self.roles.get(role).copied(),
            None => self.without_role,
        };
        let own = own.or(self.otherwise);
        let managing = self
            .administrative
            .filter(|_| can_manage(access, manage, &record.subject()));
        own.into_iter().chain(managing).reduce(RotationAge::and)
    }

    /// The shortest age of all: no secret that is younger is refused.
    pub(super) fn shortest(&self) -> Option<Duration> {
        let others = [self.without_role, self.otherwise, self.administrative];
        let ages = self.roles.values().copied();
        ages.chain(others.into_iter().flatten())
            .map(RotationAge::age)
            .min()
    }

    /// The roles that have an age of their own.
    pub(in crate::service) fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.keys()
    }
}

/// Collects the ages of a [`RotationPolicy`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RotationPolicyBuilder {
    roles: Vec<(RoleName, RotationAge)>,
    rest: RotationPolicy,
}

impl RotationPolicyBuilder {
    /// Sets the age of keys of that role, narrowed by scopes or not. A service whose access policy does not know the role is
    /// not built.
    pub fn role(mut self, role: RoleName, age: RotationAge) -> Self {
        self.roles.push((role, age));
        self
    }

    /// Sets the age of keys that have scopes and no role.
    pub const fn without_role(mut self, age: RotationAge) -> Self {
        self.rest.without_role = Some(age);
        self
    }

    /// Sets the age of all keys for which nothing else is said, with a role or without. Otherwise they may become as old as they
    /// like.
    pub const fn otherwise(mut self, age: RotationAge) -> Self {
        self.rest.otherwise = Some(age);
        self
    }

    /// Sets the age of keys that can manage keys, through their role or their scopes. Where their role has another age, the
    /// shorter one holds, and no outgoing secret is accepted longer than either allows.
    pub const fn administrative(mut self, age: RotationAge) -> Self {
        self.rest.administrative = Some(age);
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// [`RotationPolicyError`].
    pub fn build(self) -> Result<RotationPolicy, RotationPolicyError> {
        let Self { roles, mut rest } = self;
        for age in [rest.without_role, rest.otherwise, rest.administrative] {
            age.map_or(Ok(()), check)?;
        }
        for (role, age) in roles {
            check(age)?;
            if rest.roles.insert(role.clone(), age).is_some() {
                return Err(RotationPolicyError::DuplicateRole(role));
            }
        }
        Ok(rest)
    }
}

fn check(age: RotationAge) -> Result<(), RotationPolicyError> {
    if age.age().is_zero() {
        return Err(RotationPolicyError::ZeroAge);
    }
    if !age.is_sound() {
        return Err(RotationPolicyError::Warning);
    }
    Ok(())
}

/// Why a [`RotationPolicy`] could not be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationPolicyError {
    /// Two ages are for one role: which of them counts must not depend on order.
    #[error("role `{0}` has a rotation age twice")]
    DuplicateRole(RoleName),
    /// An age is zero: every key would be refused.
    #[error("a rotation age is zero")]
    ZeroAge,
    /// A warning is zero, or as long as the age or longer.
    #[error("the warning before a rotation age is zero, or not shorter than the age")]
    Warning,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn age(days: u32) -> RotationAge {
        RotationAge::refuse_at(DAY * days)
    }

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    #[test]
    fn refuses_ages_that_make_no_sense_wherever_they_stand() {
        let places: [fn(RotationAge) -> RotationPolicyBuilder; 4] = [
            |age| RotationPolicy::builder().role(role("a"), age),
            |age| RotationPolicy::builder().without_role(age),
            |age| RotationPolicy::builder().otherwise(age),
            |age| RotationPolicy::builder().administrative(age),
        ];
        for place in places {
            assert!(place(age(1)).build().is_ok());
            assert_eq!(place(age(0)).build(), Err(RotationPolicyError::ZeroAge));
            let always = age(1).warn_for(DAY);
            assert_eq!(place(always).build(), Err(RotationPolicyError::Warning));
        }
    }

    #[test]
    fn refuses_two_ages_of_one_role() {
        let twice = RotationPolicy::builder()
            .role(role("a"), age(1))
            .role(role("a"), age(1));
        assert_eq!(
            twice.build(),
            Err(RotationPolicyError::DuplicateRole(role("a")))
        );
    }

    #[test]
    fn knows_its_shortest_age() {
        assert_eq!(RotationPolicy::default().shortest(), None);
        let policy = RotationPolicy::builder()
            .role(role("a"), age(9))
            .without_role(age(8))
            .otherwise(age(7))
            .administrative(age(6));
        assert_eq!(policy.build().unwrap().shortest(), Some(DAY * 6));
        let policy = RotationPolicy::builder()
            .role(role("a"), age(9))
            .otherwise(age(10));
        assert_eq!(policy.build().unwrap().shortest(), Some(DAY * 9));
    }
}
