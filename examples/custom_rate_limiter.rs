//! A rate limiter of one's own, held to the same rules as the one that ships.
//!
//! `cargo run --example custom_rate_limiter` shows it at work;
//! `cargo test --example custom_rate_limiter --features testing` runs the conformance suite over it.
//!
//! It counts in one ordered map behind one lock: slow beside `MemoryRateLimiter`, and short enough to read. A limiter
//! over a network has the same shape, with `Reply::pending` around its round trip.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use keyward::rate_limit::{
    Answer, Cell, Charge, MAX_CHARGES, Mode, Quota, RateLimitError, RateLimiter,
    RateLimiterExt as _, Reply, Subject, TimeSource,
};
use keyward::time::{Clock as _, SystemClock, Timestamp};

/// A bucket is named by whom it counts and by the quota's label, and stored as the moment when it is full again.
type Buckets = BTreeMap<(String, String), Timestamp>;

#[derive(Debug, Default)]
struct MapLimiter(Mutex<Buckets>);

impl RateLimiter for MapLimiter {
    fn apply<'a>(&'a self, charges: &'a [Charge<'a>], mode: Mode, now: Timestamp) -> Reply<'a> {
        if charges.len() > MAX_CHARGES {
            return Reply::ready(Err(RateLimitError::TooManyCharges {
                count: charges.len(),
            }));
        }
        // One lock over the whole decision makes it all or nothing.
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Reply::ready(Answer::new(decide(&mut stored, charges, mode, now)))
    }

    fn time_source(&self) -> TimeSource {
        TimeSource::Caller
    }
}

fn decide(stored: &mut Buckets, charges: &[Charge<'_>], mode: Mode, now: Timestamp) -> Vec<Cell> {
    // The charges are tried on a copy of their buckets, so that two charges of one bucket add up.
    let mut tried = Buckets::new();
    let mut waits = Vec::with_capacity(charges.len());
    for charge in charges {
        let (name, bucket) = (name(charge), charge.quota().bucket());
        let full_at = tried.get(&name).or_else(|| stored.get(&name)).copied();
        let debt = bucket.debt(full_at.unwrap_or(Timestamp::MIN), now);
        let price = bucket.price(charge.cost());
        let wait = if mode == Mode::Refund {
            0
        } else {
            bucket.wait(debt, charge.cost())
        };
        let owed = match (mode, wait) {
            (Mode::Refund, _) => debt.saturating_sub(price).max(0),
            (_, 0) => debt.saturating_add(price),
            _ => debt,
        };
        // Looking writes nothing, not even what a smaller quota makes of a debt.
        if owed != debt {
            tried.insert(name, bucket.full_at(now, owed));
        }
        waits.push(wait);
    }
    let denied = waits.iter().any(|wait| *wait > 0);
    match mode {
        Mode::Peek => {}
        _ if !denied => stored.append(&mut tried),
        // A bucket that owes more than it holds (its quota was lowered, or the clock stepped back) is brought to its
        // brim, or the wait that was just announced would not be true.
        _ => heal(stored, charges, &waits, now),
    }
    let debts = charges.iter().zip(waits).map(|(charge, wait)| {
        let full_at = stored.get(&name(charge)).copied().unwrap_or(Timestamp::MIN);
        Cell::new(charge.quota().bucket().debt(full_at, now), wait)
    });
    debts.collect()
}

fn heal(stored: &mut Buckets, charges: &[Charge<'_>], waits: &[i64], now: Timestamp) {
    for (charge, _) in charges.iter().zip(waits).filter(|(_, wait)| **wait > 0) {
        let bucket = charge.quota().bucket();
        if let Some(full_at) = stored.get_mut(&name(charge)) {
            *full_at = (*full_at).min(bucket.full_at(now, bucket.capacity()));
        }
    }
}

fn name(charge: &Charge<'_>) -> (String, String) {
    (
        charge.subject().to_string(),
        charge.quota().bucket_label().to_owned(),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let limiter = MapLimiter::default();
    let quota = Quota::per_minute(60)?.with_burst(3)?;
    let charges = [Charge::new(Subject::key("3Fq9xT0bLm2A"), &quota)];
    for attempt in 1..=4 {
        let decision = limiter
            .check(&charges, Mode::Consume, SystemClock::new().now())
            .await?;
        println!("request {attempt}: {:?}", decision.outcome());
    }
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::MapLimiter;

    async fn fresh() -> MapLimiter {
        MapLimiter::default()
    }

    keyward::rate_limiter_conformance!(map_limiter, fresh);
}
