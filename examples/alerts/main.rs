//! A simulated week of a small service, in which each alert is raised that needs no weeks of learning.
//!
//! ```sh
//! cargo run --release --example alerts --features axum,testing,time-zones
//! ```
//!
//! Service, layers and rules are the real ones; only the clock is moved by hand, so that a week takes a second and every run is
//! the same.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

mod week;
mod world;

use std::collections::BTreeMap;

use keyward::BoxError;
use keyward::alert::Alert;
use keyward::time::Timestamp;

use world::World;

/// Monday, 2026-03-23, 00:00 UTC.
const MONDAY: Timestamp = Timestamp::from_secs(1_774_224_000);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let world = World::open()?;
    let keys = week::prepare(&world, MONDAY).await?;
    week::play(&world, &keys, MONDAY).await?;
    table(&world.close().await?);
    Ok(())
}

/// Prints what was raised: kind, how many alerts, and when first.
fn table(alerts: &[Alert]) {
    let mut rows: BTreeMap<&str, (u32, Timestamp)> = BTreeMap::new();
    for alert in alerts {
        let (count, _) = rows.entry(alert.kind().code()).or_insert((0, alert.time()));
        *count += 1;
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, (_, first))| *first);
    println!("{:<24} {:>6}  first", "kind", "alerts");
    for (kind, (count, first)) in rows {
        println!("{kind:<24} {count:>6}  {first}");
    }
}
