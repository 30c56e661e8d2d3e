//! The parameters of a URL, decoded.

use std::{convert::Infallible, marker::PhantomData};

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{document::Shape, refusal::Refusal};

/// What is asked for in the query, of which `P` says what the handler looks at.
pub(crate) struct Query<P = ()>(Vec<(String, String)>, PhantomData<fn(P)>);

/// The parameters that a handler looks at.
pub(crate) trait Parameters {
    fn shape() -> Shape;
}

impl Query {
    pub(crate) fn of(uri: &http::Uri) -> Self {
        Self::read(uri)
    }
}

impl<P> Query<P> {
    fn read(uri: &http::Uri) -> Self {
        let raw = uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect(), PhantomData)
    }

    /// The first value of that name, unless it is empty.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

impl<P, S: Send + Sync> FromRequestParts<S> for Query<P> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.uri))
    }
}

/// What the first value of that name says. `wanted` is said to whoever sent something else.
pub(crate) fn read<P, T>(
    query: &Query<P>,
    name: &'static str,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(text) = query.first(name) else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| {
        let values = [("field", name.to_owned()), ("wanted", wanted.to_owned())];
        Refusal::bad_request(("validation.invalid_parameter", values))
    })
}

/// In every form that the original takes.
pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The query as it may be logged: credentials and keys are left out, however their names are encoded.
pub(crate) fn without_secrets(query: &str) -> String {
    const SECRET: [&str; 5] = ["key", "key_value", "q", "search", "ticket"];
    let shown = query.split('&').map(|pair| {
        let raw_name = pair.split('=').next().unwrap_or_default();
        let is_secret =
            url::form_urlencoded::parse(raw_name.as_bytes()).next().is_some_and(|(name, _)| SECRET.contains(&&*name));
        if is_secret { format!("{raw_name}=***") } else { pair.to_owned() }
    });
    shown.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_none() {
        let query = Query::of(&"/x?a=1&a=2&b=&c=%E4%B8%AD+x".parse().unwrap());
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.first("b"), None);
        assert_eq!(query.first("c"), Some("中 x"));
        assert_eq!(query.first("d"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(without_secrets("page=2&key=sk-1&x"), "page=2&key=***&x");
        assert_eq!(without_secrets("%6bey=sk-1&key_value=sk-2"), "%6bey=***&key_value=***");
        assert_eq!(without_secrets("keys=1&search=sk-1&sort=id"), "keys=1&search=***&sort=id");
        assert_eq!(without_secrets("group_id=1&ticket=1.ab&q=sk-1"), "group_id=1&ticket=***&q=***");
        assert_eq!(without_secrets("keys=1"), "keys=1");
    }
}
