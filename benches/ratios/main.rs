//! What keyward costs beside the sum of its parts, and beside others, measured in one run.
//!
//! `cargo bench --bench ratios` prints a tab-separated line a row: name, ours, reference, ratio, target, `ok` or `short`.
//! Ours and the reference are measured in turn, many times, and the medians compared, so that a noisy machine disturbs
//! both alike. A row whose target is an amount has that amount as its reference.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark reads the system's clock, prints, and stops where it finds itself wrong"
)]

mod allocations;
mod binding;
mod first_use;
mod flood;
mod hot_path;
mod limiter;
mod measure;
mod postgres;
mod reads;
mod redact;
mod redis;
mod revocation;
#[path = "../../tests/servers/mod.rs"]
mod servers;
mod sqlite;
mod world;

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    println!("name\tours\treference\tratio\ttarget\tverdict");
    let parts: [(&str, fn()); 11] = [
        ("hot_path", hot_path::run),
        ("binding", binding::run),
        ("first_use", first_use::run),
        ("limiter", limiter::run),
        ("allocations", allocations::run),
        ("sqlite", sqlite::run),
        ("postgres", postgres::run),
        ("redis", redis::run),
        ("revocation", revocation::run),
        ("redact", redact::run),
        ("flood", flood::run),
    ];
    for (name, run) in parts {
        if wanted(name) {
            run();
        }
    }
}
