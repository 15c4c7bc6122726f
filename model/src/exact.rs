//! Exact decimals: what an exchange sent, and nothing else.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use marketlake_common::excerpt;

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

/// The powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// As many as the largest scale has places, and more.
const ZEROS: &str = "00000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000000000000000000000000000000000000";

/// Error of a text that is not an [`Exact`].
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
        // Nearly every value; without 128-bit divisions, since each row that is read comes by here.
        if (0..=Self::MAX_SCALE).contains(&scale) && unscaled.unsigned_abs() < 1_000_000_000_000 {
            return Some(Self::trimmed(unscaled, scale));
        }
        Self::canonical(i128::from(unscaled), i32::from(scale))
    }

    /// The same of a wider number.
    #[must_use]
    pub fn wide(unscaled: i128, scale: i32) -> Option<Self> {
        let in_reach = (-40..=60).contains(&scale);
        in_reach.then(|| Self::canonical(unscaled, scale)).flatten()
    }

    fn trimmed(mut unscaled: i64, mut scale: i8) -> Self {
        if unscaled == 0 {
            return Self::ZERO;
        }
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Self { unscaled, scale }
    }

    /// The decimal nearest to a float, with `digits` significant digits (at most 17), for computed
    /// values: means, sums. `None` for what is no number or does not fit.
    #[must_use]
    pub fn rounded(value: f64, digits: usize) -> Option<Self> {
        format!("{value:.*e}", digits.clamp(1, 17) - 1).parse().ok()
    }

    /// The shortest decimal that reads back as this float: what a program that wrote it meant.
    #[must_use]
    pub fn shortest(value: f64) -> Option<Self> {
        format!("{value:e}").parse().ok()
    }

    /// The exact sum; `None` where it does not fit.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.combine(other, i128::checked_add)
    }

    /// The exact difference; `None` where it does not fit.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.combine(other, i128::checked_sub)
    }

    fn combine(self, other: Self, both: fn(i128, i128) -> Option<i128>) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let at = |number: Self| {
            let more = u32::from(scale.abs_diff(number.scale));
            i128::from(number.unscaled).checked_mul(10_i128.checked_pow(more)?)
        };
        Self::wide(both(at(self)?, at(other)?)?, i32::from(scale))
    }

    fn canonical(mut unscaled: i128, mut scale: i32) -> Option<Self> {
        if unscaled == 0 {
            return Some(Self::ZERO);
        }
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        while scale < 0
            && unscaled
                .checked_mul(10)
                .is_some_and(|up| i64::try_from(up).is_ok())
        {
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

    /// The place of the first digit: 0 for 1 to 9, -1 for 0.1.
    fn leading(self) -> i64 {
        i64::from(self.unscaled.unsigned_abs().max(1).ilog10()) - i64::from(self.scale)
    }

    /// Number of decimal places that [`Self::unscaled`] is shifted by.
    #[must_use]
    pub fn scale(self) -> i8 {
        self.scale
    }

    /// The same number's whole part at another scale, or `None` where that would lose a digit or
    /// overflow.
    #[must_use]
    pub fn at_scale(self, scale: i8) -> Option<i64> {
        let up = u32::try_from(i32::from(scale) - i32::from(self.scale)).ok()?;
        self.unscaled.checked_mul(10_i64.checked_pow(up)?)
    }

    /// The nearest float, for statistics only: never on a value's way in or out.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "that is what it is for")]
    pub fn to_f64(self) -> f64 {
        match usize::try_from(self.scale)
            .ok()
            .and_then(|scale| POWERS.get(scale))
        {
            Some(power) => self.unscaled as f64 / power,
            None => self.unscaled as f64 / 10_f64.powf(f64::from(self.scale)),
        }
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.unscaled < 0
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.unscaled.signum().cmp(&other.unscaled.signum());
        if signs.is_ne() || self.unscaled == 0 {
            return signs;
        }
        let (leading, others) = (self.leading(), other.leading());
        if leading != others {
            let sizes = leading.cmp(&others);
            return if self.unscaled > 0 {
                sizes
            } else {
                sizes.reverse()
            };
        }
        // With their first digits at one place, the scales differ by 18 at most: that fits.
        let common = self.scale.max(other.scale);
        let at = |value: &Self| {
            let up = u32::from(common.abs_diff(value.scale));
            i128::from(value.unscaled) * 10_i128.pow(up)
        };
        at(self).cmp(&at(other))
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Exact {
    type Err = ParseExactError;

    /// Reads decimal text with an optional sign, point and exponent, as JSON writes numbers.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_decimal = || ParseExactError::NotDecimal(excerpt(text).into_owned());
        let does_not_fit = || ParseExactError::DoesNotFit(excerpt(text).into_owned());
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
        let mut text = self.unscaled.unsigned_abs().to_string();
        match usize::try_from(self.scale) {
            Ok(0) => (),
            Ok(places) => {
                if text.len() <= places {
                    text.insert_str(0, &ZEROS[..places + 1 - text.len()]);
                }
                text.insert(text.len() - places, '.');
            }
            Err(_) => text += &ZEROS[..usize::from(self.scale.unsigned_abs())],
        }
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

    #[test]
    fn numbers_are_ordered_whatever_their_digits() {
        let rising =
            "-1.7e21 -12.5 -12.49 -0.001 0 1e-16 0.09 0.1 0.11 9.223372036854775807 10 1e9";
        let rising: Vec<&str> = rising.split(' ').collect();
        for pair in rising.windows(2) {
            assert!(exact(pair[0]) < exact(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_sum_is_exact_or_none() {
        let sum = |one, another| exact(one).plus(exact(another));
        assert_eq!(sum("0.1", "0.20"), Some(exact("0.3")));
        assert_eq!(sum("900000000000000000", "1e-18"), None);
    }

    #[test]
    fn a_float_is_read_by_its_shortest_decimal_or_rounded_to_some_digits() {
        assert_eq!(Exact::shortest(0.06076), Some(exact("0.06076")));
        assert_eq!(Exact::shortest(1e-16), Some(exact("1e-16")));
        assert_eq!(Exact::shortest(f64::NAN), None);
        assert_eq!(Exact::rounded(0.1 + 0.2, 15), Some(exact("0.3")));
        assert_eq!(Exact::rounded(2.0 / 3.0, 4), Some(exact("0.6667")));
        assert_eq!(Exact::rounded(f64::INFINITY, 15), None);
    }

    proptest! {
        #[test]
        fn every_way_to_a_number_gives_the_same(
            unscaled in -9_999_999_i64..9_999_999, zeros in 0_u32..5, scale in 0_i8..20
        ) {
            let places = i8::try_from(zeros).expect("small");
            let wide = Exact::canonical(i128::from(unscaled), i32::from(scale));
            prop_assert_eq!(Exact::new(unscaled * 10_i64.pow(zeros), scale + places), wide);
        }

        #[test]
        fn text_and_back_is_the_same_number(unscaled in any::<i64>(), scale in -10_i8..30) {
            if let Some(value) = Exact::new(unscaled, scale) {
                prop_assert_eq!(value.to_string().parse::<Exact>().expect("own text"), value);
            }
        }
    }
}
