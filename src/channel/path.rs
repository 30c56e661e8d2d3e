//! What a raw, still percent-encoded path says: its segments, the model in it, the dialect it belongs to.

use std::{borrow::Cow, ops::Range};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a model's name keeps inside a path segment. The colon is not among it: it separates the method.
const KEPT_IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// The segments between slashes, each with its place.
pub(super) fn segments(path: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut start = 0;
    path.split('/').map(move |segment| {
        let place = start..start + segment.len();
        start = place.end + 1;
        (place, segment)
    })
}

pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// A text that stands for itself within one path segment or one query value.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT_IN_SEGMENT).to_string()
}

/// The last segment, decoded; a slash at the end does not count.
pub(super) fn last_segment(path: &str) -> Cow<'_, str> {
    decoded(path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
}

/// Where the model stands in `…/models/{model}:{method}`.
pub(super) fn model(path: &str) -> Option<Range<usize>> {
    let mut segments = segments(path);
    segments.find(|(_, segment)| decoded(segment) == "models")?;
    let (place, segment) = segments.next()?;
    let length = [":", "%3A", "%3a"].iter().filter_map(|colon| segment.find(colon)).min().unwrap_or(segment.len());
    (length > 0).then(|| place.start..place.start + length)
}

/// Where the model stands in `…/deployments/{model}/…` and `…/engines/{model}/…`, by which some providers of OpenAI's
/// format name it.
pub(super) fn deployment(path: &str) -> Option<Range<usize>> {
    let mut segments = segments(path);
    segments.find(|(_, segment)| {
        let segment = decoded(segment).to_ascii_lowercase();
        segment == "deployments" || segment == "engines"
    })?;
    let (place, _) = segments.next()?;
    segments.next()?;
    Some(place)
}

/// Whether this is the path by which Gemini speaks OpenAI's format, `…/v1beta/openai/…`.
pub(super) fn is_openai_dialect_of_gemini(path: &str) -> bool {
    let mut before = "";
    segments(path).any(|(_, segment)| std::mem::replace(&mut before, segment).starts_with("v1") && segment == "openai")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_segment_behind_models_up_to_the_colon() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(model(path).map(|place| &path[place]), expected, "{path}");
        };
        check("/v1beta/models/gemini-2.5-pro:generateContent", Some("gemini-2.5-pro"));
        check("/v1beta/models/gemini-2.5-pro%3AgenerateContent", Some("gemini-2.5-pro"));
        check("/v1beta/models/org%2Fname:x:y", Some("org%2Fname"));
        check("/v1beta/%6dodels/a/b", Some("a"));
        check("/v1/projects/p/publishers/google/models/a:b", Some("a"));
        check("/v1beta/models", None);
        check("/v1beta/models/", None);
        check("/v1beta/models/:x", None);
        check("/v1beta/tunedModels/a:b", None);
    }

    #[test]
    fn the_openai_dialect_of_gemini_is_known_by_two_segments() {
        assert!(is_openai_dialect_of_gemini("/v1beta/openai/chat/completions"));
        assert!(is_openai_dialect_of_gemini("/base/v1beta/openai"));
        assert!(!is_openai_dialect_of_gemini("/v1beta/models/openai:generateContent"));
        assert!(!is_openai_dialect_of_gemini("/openai/v1beta"));
        assert!(!is_openai_dialect_of_gemini("/v1beta/openai-x"));
    }

    #[test]
    fn names_are_encoded_for_one_segment() {
        assert_eq!(encoded("org/na me:free%é-1.5_x~@"), "org%2Fna%20me%3Afree%25%C3%A9-1.5_x~@");
        assert_eq!(decoded(&encoded("org/na me:é")), "org/na me:é");
        assert_eq!(last_segment("/v1/%6dodels//"), "models");
    }
}
