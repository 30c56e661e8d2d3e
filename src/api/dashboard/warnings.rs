//! Secrets that are easily guessed, as the operator is warned of them. None of them is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{api::language::Language, crypto::Secret};

/// Below these lengths a secret is too short, or short.
const LENGTH_BYTES_MIN: usize = 16;
const LENGTH_BYTES_GOOD: usize = 32;
/// Of capital letters, small letters, digits and all else, a secret should have so many.
const CLASSES_MIN: usize = 3;
/// What is guessed first; one that is found hides those behind it.
const PATTERNS: [&str; 18] = [
    "password",
    "123456",
    "admin",
    "secret",
    "test",
    "demo",
    "sk-123456",
    "key",
    "token",
    "pass",
    "pwd",
    "qwerty",
    "abc",
    "default",
    "user",
    "login",
    "auth",
    "temp",
];

#[derive(Debug, Serialize, PartialEq, Eq, ToSchema)]
#[schema(as = SecurityWarning)]
pub(super) struct Warning {
    /// Which secret.
    r#type: String,
    message: String,
    /// `high` or `medium`.
    severity: &'static str,
    suggestion: String,
}

/// Of all secrets: `global` are the proxy keys that open every group, `of_groups` names of groups with their own.
pub(super) fn warnings(
    language: Language,
    auth_key: &Secret,
    encryption_key: Option<&Secret>,
    global: &str,
    of_groups: &[(String, String)],
) -> Vec<Warning> {
    let say = |key: &'static str| language.say(key, &[]);
    let mut all = check("AUTH_KEY", auth_key.expose(), language);
    match encryption_key {
        Some(key) => all.extend(check("ENCRYPTION_KEY", key.expose(), language)),
        None => all.push(Warning {
            r#type: "ENCRYPTION_KEY".to_owned(),
            message: say("dashboard.encryption_key_missing"),
            severity: "high",
            suggestion: say("dashboard.encryption_key_recommended"),
        }),
    }
    for (number, key) in listed(global) {
        all.extend(check(&format!("{} #{number}", say("dashboard.global_proxy_key")), key, language));
    }
    for (name, keys) in of_groups {
        for (number, key) in listed(keys) {
            all.extend(check(&format!("{} [{name}] #{number}", say("dashboard.group_proxy_key")), key, language));
        }
    }
    all
}

/// The keys of a list with their positions, which blank ones count in.
fn listed(keys: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(keys.split(',').map(str::trim)).filter(|(_, key)| !key.is_empty())
}

fn check(kind: &str, secret: &str, language: Language) -> Vec<Warning> {
    let length = secret.len();
    let mut found = Vec::new();
    let mut warn = |severity, message: &str, value: Option<(&'static str, String)>, suggestion: &str| {
        let mut values = vec![("keyType", kind.to_owned())];
        values.extend(value);
        found.push(Warning {
            r#type: kind.to_owned(),
            message: language.say(message, &values),
            severity,
            suggestion: language.say(suggestion, &[]),
        });
    };
    let shown_length = Some(("length", length.to_string()));
    if length < LENGTH_BYTES_MIN {
        warn("high", "security.password_too_short", shown_length, "security.password_recommendation_16");
    } else if length < LENGTH_BYTES_GOOD {
        warn("medium", "security.password_short", shown_length, "security.password_recommendation_32");
    }
    let lower = secret.to_lowercase();
    if let Some(pattern) = PATTERNS.into_iter().find(|pattern| lower.contains(pattern)) {
        let pattern = Some(("pattern", pattern.to_owned()));
        warn("high", "security.password_weak_pattern", pattern, "security.password_avoid_common");
    }
    if length >= LENGTH_BYTES_MIN && classes(secret) < CLASSES_MIN {
        warn("medium", "security.password_low_complexity", None, "security.password_complexity");
    }
    found
}

fn classes(secret: &str) -> usize {
    let classes: [fn(&char) -> bool; 4] =
        [char::is_ascii_uppercase, char::is_ascii_lowercase, char::is_ascii_digit, |character| {
            !character.is_ascii_alphanumeric()
        }];
    classes.iter().filter(|is_of| secret.chars().any(|character| is_of(&character))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(secret: &str, expected: &[&str]) {
        let found: Vec<_> = check("T", secret, Language::English)
            .into_iter()
            .map(|warning| format!("{} {}", warning.severity, warning.message))
            .collect();
        assert_eq!(found, expected, "{secret}");
    }

    const TOO_SHORT: &str = "high T is too short: 15 bytes";
    const SHORT_16: &str = "medium T is rather short: 16 bytes";
    const SIMPLE: &str = "medium T consists of too few kinds of characters";

    #[test]
    fn a_secret_can_have_three_faults() {
        finds("xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3:", &[]);
        finds("xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3", &["medium T is rather short: 31 bytes"]);
        finds("xK7-mQ2_vB9.zR4+", &[SHORT_16]);
        finds("xK7-mQ2_vB9.zR4", &[TOO_SHORT]);
        finds("", &["high T is too short: 0 bytes"]);
        finds("xxxxxxxxxxxxxxxx", &[SHORT_16, SIMPLE]);
        finds("MyPassWord-xxxxx", &[SHORT_16, "high T contains \"password\", which is guessed first"]);
        finds("passwordpassword", &[SHORT_16, "high T contains \"password\", which is guessed first", SIMPLE]);
        finds("sk-123456", &["high T is too short: 9 bytes", "high T contains \"123456\", which is guessed first"]);
        finds("TEMP", &["high T is too short: 4 bytes", "high T contains \"temp\", which is guessed first"]);
    }

    #[test]
    fn length_is_in_bytes_and_all_but_ascii_letters_and_digits_is_one_class() {
        finds("密钥密钥密", &[TOO_SHORT]);
        finds("密钥密钥密钥", &["medium T is rather short: 18 bytes", SIMPLE]);
        finds("密钥密钥密钥a1", &["medium T is rather short: 20 bytes"]);
    }

    #[test]
    fn secrets_are_named_by_their_place() {
        let good = "xK7-mQ2_vB9.zR4+hW8!gN1?fL5*jD3:";
        let of = |language, encryption_key, global: &str, of_groups: &[(&str, &str)]| -> Vec<String> {
            let of_groups: Vec<_> = of_groups.iter().map(|(name, keys)| ((*name).into(), (*keys).into())).collect();
            let encryption_key = Some(Secret::new(encryption_key)).filter(|key| !key.expose().is_empty());
            warnings(language, &Secret::new(good), encryption_key.as_ref(), global, &of_groups)
                .into_iter()
                .map(|warning| warning.r#type)
                .collect()
        };
        let groups: &[_] = &[("team", "short,,"), ("other", good), ("third", " , x")];
        assert_eq!(
            of(Language::English, "", &format!("{good}, short,,x"), groups),
            [
                "ENCRYPTION_KEY",
                "Global proxy key #2",
                "Global proxy key #4",
                "Proxy key of group [team] #1",
                "Proxy key of group [third] #2"
            ]
        );
        assert_eq!(of(Language::English, "x", "", &[]), ["ENCRYPTION_KEY"]);
        assert_eq!(of(Language::English, good, good, &[]), [""; 0]);
        assert_eq!(of(Language::Chinese, good, "x", &[("a", "y")]), ["全局代理密钥 #1", "分组代理密钥 [a] #1"]);
        assert_eq!(of(Language::Japanese, good, "x", &[]), ["共通プロキシキー #1"]);
    }
}
