//! What happens in the week.

use std::time::Duration;

use keyward::BoxError;
use keyward::access::Grant;
use keyward::key::KeyId;
use keyward::service::{Actor, IssueKey, Rotation};
use keyward::time::Timestamp;

use crate::world::{BERLIN, PARIS, World};

type Done = Result<(), BoxError>;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: u32 = 24;

/// The keys, as their owners hold them.
pub(crate) struct Keys {
    /// Made in winter and forgotten.
    forgotten: String,
    /// A person's, in use in office hours.
    office: String,
    /// Works every night.
    nightly: String,
    /// Copies data, and is in a hurry on Tuesday.
    importer: String,
    /// Of a partner who misses a rotation.
    partner: String,
    partner_id: KeyId,
}

pub(crate) async fn prepare(world: &World, monday: Timestamp) -> Result<Keys, BoxError> {
    world.clock.set(monday.saturating_sub(HOUR * DAY * 100));
    let forgotten = make(world, "acme", "forgotten").await?.0;
    world.clock.set(monday);
    let (partner, partner_id) = make(world, "partner", "integration").await?;
    Ok(Keys {
        forgotten,
        office: make(world, "acme", "office").await?.0,
        nightly: make(world, "robots", "nightly").await?.0,
        importer: make(world, "importers", "importer").await?.0,
        partner,
        partner_id,
    })
}

async fn make(world: &World, owner: &str, name: &str) -> Result<(String, KeyId), BoxError> {
    let grant = Grant::try_scopes(["reports:read".parse()?])?;
    let issued = world.issue(owner, name, grant).await?;
    Ok((issued.key().expose().to_owned(), issued.record().id))
}

/// Plays the hours of the week, counted from Monday 00:00 UTC; Berlin is one ahead.
pub(crate) async fn play(world: &World, keys: &Keys, monday: Timestamp) -> Done {
    for hour in 0..7 * DAY {
        world.clock.set(monday.saturating_add(HOUR * hour));
        as_every_week(world, keys, hour).await?;
        as_never_before(world, keys, hour).await?;
        world.service.flush_usage().await?;
    }
    Ok(())
}

async fn as_every_week(world: &World, keys: &Keys, hour: u32) -> Done {
    let (day, time) = (hour / DAY, hour % DAY);
    if day < 5 && (7..17).contains(&time) {
        for _ in 0..5 {
            world.call("/report", &keys.office, BERLIN).await?;
        }
        world.call("/report", &keys.importer, BERLIN).await?;
    }
    if time == 2 {
        for _ in 0..30 {
            world.call("/report", &keys.nightly, BERLIN).await?;
        }
    }
    Ok(())
}

async fn as_never_before(world: &World, keys: &Keys, hour: u32) -> Done {
    match (hour / DAY, hour % DAY) {
        // Monday: a page of the service is broken.
        (0, 9) => repeat(world, "/broken", &keys.office, 20).await,
        // Tuesday: the importer wants everything at once; the partner's secret is changed.
        (1, 13) => repeat(world, "/report", &keys.importer, 70).await,
        (1, 14) => rotate(world, keys).await,
        // Wednesday: somebody works from Paris, and for the partner nothing has changed yet.
        (2, 10) => call(world, &keys.office, PARIS).await,
        (2, 11) => call(world, &keys.partner, BERLIN).await,
        // Thursday: the office key at half past one in the night, and the key that everybody had forgotten.
        (3, 0) => at_night(world, keys).await,
        (3, 14) => call(world, &keys.forgotten, BERLIN).await,
        // Friday: a dozen new keys, a new administrator, and the partner, who missed the rotation.
        (4, 8) => hoard(world).await,
        (4, 9) => promote(world).await,
        (4, 15) => repeat(world, "/report", &keys.partner, 25).await,
        // Saturday: a key in a link.
        (5, 12) => share(world, keys).await,
        _ => Ok(()),
    }
}

async fn call(world: &World, key: &str, from: [u8; 4]) -> Done {
    world.call("/report", key, from).await?;
    Ok(())
}

async fn repeat(world: &World, path: &str, key: &str, times: u32) -> Done {
    for _ in 0..times {
        world.call(path, key, BERLIN).await?;
    }
    Ok(())
}

async fn rotate(world: &World, keys: &Keys) -> Done {
    let (ana, rotation) = (Actor::user("ana")?, Rotation::Grace(HOUR * DAY));
    drop(
        world
            .service
            .rotate(&ana, &keys.partner_id, rotation)
            .await?,
    );
    Ok(())
}

async fn at_night(world: &World, keys: &Keys) -> Done {
    world.clock.advance(HOUR / 2);
    call(world, &keys.office, BERLIN).await
}

async fn hoard(world: &World) -> Done {
    let mallory = Actor::user("mallory")?;
    for number in 0..12 {
        world.clock.advance(Duration::from_secs(10));
        let grant = Grant::try_scopes(["reports:read".parse()?])?;
        let request = IssueKey::new("acme".parse()?, format!("spare {number}"), grant);
        drop(world.service.issue(&mallory, request).await?);
    }
    Ok(())
}

async fn promote(world: &World) -> Done {
    drop(world.promote("acme", "boss").await?);
    Ok(())
}

async fn share(world: &World, keys: &Keys) -> Done {
    let link = format!("/report?key={}", keys.office);
    world.call(&link, &keys.office, BERLIN).await?;
    Ok(())
}
