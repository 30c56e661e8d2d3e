//! OpenAI's format: chat completions, embeddings, models, files, images, audio.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Answer, Chat, Memory, Pace, REPLY, Request, TOOL_ARGUMENTS, event, framed, not_found, piece, responses, upload,
};

/// The answer to a plain chat request, ready to be sent.
const PLAIN_CHAT: &str = r#"{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"mock-small","choices":[{"index":0,"message":{"role":"assistant","content":"Hello from the mock upstream.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":6,"total_tokens":16}}"#;
/// Under load only the beginning of a body is searched for the wish to stream.
const STREAM_SEARCH_BYTES: usize = 512;
/// Eight numbers that survive every way of writing a float.
const EMBEDDING: [f32; 8] = [0.0, 0.25, 0.5, -0.5, 1.0, -1.0, 0.125, 2.0];

pub(super) fn usual(request: &Request, pace: &Pace, memory: &Memory) -> Answer {
    let path = request.head.path();
    let method = request.head.method();
    let last = path.rsplit('/').next().unwrap_or_default();
    match (method, last) {
        ("POST", "responses") => responses::answer(request, pace),
        ("POST", "embeddings") => embeddings(request),
        ("GET", "models") => models(&memory.options.models),
        ("GET", model) if path.ends_with(&format!("/models/{model}")) => Answer::json(200, &model_object(model)),
        ("POST", "files") => upload::openai_file(request),
        ("POST", _) if path.contains("/images/") => {
            let image = BASE64.encode(b"\x89PNG mock");
            Answer::json(200, &json!({ "created": 1_700_000_000, "data": [{ "b64_json": image }] }))
        }
        ("POST", "transcriptions" | "translations") => Answer::json(200, &json!({ "text": REPLY })),
        ("POST", "speech") => Answer::whole(200, "audio/mpeg", Bytes::from_static(b"ID3\x04 mock audio \xff\xfb\x00")),
        _ => not_found(request),
    }
}

/// Chat completions; `thorough` reads the request as JSON, otherwise only a wish to stream is looked for.
pub(super) fn chat(request: &Request, pace: &Pace, thorough: bool) -> Answer {
    let chat = if thorough {
        Chat::of(request)
    } else {
        let beginning = &request.body[..request.body.len().min(STREAM_SEARCH_BYTES)];
        let stream = memchr::memmem::find(beginning, br#""stream":true"#).is_some();
        if !stream {
            return Answer::whole(200, "application/json", Bytes::from_static(PLAIN_CHAT.as_bytes()));
        }
        Chat { model: "mock-small".to_owned(), stream, ..Chat::default() }
    };
    if chat.stream { chat_stream(&chat, pace) } else { chat_whole(&chat) }
}

fn chat_whole(chat: &Chat) -> Answer {
    let message = match chat.tool() {
        Some(name) => json!({ "role": "assistant", "content": null, "tool_calls": [tool_call(name, TOOL_ARGUMENTS)] }),
        None => json!({ "role": "assistant", "content": REPLY, "refusal": null }),
    };
    let reason = if chat.tool().is_some() { "tool_calls" } else { "stop" };
    let body = json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1_700_000_000, "model": chat.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }],
        "usage": usage(6),
    });
    Answer::json(200, &body).with("X-Request-Id", "req-mock")
}

fn chat_stream(chat: &Chat, pace: &Pace) -> Answer {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        event("", &chunk_object(chat, json!([choice])))
    };
    let (before, pieces, reason): (_, Vec<String>, _) = match chat.tool() {
        Some(name) => {
            let mut call = tool_call(name, "");
            call["index"] = 0.into();
            let before = chunk(json!({ "role": "assistant", "content": null, "tool_calls": [call] }), Value::Null);
            let halves = TOOL_ARGUMENTS.split_at(TOOL_ARGUMENTS.len() / 2);
            let argument = |half: &str| {
                let delta = json!({ "tool_calls": [{ "index": 0, "function": { "arguments": half } }] });
                chunk(delta, Value::Null)
            };
            (before, vec![argument(halves.0), argument(halves.1)], "tool_calls")
        }
        None => {
            let before = chunk(json!({ "role": "assistant", "content": "" }), Value::Null);
            let pieces = (0..pace.chunks).map(|index| chunk(json!({ "content": piece(index, pace) }), Value::Null));
            (before, pieces.collect(), "stop")
        }
    };
    let mut after = chunk(json!({}), reason.into());
    if chat.stream_options["include_usage"] == true {
        let mut last = chunk_object(chat, json!([]));
        last["usage"] = usage(pieces.len());
        after.push_str(&event("", &last));
    }
    after.push_str("data: [DONE]\n\n");
    Answer::stream("text/event-stream", framed(before, pieces, &after, pace), pace.gap).with("X-Request-Id", "req-mock")
}

fn chunk_object(chat: &Chat, choices: Value) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1_700_000_000,
        "model": chat.model, "choices": choices,
    })
}

fn tool_call(name: &str, arguments: &str) -> Value {
    json!({ "id": "call_mock", "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn usage(completion: usize) -> Value {
    json!({ "prompt_tokens": 10, "completion_tokens": completion, "total_tokens": 10 + completion })
}

fn embeddings(request: &Request) -> Answer {
    let chat = Chat::of(request);
    let embedding = if chat.encoding_format == "base64" {
        let bytes: Vec<u8> = EMBEDDING.iter().flat_map(|number| number.to_le_bytes()).collect();
        json!(BASE64.encode(bytes))
    } else {
        json!(EMBEDDING)
    };
    let count = chat.input.as_array().filter(|inputs| inputs.iter().all(Value::is_string)).map_or(1, Vec::len);
    let data = (0..count).map(|index| json!({ "object": "embedding", "index": index, "embedding": embedding }));
    let body = json!({
        "object": "list", "data": data.collect::<Vec<_>>(), "model": chat.model,
        "usage": { "prompt_tokens": 4, "total_tokens": 4 },
    });
    Answer::json(200, &body)
}

fn models(names: &[String]) -> Answer {
    let data: Vec<Value> = names.iter().map(|name| model_object(name)).collect();
    Answer::json(200, &json!({ "object": "list", "data": data }))
}

fn model_object(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 1_700_000_000, "owned_by": "mock" })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        403 => ("invalid_request_error", json!("permission_denied")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", Value::Null),
        _ => ("server_error", Value::Null),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
