//! The rule that learns: what it finds in a simulated year, and what it leaves alone.
#![cfg(feature = "testing")]
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the simulation is the example's, of which not all is used; and a test may fail where it stands"
)]

#[path = "../examples/adaptive_year/chance.rs"]
mod chance;
#[path = "../examples/adaptive_year/fleet.rs"]
mod fleet;
#[path = "../examples/adaptive_year/trial.rs"]
mod trial;

use std::time::Duration;

use fleet::Use;
use trial::{Honest, Theft};

/// Small keys, so that a year is soon over.
const SCALE: f64 = 0.3;
const KEYS: u64 = 6;

fn honest_years(what: Use, keys: u64) -> Honest {
    let years = (0..keys).map(|seed| trial::honest(what, seed, SCALE).unwrap());
    years.fold(Honest::default(), |sum, year| Honest {
        unusual_rates: sum.unusual_rates + year.unusual_rates,
        new_networks: sum.new_networks + year.new_networks,
        requests: sum.requests + year.requests,
    })
}

/// How many thefts were found, of how many, and after how long half of those.
fn found(what: Use, theft: Theft) -> (usize, usize, Duration) {
    let trials = (0..KEYS).filter_map(|seed| trial::stolen(what, seed, SCALE, theft).unwrap());
    let trials: Vec<_> = trials.collect();
    let mut delays: Vec<_> = trials.iter().copied().flatten().collect();
    delays.sort_unstable();
    let half = delays.get(delays.len() / 2).copied().unwrap_or_default();
    (delays.len(), trials.len(), half)
}

#[test]
fn an_office_gives_half_a_false_alarm_a_year_of_its_rate() {
    let office = honest_years(Use::Office, KEYS);
    assert!(office.unusual_rates <= KEYS as u32 / 2, "{office:?}");
    // It moves twice a year.
    assert!(office.new_networks <= 4 * KEYS as u32, "{office:?}");
}

#[test]
fn growth_of_three_per_cent_a_month_is_learnt() {
    let poller = honest_years(Use::Poller, KEYS);
    assert_eq!(poller.unusual_rates, 0);
}

#[test]
fn somebody_who_comes_from_everywhere_raises_no_alarm_for_it() {
    let functions = honest_years(Use::Serverless, 1);
    assert_eq!(functions.new_networks, 0);
}

#[test]
fn a_stolen_key_in_a_new_network_is_found_at_its_first_request() {
    let (found, of, half) = found(Use::Office, Theft::Quiet);
    assert!(found + 1 >= of, "{found} of {of}");
    assert_eq!(half, Duration::ZERO);
}

#[test]
fn ten_times_the_rate_is_found_within_two_hours() {
    let (found, of, half) = found(Use::Poller, Theft::TenTimes);
    assert_eq!(found, of);
    assert!(half < Duration::from_secs(7200), "{half:?}");
}

#[test]
fn a_thousand_requests_an_hour_at_night_are_found_within_half_an_hour() {
    let (found, of, half) = found(Use::Office, Theft::AtNight);
    assert!(found + 1 >= of, "{found} of {of}");
    assert!(half < Duration::from_secs(1800), "{half:?}");
}
