//! What a request asks for, as far as its address tells: the model, a stream, the list of models.

use std::ops::Range;

use http::Method;

use super::{Channel, path};

impl Channel {
    /// Whether the path is one that names the model itself, so that the body's `model` decides nothing.
    pub(crate) fn takes_model_in_path(self, path: &str) -> bool {
        self == Self::Gemini && !path::is_openai_dialect_of_gemini(path)
    }

    /// Where the model stands in a raw path.
    pub(crate) fn model_in_path(self, path: &str) -> Option<Range<usize>> {
        if self.takes_model_in_path(path) { path::model(path) } else { None }
    }

    /// Where strict mode finds a model in a raw path, besides the place where redirects do.
    pub(crate) fn deployment_in_path(self, path: &str) -> Option<Range<usize>> {
        matches!(self, Self::OpenAi | Self::OpenAiResponse).then(|| path::deployment(path))?
    }

    /// Whether a path of Gemini's own calls upon a model, be it one that cannot be read from it.
    pub(crate) fn calls_model_by_path(self, path: &str) -> bool {
        const METHODS: [&str; 9] = [
            "generate",
            "streamgenerate",
            "embed",
            "batchembed",
            "batchgenerate",
            "asyncbatch",
            "count",
            "predict",
            "bidi",
        ];
        let last = path::last_segment(path).to_ascii_lowercase();
        let Some((_, method)) = last.rsplit_once(':') else { return false };
        self.takes_model_in_path(path) && METHODS.iter().any(|beginning| method.starts_with(beginning))
    }

    /// Whether path or query ask for an answer in pieces; a body may as well.
    pub(crate) fn wants_stream(self, path: &str, query: Option<&str>) -> bool {
        let is_asked_by_path =
            self.takes_model_in_path(path) && path::last_segment(path).ends_with(":streamGenerateContent");
        let is_asked_by_query = || query.is_some_and(|query| query.split('&').any(|pair| pair == "stream=true"));
        is_asked_by_path || is_asked_by_query()
    }

    /// Whether this asks which models there are.
    pub(crate) fn is_model_list(self, method: &Method, path: &str) -> bool {
        method == Method::GET && path::last_segment(path) == "models"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_by_path_or_query() {
        let check = |channel: Channel, path: &str, query: Option<&str>, expected: bool| {
            assert_eq!(channel.wants_stream(path, query), expected, "{path} {query:?}");
        };
        check(Channel::Gemini, "/v1beta/models/a:streamGenerateContent", None, true);
        check(Channel::Gemini, "/v1beta/models/a%3AstreamGenerateContent", None, true);
        check(Channel::Gemini, "/v1beta/models/a:generateContent", None, false);
        check(Channel::OpenAi, "/v1/models/a:streamGenerateContent", None, false);
        check(Channel::OpenAi, "/v1/x", Some("a=1&stream=true"), true);
        check(Channel::OpenAi, "/v1/x", Some("upstream=true&stream=1"), false);
        check(Channel::OpenAi, "/v1/x", None, false);
    }

    #[test]
    fn only_native_gemini_paths_name_the_model() {
        assert!(Channel::Gemini.model_in_path("/v1beta/models/a:generateContent").is_some());
        assert!(Channel::Gemini.model_in_path("/v1beta/openai/models/a").is_none());
        assert!(Channel::OpenAi.model_in_path("/v1/models/a").is_none());
        assert!(Channel::Gemini.takes_model_in_path("/v1beta/models"));
        assert!(!Channel::Anthropic.takes_model_in_path("/v1/models/a"));
    }

    #[test]
    fn a_path_that_calls_a_model_is_known_by_its_method() {
        for path in ["/v1beta/models/a:generateContent", "/v1beta/x/a%3AstreamGenerateContent", "/v1/a:countTokens"] {
            assert!(Channel::Gemini.calls_model_by_path(path), "{path}");
            assert!(!Channel::OpenAi.calls_model_by_path(path), "{path}");
        }
        for path in
            ["/v1beta/models", "/v1beta/files/a:download", "/v1beta/openai/x:generate", "/v1beta/batches/a:cancel"]
        {
            assert!(!Channel::Gemini.calls_model_by_path(path), "{path}");
        }
        let place = |path: &str| Channel::OpenAi.deployment_in_path(path).map(|place| path[place].to_owned());
        assert_eq!(place("/openai/deployments/a/chat/completions").as_deref(), Some("a"));
        assert_eq!(place("/v1/%65ngines/a%2Fb/completions").as_deref(), Some("a%2Fb"));
        assert_eq!(place("/openai/deployments/a"), None);
        assert_eq!(Channel::Anthropic.deployment_in_path("/x/deployments/a/b"), None);
    }

    #[test]
    fn model_lists_are_known_by_the_end_of_the_path() {
        for path in [
            "/v1/models",
            "/models",
            "/v1beta/models/",
            "/v1beta/openai/models",
            "/v1beta/openai/v1/models",
            "/v1/%6dodels",
        ] {
            assert!(Channel::Gemini.is_model_list(&Method::GET, path), "{path}");
        }
        for path in ["/v1/models/a", "/v1/supermodels", "/", ""] {
            assert!(!Channel::OpenAi.is_model_list(&Method::GET, path), "{path}");
        }
        assert!(!Channel::OpenAi.is_model_list(&Method::POST, "/v1/models"));
    }
}
