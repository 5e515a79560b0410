//! Interleaved timing and the table.

use std::time::{Duration, Instant};

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) ours: f64,
    pub(crate) reference: f64,
    pub(crate) target: f64,
    pub(crate) unit: &'static str,
}

impl Row {
    /// Prints the line. `ok` when ours is at most the target times the reference.
    pub(crate) fn print(&self) {
        let ratio = self.ours / self.reference;
        let verdict = if ratio <= self.target { "ok" } else { "short" };
        let Self {
            name,
            ours,
            reference,
            target,
            unit,
        } = self;
        println!(
            "{name}\t{ours:.1} {unit}\t{reference:.1} {unit}\t{ratio:.3}\t<= {target}\t{verdict}"
        );
    }

    /// Prints an amount against a bound of its own.
    pub(crate) fn print_bound(name: &'static str, ours: f64, bound: f64, unit: &'static str) {
        let verdict = if ours <= bound { "ok" } else { "short" };
        let ratio = if bound == 0.0 {
            f64::from(u8::from(ours > 0.0))
        } else {
            ours / bound
        };
        println!("{name}\t{ours:.1} {unit}\t{bound:.1} {unit}\t{ratio:.3}\t<= 1\t{verdict}");
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn percentile(values: &mut [Duration], of_hundred: usize) -> Duration {
    values.sort_unstable();
    values[(values.len() - 1) * of_hundred / 100]
}

/// Nanoseconds an operation took.
pub(crate) fn nanos(times: usize, mut operation: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        operation();
    }
    start.elapsed().as_nanos() as f64 / times as f64
}

/// Runs the cases in turn, `rounds` times, and returns the median of each.
pub(crate) fn interleave(rounds: usize, cases: &mut [&mut dyn FnMut() -> f64]) -> Vec<f64> {
    let mut results = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..=rounds {
        for (case, result) in cases.iter_mut().zip(&mut results) {
            let value = case();
            // The first round warms caches, maps and branch predictors.
            if round > 0 {
                result.push(value);
            }
        }
    }
    results.into_iter().map(median).collect()
}
