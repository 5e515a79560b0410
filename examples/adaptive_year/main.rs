//! How the adaptive rule fares: a simulated year of keys that are used honestly, and of the same keys stolen.
//!
//! `cargo run --release --features testing --example adaptive_year [keys of each use, 20 unless told otherwise]`
//!
//! The fleet is made up (`fleet.rs` says how), and the same in every run.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a simulation of small numbers, which prints"
)]

mod chance;
mod fleet;
mod trial;

use std::time::Duration;

use fleet::{DAYS, Use};
use keyward::alert::AlertError;
use trial::Theft;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = std::env::args().nth(1).map_or(Ok(20), |it| it.parse())?;
    println!(
        "{keys} keys of each use, {DAYS} days; false alarms a key and year; thefts found, and half of them within"
    );
    println!();
    println!(
        "| use | requests a day | unusual rate | new network | +3 an hour, new network | ten times the rate | 1000 an hour at night |"
    );
    println!("|---|---|---|---|---|---|---|");
    for what in Use::ALL {
        println!("{}", row(what, keys)?);
    }
    Ok(())
}

fn row(what: Use, keys: u64) -> Result<String, AlertError> {
    let (mut rates, mut networks, mut requests) = (0, 0, 0);
    for key in 0..keys {
        let year = trial::honest(what, seed(what, key), 1.0)?;
        rates += year.unusual_rates;
        networks += year.new_networks;
        requests += year.requests;
    }
    let mut row = format!(
        "| {} | {} | {:.2} | {:.2} |",
        what.name(),
        requests / keys / DAYS as u64,
        f64::from(rates) / keys as f64,
        f64::from(networks) / keys as f64,
    );
    for theft in Theft::ALL {
        row += &format!(" {} |", share(what, keys, theft)?);
    }
    Ok(row)
}

fn share(what: Use, keys: u64, theft: Theft) -> Result<String, AlertError> {
    let (mut thefts, mut delays) = (0, Vec::new());
    for key in 0..keys {
        if let Some(found) = trial::stolen(what, seed(what, key), 1.0, theft)? {
            thefts += 1;
            delays.extend(found);
        }
    }
    delays.sort_unstable();
    let Some(half) = delays.get(delays.len() / 2) else {
        return Ok(format!("0 of {thefts}"));
    };
    Ok(format!("{} of {thefts}, {}", delays.len(), short(*half)))
}

fn short(span: Duration) -> String {
    match span.as_secs() {
        0 => "at once".to_owned(),
        seconds @ 1..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

fn seed(what: Use, key: u64) -> u64 {
    1000 * (what as u64 + 1) + key
}
