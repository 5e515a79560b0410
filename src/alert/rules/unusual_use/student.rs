//! Student's t, as far as it is needed: how many standard deviations are rare enough.

use std::f64::consts::PI;

/// Fewer give a bound that is infinite, or next to it.
const LEAST_FREEDOM: f64 = 2.0;
/// Halvings of the interval in which the answer is sought: what is left is far below a standard deviation.
const STEPS: usize = 48;
/// Beyond it nothing is rare enough.
const FARTHEST: f64 = 1e4;

/// Returns `t` so that a value of Student's distribution exceeds it with at most this chance. Infinite if there is none.
///
/// It is computed from a bound of the tail, `∫ₜ^∞ (1+s²/ν)^-(ν+1)/2 ds ≤ 1/t ∫ₜ^∞ s·(1+s²/ν)^-(ν+1)/2 ds`, whose right side
/// can be written down, times the density's factor, which is below `1/√2π`. So the chance is never above what was asked for,
/// and no crate of special functions is linked for one number a day and key.
pub(super) fn deviations(chance: f64, freedom: f64) -> f64 {
    if freedom.is_nan() || freedom < LEAST_FREEDOM || tail(FARTHEST, freedom) > chance {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, FARTHEST);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if tail(middle, freedom) > chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn tail(t: f64, freedom: f64) -> f64 {
    let less = freedom - 1.0;
    let factor = freedom / (less * t * (2.0 * PI).sqrt());
    factor * (1.0 + t * t / freedom).powf(-less / 2.0)
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF as _, StudentsT};

    use super::*;

    #[test]
    fn is_never_less_rare_than_asked_for_and_not_much_rarer() {
        for freedom in [2.0, 3.0, 6.0, 13.0, 30.0, 59.0, 119.0] {
            let student = StudentsT::new(0.0, 1.0, freedom).unwrap();
            for chance in [1e-2, 1e-3, 1.0 / 730.0, 1e-5] {
                let t = deviations(chance, freedom);
                let real = student.sf(t);
                assert!(real <= chance, "{freedom} {chance}: {t} has {real}");
                // A seventh more chance is given away where it matters, two thirds at the fewest degrees.
                let generous = if freedom < 6.0 { 0.3 } else { 0.7 };
                assert!(real > generous * chance, "{freedom} {chance}: {real}");
            }
        }
    }

    #[test]
    fn two_values_say_nothing() {
        assert!(deviations(1e-3, 0.0).is_infinite());
        assert!(deviations(1e-3, 1.0).is_infinite());
        assert!(deviations(1e-3, f64::NAN).is_infinite());
    }
}
