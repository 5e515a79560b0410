//! Runs a test under many interleavings.

use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};

/// Tries so many random schedules, on stacks large enough for an unoptimised SHA-256.
pub(super) fn explore(schedules: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    Runner::new(RandomScheduler::new(schedules), config).run(test);
}
