//! Sets of HTTP status codes, written like `400-403,405-999`.

use std::fmt;

const FIRST: u16 = 100;
const LAST: u16 = 999;
const WORDS: usize = ((LAST - FIRST) as usize + 1).div_ceil(64);

/// A set of status codes from 100 to 999. Asking costs one look at one bit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StatusCodes {
    bits: [u64; WORDS],
    /// What was typed: the settings page shows it again as it was.
    text: Box<str>,
}

impl StatusCodes {
    pub(crate) fn none() -> Self {
        Self { bits: [0; WORDS], text: Box::default() }
    }

    /// Codes and ranges, separated by commas or line breaks, with blanks wherever one likes. Empty: no code at all.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut bits = [0; WORDS];
        for item in text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
            let (from, to) = parse_item(item)?;
            for code in from..=to {
                let (word, bit) = position(code);
                bits[word] |= bit;
            }
        }
        Ok(Self { bits, text: text.into() })
    }

    pub(crate) fn contains(&self, status: u16) -> bool {
        if !(FIRST..=LAST).contains(&status) {
            return false;
        }
        let (word, bit) = position(status);
        self.bits[word] & bit != 0
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusCodes({:?})", self.text)
    }
}

/// Word and bit of a code that is known to be in range.
fn position(code: u16) -> (usize, u64) {
    let index = usize::from(code - FIRST);
    (index / 64, 1 << (index % 64))
}

fn parse_item(item: &str) -> Result<(u16, u16), String> {
    let Some((from, to)) = item.split_once('-') else {
        let code = number(item).ok_or_else(|| format!("invalid status code: {item:?}"))?;
        return check_range(item, code, code);
    };
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() || to.is_empty() || to.contains('-') {
        return Err(format!("invalid status code range: {item:?}"));
    }
    let side = |text: &str| {
        number(text).ok_or_else(|| format!("invalid status code in range {item:?}: {text:?} is not a whole number"))
    };
    let (from, to) = (side(from)?, side(to)?);
    if from > to {
        return Err(format!("invalid status code range (start > end): {item:?}"));
    }
    check_range(item, from, to)
}

fn check_range(item: &str, from: u32, to: u32) -> Result<(u16, u16), String> {
    match (u16::try_from(from), u16::try_from(to)) {
        (Ok(from), Ok(to)) if from >= FIRST && to <= LAST => Ok((from, to)),
        _ => Err(format!("status code out of allowed range ({FIRST}-{LAST}): {item:?}")),
    }
}

/// Decimal digits, with leading zeros or a `+` if one likes.
fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[std::ops::RangeInclusive<u16>]) {
        let codes = StatusCodes::parse(text).unwrap();
        for status in 0..=1100 {
            let wanted = expected.iter().any(|range| range.contains(&status));
            assert_eq!(codes.contains(status), wanted, "{status} in {text:?}");
        }
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(StatusCodes::parse(text).unwrap_err(), expected);
    }

    #[test]
    fn what_is_listed_is_contained() {
        check("400-403,405-999", &[400..=403, 405..=999]);
        check("404,429,500-599", &[404..=404, 429..=429, 500..=599]);
        check("250 - 260 , ,300", &[250..=260, 300..=300]);
        check("429\n503", &[429..=429, 503..=503]);
        check("429\r\n 503 \r\n", &[429..=429, 503..=503]);
        check("500-510,505-520,521", &[500..=521]);
        check("+404,0429", &[404..=404, 429..=429]);
        check("100-999", &[100..=999]);
        check("200", &[200..=200]);
        check("", &[]);
        check(" ,\n, ", &[]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        check_error("500-", r#"invalid status code range: "500-""#);
        check_error("-500", r#"invalid status code range: "-500""#);
        check_error("1-2-3", r#"invalid status code range: "1-2-3""#);
        check_error("500-499", r#"invalid status code range (start > end): "500-499""#);
        check_error("99", r#"status code out of allowed range (100-999): "99""#);
        check_error("1000", r#"status code out of allowed range (100-999): "1000""#);
        check_error("50-200", r#"status code out of allowed range (100-999): "50-200""#);
        check_error("400-70000", r#"status code out of allowed range (100-999): "400-70000""#);
        check_error("abc", r#"invalid status code: "abc""#);
        check_error("429 503", r#"invalid status code: "429 503""#);
        check_error("400,4.5", r#"invalid status code: "4.5""#);
        check_error("99999999999999999999", r#"invalid status code: "99999999999999999999""#);
        check_error("4xx-499", r#"invalid status code in range "4xx-499": "4xx" is not a whole number"#);
    }

    proptest! {
        #[test]
        fn a_written_list_contains_exactly_its_codes(
            ranges in prop::collection::vec((FIRST..=LAST, 0_u16..200, any::<bool>()), 0..12),
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(from, more, single)| {
                (from, if single { from } else { (from + more).min(LAST) }, single)
            }).collect();
            let text = ranges.iter().map(|(from, to, single)| {
                if *single { format!(" {from}") } else { format!("{from} -{to}") }
            }).collect::<Vec<_>>().join(",");
            let codes = StatusCodes::parse(&text).unwrap();
            prop_assert_eq!(codes.as_str(), &text);
            for status in 0..=LAST + 100 {
                prop_assert_eq!(codes.contains(status), ranges.iter().any(|(from, to, _)| (*from..=*to).contains(&status)));
            }
        }

        #[test]
        fn no_text_breaks_the_parser(text in "[0-9+ ,\n-]{0,30}|\\PC{0,30}") {
            let _ = StatusCodes::parse(&text);
        }
    }
}
