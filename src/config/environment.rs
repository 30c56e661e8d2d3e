//! Typed reading of environment variables: a value that cannot be understood is a problem, never silently the default.

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use crate::crypto::Secret;

/// All variables, and what was found wrong with them so far.
pub(super) struct Environment {
    values: HashMap<String, String>,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Environment {
    pub(super) fn new(values: HashMap<String, String>) -> Self {
        Self { values, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The value as it was written, if it is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// A whole number within bounds; `unit` is how a sentence about it ends, such as ` of seconds`.
    pub(super) fn number(&mut self, name: &str, default: i64, bounds: RangeInclusive<i64>, unit: &str) -> i64 {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.parse::<i64>() {
            Ok(number) if bounds.contains(&number) => return number,
            Ok(_) => {
                let limits = if *bounds.end() == i64::MAX {
                    format!("at least {}", bounds.start())
                } else {
                    format!("from {} to {}", bounds.start(), bounds.end())
                };
                self.problems.push(format!("{name} is {text:?}, but must be {limits}, for example {name}={default}"));
            }
            Err(_) => self.problems.push(format!(
                "{name} is {text:?}, which is not a whole number{unit}; write digits only, for example {name}={default}"
            )),
        }
        default
    }

    /// Seconds; the meaning of zero and of negative numbers is the caller's.
    pub(super) fn seconds(&mut self, name: &str, default: i64) -> i64 {
        // A longer time is a slip of the pen, and would overflow the clock's arithmetic.
        const SECONDS_MAX: i64 = 10 * 365 * 24 * 3600;
        self.number(name, default, -SECONDS_MAX..=SECONDS_MAX, " of seconds")
    }

    pub(super) fn size(&mut self, name: &str, default: u64) -> u64 {
        let default = i64::try_from(default).unwrap_or(i64::MAX);
        self.number(name, default, 0..=i64::MAX, " of bytes").unsigned_abs()
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.problems.push(format!("{name} is {text:?}, but must be true or false, for example {name}=true"));
                default
            }
        }
    }

    /// Comma separated; empty parts are dropped, and nothing left means the default.
    pub(super) fn list(&self, name: &str, default: &[&str]) -> Vec<String> {
        let parts = self.text(name).into_iter().flat_map(|text| text.split(',')).map(str::trim);
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if parts.is_empty() { default.iter().map(|&part| part.to_owned()).collect() } else { parts }
    }

    /// One of a few words, whatever their case.
    pub(super) fn word<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> T {
        let Some(text) = self.text(name) else {
            return default;
        };
        if let Some(&(_, meaning)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            return meaning;
        }
        let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        self.problems.push(format!("{name} is {text:?}, but must be one of {}", known.join(", ")));
        default
    }
}

/// A time limit; what is not above zero means that there is none.
pub(super) fn limit(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Environment {
        Environment::new(HashMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        value: &str,
        read: impl Fn(&mut Environment) -> T,
        expected: T,
        problem: Option<&str>,
    ) {
        let mut environment = with("NAME", value);
        assert_eq!(read(&mut environment), expected, "{value:?}");
        match problem {
            None => assert!(environment.problems.is_empty(), "{:?}", environment.problems),
            Some(part) => assert!(environment.problems[0].contains(part), "{:?}", environment.problems),
        }
    }

    #[test]
    fn numbers() {
        let read = |e: &mut Environment| e.number("NAME", 3001, 1..=65535, "");
        check("", read, 3001, None);
        check("8080", read, 8080, None);
        check("+8080", read, 8080, None);
        check("0080", read, 80, None);
        check("30o1", read, 3001, Some("NAME is \"30o1\", which is not a whole number"));
        check(" 80", read, 3001, Some("for example NAME=3001"));
        check("80s", read, 3001, Some("not a whole number"));
        check("0", read, 3001, Some("must be from 1 to 65535"));
        check("65536", read, 3001, Some("must be from 1 to 65535"));
        check("99999999999999999999", read, 3001, Some("not a whole number"));
        check("-1", |e| e.number("NAME", 5, 0..=i64::MAX, ""), 5, Some("must be at least 0"));
    }

    #[test]
    fn sizes_and_seconds() {
        check("0", |e| e.size("NAME", 7), 0, None);
        check("16MB", |e| e.size("NAME", 7), 7, Some("whole number of bytes"));
        check("-5", |e| e.seconds("NAME", 60), -5, None);
        check("1m", |e| e.seconds("NAME", 60), 60, Some("whole number of seconds"));
        check("9999999999", |e| e.seconds("NAME", 60), 60, Some("must be from"));
        assert_eq!((limit(-1), limit(0), limit(1)), (None, None, Some(Duration::from_secs(1))));
    }

    #[test]
    fn flags() {
        let read = |e: &mut Environment| e.flag("NAME", false);
        for text in ["true", "TRUE", "1", "Yes", "on"] {
            check(text, read, true, None);
        }
        for text in ["", "false", "0", "NO", "off"] {
            check(text, read, false, None);
        }
        check("ture", read, false, Some("NAME is \"ture\", but must be true or false"));
        check(" true", read, false, Some("must be true or false"));
    }

    #[test]
    fn lists_and_words() {
        let list = |text| with("NAME", text).list("NAME", &["x"]);
        assert_eq!(list(" a , b,,"), ["a", "b"]);
        assert_eq!(list(" , "), ["x"]);
        assert_eq!(list(""), ["x"]);
        let read = |e: &mut Environment| e.word("NAME", 0, &[("text", 1), ("json", 2)]);
        check("", read, 0, None);
        check("JSON", read, 2, None);
        check("yaml", read, 0, Some("must be one of text, json"));
    }
}
