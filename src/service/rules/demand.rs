use std::time::Duration;

use ipnet::IpNet;

use super::IssueRule;
use crate::key::Networks;
use crate::time::Timestamp;

/// What must be given before a key is handed out. [`IssueRules::new`] demands nothing.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::IssueRules;
///
/// let rules = IssueRules::new()
///     .require_justification()
///     .longest_lifetime(Duration::from_secs(90 * 24 * 3600))
///     .most_active_keys(5);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct IssueRules {
    pub(super) justification: bool,
    pub(super) second_factor: bool,
    pub(super) networks: bool,
    pub(super) longest_lifetime: Option<Duration>,
    pub(super) default_lifetime: Option<Duration>,
    pub(super) most_active_keys: Option<u32>,
}

impl IssueRules {
    /// Returns the rules that demand nothing.
    pub const fn new() -> Self {
        Self {
            justification: false,
            second_factor: false,
            networks: false,
            longest_lifetime: None,
            default_lifetime: None,
            most_active_keys: None,
        }
    }

    /// Demands that somebody says why the key is needed.
    pub const fn require_justification(mut self) -> Self {
        self.justification = true;
        self
    }

    /// Demands a code of the actor's second factor. [`Actor::system`](crate::service::Actor::system) is exempt: it is
    /// the application itself, which has none.
    pub const fn require_second_factor(mut self) -> Self {
        self.second_factor = true;
        self
    }

    /// Demands that the key is bound to networks. A list that holds a whole address family (`0.0.0.0/0`, `::/0`), in
    /// one piece or in several, does not count.
    pub const fn require_networks(mut self) -> Self {
        self.networks = true;
        self
    }

    /// Demands an expiry that is at most so long after the creation. A later update cannot move it beyond that.
    pub const fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.longest_lifetime = Some(lifetime);
        self
    }

    /// Sets the life of keys that are issued without an expiry.
    pub const fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Refuses a key to an owner who has so many active ones already, of whatever role, counted in the same step as the
    /// insert.
    pub const fn most_active_keys(mut self, keys: u32) -> Self {
        self.most_active_keys = Some(keys);
        self
    }

    pub(in crate::service) const fn demands_justification(&self) -> bool {
        self.justification
    }

    pub(in crate::service) const fn demands_second_factor(&self) -> bool {
        self.second_factor
    }

    pub(in crate::service) const fn usual_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    pub(in crate::service) fn owner_limit(&self, asked: Option<u32>) -> Option<u32> {
        least(self.most_active_keys, asked)
    }

    pub(in crate::service) fn check_justification(
        &self,
        justification: Option<&str>,
    ) -> Result<(), IssueRule> {
        if self.justification && is_blank(justification) {
            return Err(IssueRule::Justification);
        }
        Ok(())
    }

    pub(in crate::service) fn check_networks(
        &self,
        networks: Option<&Networks>,
    ) -> Result<(), IssueRule> {
        if self.networks && !networks.is_some_and(binds) {
            return Err(IssueRule::Networks);
        }
        Ok(())
    }

    pub(in crate::service) fn check_lifetime(
        &self,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<(), IssueRule> {
        let Some(longest) = self.longest_lifetime else {
            return Ok(());
        };
        let latest = created_at.saturating_add(longest);
        if expires_at.is_some_and(|end| end <= latest) {
            return Ok(());
        }
        Err(IssueRule::Lifetime { longest })
    }
}

pub(in crate::service) fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

/// SECURITY: joined first, or the two halves of all addresses would count as a binding.
fn binds(networks: &Networks) -> bool {
    let joined = IpNet::aggregate(&networks.as_slice().to_vec());
    joined.iter().all(|network| network.prefix_len() > 0)
}

fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}
