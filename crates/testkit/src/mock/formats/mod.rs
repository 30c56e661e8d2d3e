//! The usual answer of every endpoint that the mock upstream plays, chosen by method and path.

mod anthropic;
mod gemini;
mod openai;
mod responses;
mod upload;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Pace, STAMP_PLACEHOLDER};
use super::memory::Memory;
use super::request::Request;
pub(crate) use upload::Upload;

/// What the mock says when it is not asked to stream.
const REPLY: &str = "Hello from the mock upstream.";
/// The arguments of every tool call.
const TOOL_ARGUMENTS: &str = r#"{"city":"Paris"}"#;

/// What the answers depend on in a chat request of any format.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Chat {
    model: String,
    stream: bool,
    stream_options: Value,
    tools: Vec<Value>,
    messages: Vec<Value>,
    input: Value,
    contents: Vec<Value>,
    encoding_format: String,
    requests: Vec<Value>,
}

impl Chat {
    fn of(request: &Request) -> Self {
        serde_json::from_slice(&request.body).unwrap_or_default()
    }

    /// The name of the tool to call: the first, unless its result is there already.
    fn tool(&self) -> Option<&str> {
        let tool = self.tools.first()?;
        let items = [&self.messages[..], &self.contents, self.input.as_array().map_or(&[][..], Vec::as_slice)].concat();
        let last = items.last().map(Value::to_string).unwrap_or_default();
        let marks = [r#""role":"tool""#, r#""type":"tool_result""#, "function_call_output", "functionResponse"];
        if marks.iter().any(|mark| last.contains(mark)) {
            return None;
        }
        let name = tool["function"]["name"].as_str().or_else(|| tool["name"].as_str());
        name.or_else(|| tool["functionDeclarations"][0]["name"].as_str())
    }
}

/// The API that a request belongs to.
#[derive(Clone, Copy)]
enum Api {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Api {
    fn of(request: &Request) -> Self {
        let path = request.head.path();
        // Newer Google SDKs say `/v1/` like everybody else; their key header gives them away.
        let native = ["/v1beta/", "/v1alpha/", "/upload/"].iter().any(|mark| path.contains(mark))
            || request.head.header("x-goog-api-key").is_some()
            || path.contains("/models/") && path.contains(':');
        if native && !path.contains("/openai/") {
            Self::Gemini
        } else if request.head.header("anthropic-version").is_some() || path.contains("/messages") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

/// What a well upstream answers.
pub(crate) fn usual(request: &Request, pace: &Pace, memory: &Memory) -> Answer {
    let path = request.head.path();
    // The path of most load tests comes first.
    if path.ends_with("/chat/completions") {
        return openai::chat(request, pace, memory.options.record);
    }
    if path.ends_with("/echo") {
        return echo(request);
    }
    match Api::of(request) {
        Api::OpenAi => openai::usual(request, pace, memory),
        Api::Anthropic => anthropic::usual(request, pace, memory),
        Api::Gemini => gemini::usual(request, pace, memory),
    }
}

/// An error body in the format of the endpoint.
pub(crate) fn error(request: &Request, status: u16) -> Answer {
    let message = format!("The mock upstream was told to answer {status}.");
    let body = match Api::of(request) {
        Api::OpenAi => openai::error_body(status, &message),
        Api::Anthropic => anthropic::error_body(status, &message),
        Api::Gemini => gemini::error_body(status, &message),
    };
    Answer::json(status, &body).with("X-Request-Id", "req-mock")
}

fn not_found(request: &Request) -> Answer {
    error(request, 404)
}

/// The request as it arrived.
fn echo(request: &Request) -> Answer {
    Answer::json(
        200,
        &json!({
            "method": request.head.method(),
            "target": request.head.target(),
            "headers": request.head.headers(),
            "body_bytes": request.body_bytes,
            "body_sha256": request.body_sha256,
        }),
    )
}

/// The text of content chunk `index`: its number and, if wanted, a place for the moment of sending.
fn piece(index: usize, pace: &Pace) -> String {
    if pace.stamped { format!("{index}@{STAMP_PLACEHOLDER} ") } else { format!("{index} ") }
}

/// Server-sent event with JSON data, and with a name if there is one.
fn event(name: &str, data: &Value) -> String {
    if name.is_empty() { format!("data: {data}\n\n") } else { format!("event: {name}\ndata: {data}\n\n") }
}

/// One frame per content chunk: what comes before joins the first, what comes after the last.
fn framed(
    before: String,
    pieces: impl IntoIterator<Item = String>,
    after: &str,
    pace: &Pace,
) -> Vec<super::answer::Frame> {
    let mut texts: Vec<String> = pieces.into_iter().collect();
    match texts.first_mut() {
        Some(first) => first.insert_str(0, &before),
        None => texts.push(before),
    }
    if let Some(last) = texts.last_mut() {
        last.push_str(after);
    }
    texts.into_iter().map(|text| super::answer::Frame::new(text, pace.stamped)).collect()
}
