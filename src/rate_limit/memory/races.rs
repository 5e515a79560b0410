//! Every interleaving that the checker tries: `RUSTFLAGS="--cfg keyward_shuttle" CARGO_TARGET_DIR=target-shuttle cargo test
//! --lib rate_limit`.

use std::sync::Arc;

use super::MemoryRateLimiter;
use crate::rate_limit::{Charge, Mode, Quota, RateLimiter, Subject};
use crate::sync::thread;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const SCHEDULES: usize = 2_000;

struct Scene {
    limiter: MemoryRateLimiter,
    narrow: Quota,
    wide: Quota,
}

impl Scene {
    /// In one line or in several.
    fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self {
            limiter: MemoryRateLimiter::builder().slots(slots).build(),
            narrow: Quota::per_hour(3).unwrap(),
            wide: Quota::per_hour(100).unwrap(),
        })
    }

    fn apply(&self, charges: &[Charge<'_>], mode: Mode) -> bool {
        let reply = self.limiter.apply(charges, mode, NOW).try_ready().unwrap();
        !reply.unwrap().is_denied()
    }

    fn left(&self, id: &str, quota: &Quota) -> u32 {
        let charge = [Charge::new(Subject::key(id), quota)];
        let reply = self.limiter.apply(&charge, Mode::Peek, NOW);
        let answer = reply.try_ready().unwrap().unwrap();
        quota.bucket().remaining(answer.cells()[0].debt())
    }
}

/// Runs three threads of three calls and returns how many of them passed.
fn race(scene: &Arc<Scene>, call: fn(&Scene, usize) -> bool) -> usize {
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let scene = Arc::clone(scene);
            thread::spawn(move || (0..3).filter(|_| call(&scene, thread)).count())
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum()
}

#[test]
fn one_bucket_never_gives_out_too_much() {
    let schedule = || {
        let scene = Scene::new(1);
        let passed = race(&scene, |scene, _| {
            scene.apply(
                &[Charge::new(Subject::key("a"), &scene.narrow)],
                Mode::Consume,
            )
        });
        assert_eq!(passed, 3);
    };
    shuttle::check_random(schedule, SCHEDULES);
}

#[test]
fn several_limits_are_taken_together_or_not_at_all() {
    for slots in [1, 1000] {
        let schedule = move || {
            let scene = Scene::new(slots);
            let passed = race(&scene, |scene, thread| {
                let mut both = [
                    Charge::new(Subject::key("narrow"), &scene.narrow),
                    Charge::new(Subject::key("wide"), &scene.wide),
                ];
                if thread == 0 {
                    both.reverse();
                }
                scene.apply(&both, Mode::Consume)
            });
            assert_eq!(passed, 3);
            assert_eq!(scene.left("narrow", &scene.narrow), 0);
            assert_eq!(scene.left("wide", &scene.wide), 97);
        };
        shuttle::check_random(schedule, SCHEDULES);
    }
}

#[test]
fn what_is_given_back_is_neither_lost_nor_doubled() {
    let schedule = || {
        let scene = Scene::new(1);
        let passed = race(&scene, |scene, thread| {
            let one = [Charge::new(Subject::key("a"), &scene.narrow)];
            let passed = scene.apply(&one, Mode::Consume);
            if passed && thread != 0 {
                return !scene.apply(&one, Mode::Refund);
            }
            passed
        });
        let left = usize::try_from(scene.left("a", &scene.narrow)).unwrap();
        assert_eq!(passed + left, 3);
    };
    shuttle::check_random(schedule, SCHEDULES);
}

#[test]
fn known_subjects_that_push_each_other_out_stay_exact() {
    let schedule = || {
        let scene = Scene::new(1);
        let ids: Vec<_> = (0..9).map(|id| format!("{id}")).collect();
        for id in &ids {
            assert!(scene.apply(
                &[Charge::new(Subject::key(id), &scene.narrow)],
                Mode::Consume
            ));
        }
        let passed = race(&scene, |scene, _| {
            let both = ["0", "8"].map(|id| Charge::new(Subject::key(id), &scene.narrow));
            scene.apply(&both, Mode::Consume)
        });
        assert_eq!(passed, 2);
        assert_eq!(scene.limiter.live_evictions(), 0);
    };
    shuttle::check_random(schedule, SCHEDULES / 4);
}
