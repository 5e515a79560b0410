//! Named sets of quotas.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::Quota;
use super::quota::is_name;

/// The most quotas one tier may hold.
pub const MAX_QUOTAS: usize = 4;

/// Why a tier, or a set of tiers, cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TierError {
    /// Two quotas of one tier are counted in the same bucket; give one of them a label of its own.
    #[error("two quotas of one tier share a bucket")]
    DuplicateBucket,
    /// Two quotas of one tier have the same name.
    #[error("two quotas of one tier have the same name")]
    DuplicateName,
    /// Two tiers have the same name.
    #[error("two tiers have the same name")]
    DuplicateTier,
    /// The tier's name is empty, too long or not printable ASCII.
    #[error("tier name is empty, too long or not printable ascii")]
    InvalidName,
    /// A tier holds at least one quota and at most [`MAX_QUOTAS`].
    #[error("a tier holds one to {MAX_QUOTAS} quotas")]
    QuotaCount,
}

/// What a plan allows: one to four quotas, all of which a request has to fit.
///
/// ```
/// use keyward::rate_limit::{Quota, Tier, TierError};
///
/// let gold = Tier::new("gold", [Quota::per_minute(600)?, Quota::per_day(100_000)?])?;
/// assert_eq!(gold.quotas().len(), 2);
///
/// // Two quotas of one period would be one count: the second needs a bucket of its own.
/// let twice = [Quota::per_minute(600)?, Quota::per_minute(30)?.named("search")?];
/// assert_eq!(Tier::new("gold", twice), Err(TierError::DuplicateBucket));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "TierText")]
pub struct Tier {
    name: Box<str>,
    quotas: Box<[Quota]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierText {
    name: String,
    quotas: Vec<Quota>,
}

impl TryFrom<TierText> for Tier {
    type Error = TierError;

    fn try_from(text: TierText) -> Result<Self, Self::Error> {
        Self::new(&text.name, text.quotas)
    }
}

impl Tier {
    /// Returns a tier of these quotas.
    ///
    /// # Errors
    ///
    /// * [`TierError::InvalidName`]: the name is not 1 to 64 printable ASCII characters without `"` and `\`.
    /// * [`TierError::QuotaCount`]: there is no quota, or more than [`MAX_QUOTAS`].
    /// * [`TierError::DuplicateName`], [`TierError::DuplicateBucket`]: two quotas cannot be told apart.
    pub fn new(name: &str, quotas: impl IntoIterator<Item = Quota>) -> Result<Self, TierError> {
        let quotas: Box<[Quota]> = quotas
            .into_iter()
            .take(MAX_QUOTAS.saturating_add(1))
            .collect();
        if !is_name(name) {
            return Err(TierError::InvalidName);
        }
        if quotas.is_empty() || quotas.len() > MAX_QUOTAS {
            return Err(TierError::QuotaCount);
        }
        if repeats(&quotas, |a, b| a.name() == b.name()) {
            return Err(TierError::DuplicateName);
        }
        if repeats(&quotas, |a, b| a.bucket_id() == b.bucket_id()) {
            return Err(TierError::DuplicateBucket);
        }
        let name = name.into();
        Ok(Self { name, quotas })
    }

    /// Returns the tier's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the tier's quotas, in the order given.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }
}

fn repeats(quotas: &[Quota], same: impl Fn(&Quota, &Quota) -> bool) -> bool {
    let mut rest = quotas;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| same(first, other)) {
            return true;
        }
        rest = others;
    }
    false
}

/// The tiers an application knows, by name.
///
/// ```
/// use keyward::rate_limit::{Quota, Tier, Tiers};
///
/// let tiers = Tiers::standard().with(Tier::new("gold", [Quota::per_minute(600)?])?)?;
/// assert_eq!(tiers.get("pro").unwrap().quotas()[0].burst(), 300);
/// assert!(tiers.get("platinum").is_none());
///
/// let tiers: Tiers = serde_json::from_str(
///     r#"[{"name": "free", "quotas": [{"limit": 10, "per": "minute"}, {"limit": 500, "per": "day"}]}]"#,
/// )?;
/// assert_eq!(tiers.get("free").unwrap().quotas().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Vec<Tier>", into = "Vec<Tier>")]
pub struct Tiers(BTreeMap<Box<str>, Tier>);

/// The tiers of [`Tiers::standard`]: name and requests a minute.
const STANDARD: [(&str, u32); 3] = [("starter", 60), ("pro", 300), ("enterprise", 1000)];

impl Tiers {
    /// Returns a set without any tier.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns `starter` (60 a minute), `pro` (300) and `enterprise` (1000), each a single quota named like its tier.
    #[must_use]
    pub fn standard() -> Self {
        let tiers = STANDARD.into_iter().filter_map(|(name, limit)| {
            let quota = Quota::per_minute(limit).ok()?.named(name).ok()?;
            Some((name.into(), Tier::new(name, [quota]).ok()?))
        });
        Self(tiers.collect())
    }

    /// Adds a tier.
    ///
    /// # Errors
    ///
    /// [`TierError::DuplicateTier`] when the name is taken.
    pub fn with(mut self, tier: Tier) -> Result<Self, TierError> {
        match self.0.entry(tier.name.clone()) {
            Entry::Occupied(_) => Err(TierError::DuplicateTier),
            Entry::Vacant(place) => {
                place.insert(tier);
                Ok(self)
            }
        }
    }

    /// Returns the tier of that exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tier> {
        self.0.get(name)
    }

    /// Returns all tiers, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Tier> {
        self.0.values()
    }
}

impl TryFrom<Vec<Tier>> for Tiers {
    type Error = TierError;

    fn try_from(tiers: Vec<Tier>) -> Result<Self, Self::Error> {
        tiers.into_iter().try_fold(Self::empty(), Self::with)
    }
}

impl From<Tiers> for Vec<Tier> {
    fn from(tiers: Tiers) -> Self {
        tiers.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(limit: u32) -> Quota {
        Quota::per_minute(limit).unwrap()
    }

    #[test]
    fn the_standard_tiers_are_three() {
        let tiers = Tiers::standard();
        let all: Vec<_> = tiers
            .iter()
            .flat_map(|tier| {
                tier.quotas()
                    .iter()
                    .map(|quota| (tier.name(), quota.policy()))
            })
            .collect();
        assert_eq!(
            all,
            [
                ("enterprise", r#""enterprise";q=1000;w=60"#),
                ("pro", r#""pro";q=300;w=60"#),
                ("starter", r#""starter";q=60;w=60"#),
            ]
        );
    }

    #[test]
    fn the_standard_tiers_count_in_one_bucket() {
        let tiers = Tiers::standard();
        assert!(
            tiers
                .iter()
                .flat_map(Tier::quotas)
                .all(|quota| quota.bucket_label() == "minute")
        );
    }

    #[test]
    fn refuses_no_quota_and_five() {
        let all = ["a", "b", "c", "d", "e"]
            .map(|label| minute(1).named(label).unwrap().in_bucket(label).unwrap());
        assert_eq!(Tier::new("x", []), Err(TierError::QuotaCount));
        assert_eq!(Tier::new("x", all.clone()), Err(TierError::QuotaCount));
        assert!(Tier::new("x", all.into_iter().take(4)).is_ok());
    }

    #[test]
    fn refuses_two_quotas_of_one_name_or_one_bucket() {
        let (one, other) = (minute(1), minute(2));
        let relabelled = other.clone().in_bucket("b").unwrap();
        let renamed = other.named("b").unwrap();
        let both = relabelled.clone().named("b").unwrap();
        assert_eq!(
            Tier::new("x", [one.clone(), relabelled]),
            Err(TierError::DuplicateName)
        );
        assert_eq!(
            Tier::new("x", [one.clone(), renamed]),
            Err(TierError::DuplicateBucket)
        );
        assert!(Tier::new("x", [one, both]).is_ok());
    }

    #[test]
    fn refuses_a_tier_name_twice_and_a_bad_one() {
        let pro = Tier::new("pro", [minute(1)]).unwrap();
        assert_eq!(
            Tiers::standard().with(pro.clone()),
            Err(TierError::DuplicateTier)
        );
        assert!(Tiers::empty().with(pro).is_ok());
        assert_eq!(Tier::new("", [minute(1)]), Err(TierError::InvalidName));
    }

    #[test]
    fn survives_configuration_text() {
        let text = serde_json::to_string(&Tiers::standard()).unwrap();
        assert_eq!(
            serde_json::from_str::<Tiers>(&text).unwrap(),
            Tiers::standard()
        );
    }

    #[test]
    fn refuses_configuration_with_unknown_fields_or_repeated_tiers() {
        let tier = r#"{"name":"a","quotas":[{"limit":1,"per":"day"}]}"#;
        assert!(serde_json::from_str::<Tiers>(&format!("[{tier}]")).is_ok());
        assert!(serde_json::from_str::<Tiers>(&format!("[{tier},{tier}]")).is_err());
        let unknown = r#"{"name":"a","quota":1,"quotas":[{"limit":1,"per":"day"}]}"#;
        assert!(serde_json::from_str::<Tier>(unknown).is_err());
    }
}
