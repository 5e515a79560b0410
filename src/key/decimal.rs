//! A JSON number as a value: 100000.0 and 1e5 are one.

/// The digits without zeros at either end, and the power of ten they are multiplied by. Zero has none, and 0 for a power.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Decimal {
    pub(super) is_negative: bool,
    pub(super) digits: String,
    pub(super) exponent: i64,
}

impl Decimal {
    /// Reads a number of JSON's grammar; `None` for anything else, and beyond all exponents.
    pub(super) fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-');
        let (mantissa, exponent) = match unsigned.unwrap_or(text).split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (unsigned.unwrap_or(text), 0_i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let is_negative = unsigned.is_some();
        let kept = digits.trim_end_matches('0');
        let significant = kept.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self {
                is_negative,
                digits: String::new(),
                exponent: 0,
            });
        }
        let dropped = i64::try_from(digits.len().checked_sub(kept.len())?).ok()?;
        let exponent = exponent
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(dropped)?;
        Some(Self {
            is_negative,
            digits: significant.to_owned(),
            exponent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(bool, String, i64)> {
        Decimal::read(text).map(|it| (it.is_negative, it.digits, it.exponent))
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for text in ["100000.0", "1e5", "1E+5", "0.1e6", "10.0e4", "100000"] {
            assert_eq!(parts(text), Some((false, "1".into(), 5)), "{text}");
        }
        for text in ["-0.0250", "-25e-3", "-2.5E-02"] {
            assert_eq!(parts(text), Some((true, "25".into(), -3)), "{text}");
        }
        for text in ["0.0", "0e7", "0", "0.000e-9"] {
            assert_eq!(parts(text), Some((false, String::new(), 0)), "{text}");
        }
        assert_eq!(parts("-0.0"), Some((true, String::new(), 0)));
    }

    #[test]
    fn neighbours_are_two_however_many_digits_they_have() {
        let numbers = [
            "0.1",
            "0.10000000000000000001",
            "123456789012345678901",
            "123456789012345678902",
            "1e400",
            "1e-400",
            "-1e400",
        ];
        let read: Vec<_> = numbers.map(|text| parts(text).unwrap()).into();
        for (at, one) in read.iter().enumerate() {
            assert!(!read[..at].contains(one), "{one:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in [
            "",
            "-",
            ".5",
            "e5",
            "1e",
            "1.2.3",
            "NaN",
            "inf",
            "1e99999999999999999999",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
