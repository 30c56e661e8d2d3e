//! Values of settings: as they are typed, as they are stored, and why one is refused.

use std::fmt;

use serde_json::{Map, Number, Value as Json};

use super::{Setting, Settings};

/// The value of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Count(u64),
    Switch(bool),
    Text(String),
}

impl Value {
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Count(number) => Json::from(*number),
            Self::Switch(on) => Json::from(*on),
            Self::Text(text) => Json::from(text.as_str()),
        }
    }
}

/// The stored form: plain decimal, `true` or `false`, or the text itself.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(number) => number.fmt(f),
            Self::Switch(on) => on.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A checked new value.
pub(crate) type Change = (&'static Setting, Value);

/// Every database takes a text of this length.
pub(crate) const TEXT_CHARACTERS_MAX: usize = 16_000;

/// Checks the wanted settings, all of them before any is saved, and leaves out those that are `current`: a console sends
/// every setting back, also one that an old version let through.
///
/// # Errors
/// The text for the caller.
pub(crate) fn changes(wanted: &Map<String, Json>, current: &Settings) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    for (key, value) in wanted {
        let setting = Setting::find(key).ok_or_else(|| format!("invalid setting key: {key}"))?;
        if setting.current(current).to_json() != *value {
            changes.push((setting, setting.parse_json(value)?));
        }
    }
    Ok(changes)
}

impl Setting {
    /// The meaning of a JSON value, if it is one that the setting can have.
    pub(super) fn parse_json(&self, value: &Json) -> Result<Value, String> {
        let key = self.key;
        let wrong_type = |expected| format!("invalid type for {key}: expected {expected}, got {}", type_word(value));
        let parsed = match self.default() {
            Value::Count(_) => {
                let Json::Number(number) = value else { return Err(wrong_type("a number")) };
                Value::Count(self.check_number(number)?)
            }
            Value::Switch(_) => Value::Switch(value.as_bool().ok_or_else(|| wrong_type("a boolean"))?),
            Value::Text(_) => {
                let text = value.as_str().ok_or_else(|| wrong_type("a string"))?;
                if text.contains('\0') {
                    // No database stores it faithfully.
                    return Err(format!("invalid value for {key}: it contains the character U+0000"));
                }
                if text.chars().count() > TEXT_CHARACTERS_MAX {
                    return Err(format!("value for {key} has more than {TEXT_CHARACTERS_MAX} characters"));
                }
                let text = if key == "proxy_keys" { normalise_list(text) } else { text.to_owned() };
                if self.is_required() && text.trim().is_empty() {
                    return Err(format!("value for {key} is required"));
                }
                // Only when it is saved: a stored one that is no URL is still shown to the operator.
                if key == "app_url" && !is_web_address(&text) {
                    return Err(format!(
                        "invalid value for {key}: it must begin with http:// or https:// and name a host"
                    ));
                }
                Value::Text(text)
            }
        };
        self.write(&mut Settings::default(), &parsed)?;
        Ok(parsed)
    }

    /// The meaning of a stored text, and what the operator should know about it.
    pub(super) fn parse_stored(&self, text: &str) -> Result<(Value, Option<String>), String> {
        match self.default() {
            Value::Count(_) => {
                let number: i64 = text.trim().parse().map_err(|_| "it is not a whole number".to_owned())?;
                let (minimum, maximum) = self.bounds().unwrap_or((0, u64::MAX));
                let number = u64::try_from(number).ok().filter(|number| *number >= minimum);
                let number = number.ok_or_else(|| format!("it is below the minimum of {minimum}"))?;
                let warning = (number > maximum).then(|| format!("it is above the maximum, {maximum} is in effect"));
                Ok((Value::Count(number.min(maximum)), warning))
            }
            Value::Switch(_) => match text.trim() {
                "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok((Value::Switch(true), None)),
                "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok((Value::Switch(false), None)),
                _ => Err("it is neither true nor false".to_owned()),
            },
            Value::Text(_) => Ok((Value::Text(text.to_owned()), None)),
        }
    }

    fn check_number(&self, number: &Number) -> Result<u64, String> {
        let key = self.key;
        let (minimum, maximum) = self.bounds().unwrap_or((0, u64::MAX));
        let whole = whole(number).ok_or_else(|| format!("invalid value for {key}: must be an integer"))?;
        let Some(whole) = u64::try_from(whole).ok().filter(|whole| *whole >= minimum) else {
            return Err(format!("value for {key} ({number}) is below minimum value ({minimum})"));
        };
        if whole > maximum {
            return Err(format!("value for {key} ({number}) is above maximum value ({maximum})"));
        }
        Ok(whole)
    }
}

/// The value of a number without fraction, however it is written (`3`, `3.0`, `1e2`); huge ones are cut, which every
/// bound refuses alike.
fn whole(number: &Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let value = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates, which is what is wanted")]
    (value.fract() == 0.0).then_some(value as i64)
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text.trim()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Splits a comma-separated list, drops blanks, and joins it again.
fn normalise_list(text: &str) -> String {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>().join(",")
}

/// The word for a kind of JSON value that callers of the original know from its messages.
fn type_word(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}
