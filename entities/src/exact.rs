//! Exact decimals: what an exchange sent, and nothing else.

use std::fmt;
use std::str::FromStr;

/// A decimal number held exactly: `unscaled / 10^scale`.
///
/// It is kept in one canonical form, so that equal numbers are equal values: no trailing zero
/// behind the point, and a negative scale only for a whole number that does not fit otherwise
/// (`1.7e21` is 1,700,000,000,000,000,000 at scale -3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exact {
    unscaled: i64,
    scale: i8,
}

/// Why a text is not an [`Exact`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseExactError {
    /// Not a decimal number at all (`NaN`, `null`, `1,5`).
    #[error("expected a decimal number, got {0:?}")]
    NotDecimal(String),
    /// A decimal number with more digits than 64 bits hold, or outside 1e-30 .. 1e30.
    #[error("{0} does not fit: expected at most 18 digits, between 1e-30 and 1e30")]
    DoesNotFit(String),
}

impl Exact {
    /// Zero.
    pub const ZERO: Self = Self {
        unscaled: 0,
        scale: 0,
    };
    /// The most digits behind the point, and the most zeros before it, that a value may have.
    pub const MAX_SCALE: i8 = 30;

    /// The number `unscaled / 10^scale`, or `None` where it does not fit.
    #[must_use]
    pub fn new(unscaled: i64, scale: i8) -> Option<Self> {
        Self::canonical(i128::from(unscaled), i32::from(scale))
    }

    fn canonical(mut unscaled: i128, mut scale: i32) -> Option<Self> {
        if unscaled == 0 {
            return Some(Self::ZERO);
        }
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        while scale < 0 && i64::try_from(unscaled * 10).is_ok() {
            unscaled *= 10;
            scale += 1;
        }
        while i64::try_from(unscaled).is_err() && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        let unscaled = i64::try_from(unscaled).ok()?;
        let digits = i32::try_from(unscaled.unsigned_abs().ilog10()).ok()?;
        let magnitude = digits - scale;
        let limit = i32::from(Self::MAX_SCALE);
        if scale > limit + 18 || !(-limit..limit).contains(&magnitude) {
            return None;
        }
        Some(Self {
            unscaled,
            scale: i8::try_from(scale).ok()?,
        })
    }

    /// The whole number before scaling.
    #[must_use]
    pub fn unscaled(self) -> i64 {
        self.unscaled
    }

    /// How many decimal places [`Self::unscaled`] is shifted by.
    #[must_use]
    pub fn scale(self) -> i8 {
        self.scale
    }

    /// The same number's whole part at another scale, or `None` where that would lose a digit or overflow.
    #[must_use]
    pub fn at_scale(self, scale: i8) -> Option<i64> {
        let up = u32::try_from(i32::from(scale) - i32::from(self.scale)).ok()?;
        self.unscaled.checked_mul(10_i64.checked_pow(up)?)
    }

    /// The nearest float, for statistics only: never on a value's way in or out.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "that is what it is for")]
    pub fn to_f64(self) -> f64 {
        self.unscaled as f64 / 10_f64.powf(f64::from(self.scale))
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.unscaled < 0
    }
}

impl FromStr for Exact {
    type Err = ParseExactError;

    /// Reads decimal text with an optional sign, point and exponent, as JSON writes numbers.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_decimal = || ParseExactError::NotDecimal(text.chars().take(64).collect());
        let does_not_fit = || ParseExactError::DoesNotFit(text.chars().take(64).collect());
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.trim_start_matches(['+', '-']);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(not_decimal());
                }
                (
                    mantissa,
                    exponent.parse::<i32>().map_err(|_| not_decimal())?,
                )
            }
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit());
        if !all_digits || whole.is_empty() && fraction.is_empty() {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        let mut unscaled = 0_i128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled
                .checked_mul(10)
                .and_then(|u| u.checked_add(i128::from(digit - b'0')))
                .ok_or_else(does_not_fit)?;
        }
        let places = i32::try_from(fraction.len()).map_err(|_| does_not_fit())?;
        let scale = places.checked_sub(exponent).ok_or_else(does_not_fit)?;
        let signed = if negative { -unscaled } else { unscaled };
        Self::canonical(signed, scale).ok_or_else(does_not_fit)
    }
}

impl fmt::Display for Exact {
    /// Plain decimal text, never an exponent: what REST, GraphQL and the shell show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.unsigned_abs().to_string();
        let text = match usize::try_from(self.scale) {
            Ok(0) => digits,
            Ok(places) => {
                let padded = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = padded.split_at(padded.len() - places);
                format!("{whole}.{fraction}")
            }
            Err(_) => digits + &"0".repeat(usize::from(self.scale.unsigned_abs())),
        };
        f.pad_integral(self.unscaled >= 0, "", &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Exact {
        text.parse().expect(text)
    }

    #[test]
    fn the_digits_that_came_in_go_out_without_trailing_zeros() {
        for (sent, shown) in [
            ("0.06076", "0.06076"),
            ("0.0607600", "0.06076"),
            ("3.2e-7", "0.00000032"),
            ("1e-16", "0.0000000000000001"),
            ("1.7e21", "1700000000000000000000"),
            ("41390", "41390"),
            ("0", "0"),
            ("0.000", "0"),
            ("-12.50", "-12.5"),
            ("+5E2", "500"),
            (".5", "0.5"),
            ("000123.4", "123.4"),
            ("9223372036854775807", "9223372036854775807"),
        ] {
            assert_eq!(exact(sent).to_string(), shown, "{sent}");
        }
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        assert_eq!(exact("1000"), exact("1e3"));
        assert_eq!(exact("0.10"), exact("1e-1"));
        assert_eq!(exact("17e20"), exact("1700000000000000000000.00"));
        assert_eq!(exact("-0"), Exact::ZERO);
    }

    #[test]
    fn what_is_no_decimal_is_named() {
        for bad in [
            "", "NaN", "inf", "1,5", "1.2.3", "e5", "1e", "0x10", "null", "--1", "1e+-3", " 1",
        ] {
            let error = bad.parse::<Exact>().expect_err(bad);
            assert!(
                matches!(error, ParseExactError::NotDecimal(_)),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_never_rounded() {
        for bad in [
            "1e31",
            "1e-31",
            "1.23456789012345678901",
            "99999999999999999999.9",
            "1e999999999",
            "123456789e-40",
        ] {
            let error = bad.parse::<Exact>().expect_err(bad);
            assert!(
                matches!(error, ParseExactError::DoesNotFit(_)),
                "{bad}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same_number(unscaled in any::<i64>(), scale in -10_i8..30) {
            if let Some(value) = Exact::new(unscaled, scale) {
                prop_assert_eq!(value.to_string().parse::<Exact>().expect("own text"), value);
            }
        }
    }
}
