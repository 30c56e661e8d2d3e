//! A number that need not be whole.

use serde::{Serialize, Serializer};

/// Written without a decimal point where it is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure(pub(super) f64);

impl Figure {
    /// With so many decimals, halves away from zero.
    pub(super) fn rounded(self, decimals: i32) -> Self {
        let scale = 10_f64.powi(decimals);
        Self((self.0 * scale).round() / scale)
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() <= WHOLE_MAX {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_decimal_point() {
        #[track_caller]
        fn check(figure: Figure, expected: &str) {
            assert_eq!(serde_json::to_string(&figure).unwrap(), expected);
        }
        check(Figure(0.0), "0");
        check(Figure(-0.0), "0");
        check(Figure(-100.0), "-100");
        check(Figure(3.4), "3.4");
        check(Figure(40.0 / 3.0), "13.333333333333334");
        check(Figure(2.0 / 3.0).rounded(4), "0.6667");
        check(Figure(0.00005).rounded(4), "0.0001");
        check(Figure(1.0).rounded(4), "1");
    }
}
