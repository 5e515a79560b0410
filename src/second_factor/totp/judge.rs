//! The decision over a code: pure, and the only place where one is accepted.

use super::recovery::{self, RecoveryText};
use super::state::{Phase, State};
use super::{FactorCode, FactorError, FactorMethod, TotpFactor, wait};
use crate::key::ActorRef;
use crate::time::Timestamp;

/// A code by its shape.
pub(super) enum Presented<'a> {
    OneTime(&'a str),
    Recovery(RecoveryText),
}

impl<'a> Presented<'a> {
    /// What has no shape is no guess: it is refused before the store is asked, and not counted.
    pub(super) fn of(code: &'a FactorCode) -> Result<Self, FactorError> {
        let text = code.expose();
        if matches!(text.len(), 6 | 8) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::OneTime(text));
        }
        let recovery = recovery::read(text).map(Self::Recovery);
        recovery.ok_or(FactorError::MalformedCode)
    }
}

/// What becomes of a code. The states are to be stored before anybody hears of it.
pub(super) enum Verdict {
    Accepted(State, FactorMethod),
    Wrong(State),
    /// Nothing changes.
    Refused(FactorError),
}

/// The step that a moment lies in, counted from 1970 as in RFC 6238.
pub(super) fn step(now: Timestamp) -> u64 {
    let seconds = u64::try_from(now.as_secs()).unwrap_or(0);
    seconds / TotpFactor::PERIOD.as_secs().max(1)
}

impl State {
    pub(super) fn judge(
        &self,
        actor: &ActorRef,
        presented: &Presented<'_>,
        phase: Phase,
        now: Timestamp,
    ) -> Verdict {
        let fits = match phase {
            Phase::Pending => self.is_confirmable(now),
            Phase::Active => self.phase == Phase::Active,
        };
        if !fits {
            return Verdict::Refused(phase.absent());
        }
        match presented {
            Presented::OneTime(code) => self.judge_one_time(code, now),
            Presented::Recovery(_) if phase == Phase::Pending => {
                Verdict::Refused(FactorError::MalformedCode)
            }
            Presented::Recovery(code) => self.judge_recovery(actor, code),
        }
    }

    fn judge_one_time(&self, code: &str, now: Timestamp) -> Verdict {
        if code.len() != usize::from(self.digits.count()) {
            return Verdict::Refused(FactorError::MalformedCode);
        }
        if self.failures >= wait::MOST_FAILURES {
            return Verdict::Refused(FactorError::Locked);
        }
        let retry_after = self.wait(now);
        if !retry_after.is_zero() {
            return Verdict::Refused(FactorError::Throttled { retry_after });
        }
        match self.latest_step_of(code, now) {
            Some(step) if step >= self.unspent => Verdict::Accepted(
                Self {
                    unspent: step.saturating_add(1),
                    failures: 0,
                    ..self.clone()
                },
                FactorMethod::TOTP,
            ),
            Some(_) => Verdict::Refused(FactorError::UsedCode),
            None => Verdict::Wrong(self.failed(now)),
        }
    }

    /// The present step and one to each side (RFC 6238 §5.2). All three are computed, whichever fits, and the latest
    /// counts: a code that fits two of them is spent for both.
    fn latest_step_of(&self, code: &str, now: Timestamp) -> Option<u64> {
        let codes = self.seed.codes(self.algorithm, self.digits);
        let step = step(now);
        let around = [step.checked_sub(1), Some(step), step.checked_add(1)];
        let fits = |found: Option<u64>, step: u64| {
            let fits = codes.is_of(step, code);
            if fits { Some(step) } else { found }
        };
        around.into_iter().flatten().fold(None, fits)
    }

    /// SECURITY: no wait and no lock here. Nobody guesses 125 bits, and whoever holds the first factor and guesses
    /// one-time codes must not be able to keep the owner out for good.
    fn judge_recovery(&self, actor: &ActorRef, code: &RecoveryText) -> Verdict {
        match self.recovery.without(actor, code) {
            Some(recovery) => Verdict::Accepted(
                Self {
                    recovery,
                    failures: 0,
                    ..self.clone()
                },
                FactorMethod::RECOVERY_CODE,
            ),
            None => Verdict::Refused(FactorError::WrongCode),
        }
    }
}
