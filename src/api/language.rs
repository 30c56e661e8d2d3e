//! In which language we answer, and the catalogue of texts, one file a language.

use std::{collections::HashMap, convert::Infallible, fmt::Write as _, sync::LazyLock};

use axum::extract::FromRequestParts;
use http::{HeaderMap, header::ACCEPT_LANGUAGE, request::Parts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Chinese,
    English,
    Japanese,
}

type Catalogue = HashMap<String, String>;

static CHINESE: LazyLock<Catalogue> = LazyLock::new(|| read_catalogue(include_str!("texts/zh-CN.json")));
static ENGLISH: LazyLock<Catalogue> = LazyLock::new(|| read_catalogue(include_str!("texts/en-US.json")));
static JAPANESE: LazyLock<Catalogue> = LazyLock::new(|| read_catalogue(include_str!("texts/ja-JP.json")));

/// A test reads every file; a broken one would leave the keys themselves as texts.
fn read_catalogue(json: &str) -> Catalogue {
    serde_json::from_str(json).unwrap_or_default()
}

impl Language {
    /// The first listed language of a management request. Other paths are always answered in Chinese.
    fn wanted(path: &str, headers: &HeaderMap) -> Self {
        if !path.starts_with("/api/") {
            return Self::Chinese;
        }
        let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match wanted.trim_start().get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("en") => Self::English,
            Some("ja") => Self::Japanese,
            _ => Self::Chinese,
        }
    }

    fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::Chinese => &CHINESE,
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
        }
    }

    /// The text of a key with its placeholders filled in; a key without a text is said itself.
    pub(crate) fn say(self, key: &str, values: &[(&'static str, String)]) -> String {
        let Some(template) = self.catalogue().get(key) else { return key.to_owned() };
        fill(template, values)
    }
}

/// Replaces each `{name}` once, left to right, so that a value which looks like a placeholder stays as it is.
fn fill(template: &str, values: &[(&'static str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after_name)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => text.push_str(value),
            // Writing to a string cannot fail.
            None => _ = write!(text, "{{{name}}}"),
        }
        rest = after_name;
    }
    text.push_str(rest);
    text
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::wanted(parts.uri.path(), &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Language; 3] = [Language::Chinese, Language::English, Language::Japanese];

    #[track_caller]
    fn check(accept_language: &str, expected: Language) {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accept_language.parse().unwrap())]);
        assert_eq!(Language::wanted("/api/groups", &headers), expected);
    }

    #[test]
    fn the_first_listed_language_counts() {
        check("en-US,en;q=0.9,zh;q=0.8", Language::English);
        check("EN", Language::English);
        check("ja;q=0.1, en", Language::Japanese);
        check("zh-TW", Language::Chinese);
        check("fr, en", Language::Chinese);
        check("e", Language::Chinese);
        check("", Language::Chinese);
    }

    #[test]
    fn outside_the_management_api_texts_are_chinese() {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, "en".parse().unwrap())]);
        assert_eq!(Language::wanted("/proxy/team/api/integration/info", &headers), Language::Chinese);
    }

    #[test]
    fn values_fill_placeholders_and_are_not_read_again() {
        let values = [("key", "{count}".to_owned()), ("count", "3".to_owned())];
        assert_eq!(fill("a {key} b {count} {unknown} {", &values), "a {count} b 3 {unknown} {");
    }

    fn placeholders(template: &str) -> BTreeSet<&str> {
        template.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn the_three_catalogues_have_the_same_keys_and_placeholders() {
        let texts = |language: Language| -> Vec<_> {
            let mut all: Vec<_> =
                language.catalogue().iter().map(|(key, text)| (key.clone(), placeholders(text))).collect();
            all.sort();
            all
        };
        assert!(!texts(Language::English).is_empty());
        assert_eq!(texts(Language::English), texts(Language::Chinese));
        assert_eq!(texts(Language::English), texts(Language::Japanese));
        for language in ALL {
            assert!(language.catalogue().values().all(|text| !text.trim().is_empty()));
        }
    }

    /// Every text key that the rooms with messages mention, wherever it stands between quotes.
    fn keys_in_sources() -> BTreeSet<String> {
        const AREAS: [&str; 12] = [
            "auth",
            "common",
            "config",
            "dashboard",
            "database",
            "error",
            "group",
            "security",
            "success",
            "task",
            "validation",
            "settings",
        ];
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<_> = ["api", "group", "settings"].map(|room| sources.join(room)).into();
        let mut keys = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let source = std::fs::read_to_string(path).unwrap();
                    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
                    keys.extend(product.split('"').filter(|text| is_key(text, &AREAS)).map(str::to_owned));
                }
            }
        }
        keys
    }

    fn is_key(text: &str, areas: &[&str]) -> bool {
        let Some((area, name)) = text.split_once('.') else { return false };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        areas.contains(&area) && !name.is_empty() && name.chars().all(plain)
    }

    #[test]
    fn every_setting_has_a_name_and_a_description() {
        for setting in crate::settings::TABLE {
            assert!(ENGLISH.contains_key(setting.name_key), "{}", setting.key);
            assert!(ENGLISH.contains_key(&setting.description_key()), "{}", setting.key);
        }
    }

    #[test]
    fn every_key_in_the_sources_has_a_text_and_every_text_is_used() {
        let keys = keys_in_sources();
        assert!(keys.contains("common.success"));
        let missing: Vec<_> = keys.iter().filter(|key| !ENGLISH.contains_key(*key)).collect();
        assert!(missing.is_empty(), "no text for {missing:?}");
        let is_used = |key: &str| keys.contains(key) || keys.contains(key.trim_end_matches("_desc"));
        let unused: Vec<_> = ENGLISH.keys().filter(|key| !is_used(key)).collect();
        assert!(unused.is_empty(), "nobody says {unused:?}");
    }
}
