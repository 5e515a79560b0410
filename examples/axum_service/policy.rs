//! What keys of this service may do, and how often.

use std::error::Error;
use std::time::Duration;

use keyward::access::{AccessPolicy, Role, TenantReach};
use keyward::key::KeyFormat;
use keyward::rate_limit::{Quota, Tier, Tiers};
use keyward::service::{LimitPlan, RotationAge, RotationPolicy};

/// Roles are looked up at every check: changing one here changes every key of that role with the next deployment.
pub(crate) fn roles() -> Result<AccessPolicy, Box<dyn Error>> {
    let agent = Role::new("agent", ["send_email", "listings:read"])?;
    let broker = Role::new("broker", ["send_email", "read_analytics", "listings:*"])?;
    // Stands in web pages, where anybody can read its keys.
    let storefront = Role::new("storefront", ["listings:read"])?;
    // An admin key hands out keys, so it must hold whatever it hands out.
    let admin = Role::new(
        "admin",
        ["send_email", "read_analytics", "listings:*", "manage_keys"],
    )?
    .with_reach(TenantReach::AllTenants);
    Ok(AccessPolicy::builder()
        .roles([agent, broker, storefront, admin])
        // What a publishable key may do at most, whatever its role says one day.
        .publishable(["listings:read"])
        .build()?)
}

/// Secrets of people and programs are refused after a quarter, and their holders are warned for two weeks. The admin key is
/// spared: if it were the only one and nobody rotated it in time, nobody could.
pub(crate) fn ages() -> Result<RotationPolicy, Box<dyn Error>> {
    let quarter = RotationAge::refuse_at(Duration::from_secs(90 * 24 * 60 * 60));
    Ok(RotationPolicy::builder()
        .role("agent".parse()?, quarter)
        .role("broker".parse()?, quarter)
        .without_role(quarter)
        .build()?)
}

/// `pm_live_…`, and `pm_pub_live_…` for keys that may be published.
pub(crate) fn format() -> Result<KeyFormat, Box<dyn Error>> {
    Ok(KeyFormat::builder().publishable().build()?)
}

/// The standard tiers, and one for the service's own batch jobs.
pub(crate) fn limits() -> Result<LimitPlan, Box<dyn Error>> {
    let internal = Tier::new(
        "internal",
        [Quota::per_minute(6_000_000)?.named("internal")?],
    )?;
    Ok(LimitPlan::new(
        Tiers::standard().with(internal)?,
        "starter",
    )?)
}
