//! The request that shows whether a key works, as small as the channel allows.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Channel, path};

/// Output limit of a test where no other is needed. OpenAI's Responses take no smaller one.
const OUTPUT_TOKENS_MAX: u32 = 16;
/// OpenAI's reasoning models think within the limit, and refuse a request when it leaves no room for an answer.
const REASONING_OUTPUT_TOKENS_MAX: u32 = 256;

/// What a stored endpoint may not carry unencoded into a request line.
const NOT_IN_REQUEST_LINE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A request without its credential: that is added by [`Channel::sign`].
#[derive(Debug)]
pub(crate) struct TestRequest {
    pub(crate) method: Method,
    /// To follow the base URL's path.
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Channel {
    /// The test of a key with this model at this endpoint, which may be empty. The endpoint decides the form of the
    /// body, so that embeddings and other dialects can be tested too, and the free list of models; `{model}` in it
    /// stands for the model.
    pub(crate) fn test_request(self, model: &str, endpoint: &str) -> TestRequest {
        let endpoint = match (endpoint, self) {
            ("", Self::Gemini) => "/v1beta/models/{model}:generateContent",
            ("", _) => self.default_validation_endpoint(),
            (given, _) => given,
        };
        let name_in_path = if self == Self::Gemini { model.trim_start_matches("models/") } else { model };
        let endpoint = endpoint.replace("{model}", &path::encoded(name_in_path));
        let path = endpoint.split('?').next().unwrap_or_default();
        let body = self.test_body(path, model);
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        TestRequest {
            method: if body.is_some() { Method::POST } else { Method::GET },
            path_and_query: utf8_percent_encode(&endpoint, NOT_IN_REQUEST_LINE).to_string(),
            headers,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    /// `None`: the endpoint only lists.
    fn test_body(self, path: &str, model: &str) -> Option<Value> {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let last = path::last_segment(path);
        let is_chat = path.contains("chat/completions");
        Some(match last.rsplit(':').next().unwrap_or_default() {
            "models" => return None,
            "completions" if is_chat => chat(model, &messages),
            "completions" => json!({"model": model, "prompt": "hi", "max_tokens": OUTPUT_TOKENS_MAX}),
            "responses" => json!({"model": model, "input": "hi", "max_output_tokens": OUTPUT_TOKENS_MAX}),
            "messages" => json!({"model": model, "max_tokens": 1, "messages": messages}),
            "embeddings" | "moderations" => json!({"model": model, "input": "hi"}),
            "count_tokens" => json!({"model": model, "messages": messages}),
            "countTokens" => json!({"contents": gemini_contents()}),
            "embedContent" => json!({"content": {"parts": [{"text": "hi"}]}}),
            "generateContent" | "streamGenerateContent" => gemini(),
            // An address of the operator's own choice: what the channel speaks by itself.
            _ => match self {
                Self::OpenAi => chat(model, &messages),
                Self::OpenAiResponse => json!({"model": model, "input": "hi", "max_output_tokens": OUTPUT_TOKENS_MAX}),
                Self::Gemini => gemini(),
                Self::Anthropic => json!({"model": model, "max_tokens": 1, "messages": messages}),
            },
        })
    }
}

/// OpenAI's reasoning models refuse `max_tokens`; many compatible servers do not know `max_completion_tokens`, and
/// strict ones refuse what they do not know. So the name decides.
fn chat(model: &str, messages: &Value) -> Value {
    if is_openai_reasoning_model(model) {
        json!({"model": model, "messages": messages, "max_completion_tokens": REASONING_OUTPUT_TOKENS_MAX})
    } else {
        json!({"model": model, "messages": messages, "max_tokens": OUTPUT_TOKENS_MAX})
    }
}

/// `o1`, `o4-mini`, `gpt-5` and what follows them, also behind a vendor's prefix.
fn is_openai_reasoning_model(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let starts_with_number = |text: &str, least: u32| {
        let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        text[..digits].parse::<u32>().is_ok_and(|number| number >= least)
    };
    name.strip_prefix('o').is_some_and(|rest| starts_with_number(rest, 1))
        || name.strip_prefix("gpt-").is_some_and(|rest| starts_with_number(rest, 5))
}

fn gemini_contents() -> Value {
    json!([{"role": "user", "parts": [{"text": "hi"}]}])
}

fn gemini() -> Value {
    json!({"contents": gemini_contents(), "generationConfig": {"maxOutputTokens": OUTPUT_TOKENS_MAX}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_limit_is_named_as_the_model_wants_it() {
        for model in ["o1", "o3-mini", "gpt-5", "gpt-5.1-codex", "gpt-10", "openai/gpt-5-nano"] {
            assert!(is_openai_reasoning_model(model), "{model}");
        }
        for model in ["gpt-4.1-nano", "gpt-4o", "gpt-oss-120b", "omni-moderation", "qwen3", "o", "gpt-", "deepseek/r1"]
        {
            assert!(!is_openai_reasoning_model(model), "{model}");
        }
    }

    #[test]
    fn a_list_of_models_is_only_read() {
        let request = Channel::OpenAi.test_request("m", "/v1/models?x=1");
        assert_eq!((request.method, request.path_and_query.as_str()), (Method::GET, "/v1/models?x=1"));
        assert!(request.body.is_empty() && !request.headers.contains_key(CONTENT_TYPE));
    }

    #[test]
    fn what_is_typed_reaches_the_request_line_encoded() {
        let path = |channel: Channel, model: &str, endpoint: &str| channel.test_request(model, endpoint).path_and_query;
        assert_eq!(path(Channel::Gemini, "models/a b/c", ""), "/v1beta/models/a%20b%2Fc:generateContent");
        assert_eq!(path(Channel::Gemini, "a", "/v1/models/{model}:countTokens"), "/v1/models/a:countTokens");
        assert_eq!(path(Channel::OpenAi, "a/b", "/deploy/{model}/x?v=1 2#é"), "/deploy/a%2Fb/x?v=1%202%23%C3%A9");
        assert_eq!(path(Channel::OpenAi, "a", "/%2F"), "/%2F");
    }
}
