//! Settings that change without a restart.

mod list;
mod update;

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{
    HeaderValue,
    header::{ETAG, HeaderName, IF_MATCH},
    request::Parts,
};

use super::{Api, answer::OwnHeader};
use crate::settings;

pub(super) use self::{list::list, update::update};

/// Which version of the settings is shown, and which one a change is meant for.
pub(super) struct Version;

impl OwnHeader for Version {
    const NAME: HeaderName = ETAG;
    const DESCRIPTION: &'static str = "The version of the settings, for `If-Match`";
}

/// Of the settings that are in effect.
fn version(api: &Api) -> HeaderValue {
    let version = settings::version(&api.directory.current().settings);
    // Hexadecimal digits and quotes are allowed in a header.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The versions that a change is meant for; none: whichever there is.
pub(in crate::api) struct IfMatch(Option<String>);

impl IfMatch {
    /// Whether this version is among them; weak ones count as well.
    fn is_met_by(wanted: &str, version: &str) -> bool {
        wanted
            .split(',')
            .map(|wanted| wanted.trim().trim_start_matches("W/").trim_matches('"'))
            .any(|wanted| wanted == "*" || wanted == version)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let wanted = parts.headers.get(IF_MATCH).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_met_in_every_spelling_of_the_header() {
        for wanted in ["\"a\"", "*", "W/\"a\"", "\"b\", \"a\"", "a"] {
            assert!(IfMatch::is_met_by(wanted, "a"), "{wanted}");
        }
        for wanted in ["", "\"b\"", "\"aa\""] {
            assert!(!IfMatch::is_met_by(wanted, "a"), "{wanted}");
        }
    }
}
