//! Gemini's native format: content, streamed content as events or as an array, embeddings, models, files.

use serde_json::{Value, json};

use super::{Answer, Chat, Memory, Pace, REPLY, Request, TOOL_ARGUMENTS, event, framed, not_found, piece, upload};

pub(super) fn usual(request: &Request, pace: &Pace, memory: &Memory) -> Answer {
    let path = request.head.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    let (model, verb) = last.split_once(':').unwrap_or((last, ""));
    match (request.head.method(), verb) {
        ("POST", "generateContent") => Answer::json(200, &content(request, model)),
        ("POST", "streamGenerateContent") => stream(request, model, pace),
        ("POST", "embedContent") => Answer::json(200, &json!({ "embedding": embedding() })),
        ("POST", "batchEmbedContents") => {
            let count = Chat::of(request).requests.len().max(1);
            Answer::json(200, &json!({ "embeddings": vec![embedding(); count] }))
        }
        ("POST", "countTokens") => Answer::json(200, &json!({ "totalTokens": 10 })),
        ("POST", "") if path.contains("/upload/") => upload::gemini_file(request, memory),
        ("GET", "") if path.contains("/files/") => upload::gemini_file_found(last),
        ("GET", "") if last == "models" => {
            let models: Vec<Value> = memory.options.models.iter().map(|name| model_object(name)).collect();
            Answer::json(200, &json!({ "models": models }))
        }
        ("GET", "") if path.contains("/models/") => Answer::json(200, &model_object(last)),
        _ => not_found(request),
    }
}

fn content(request: &Request, model: &str) -> Value {
    let chat = Chat::of(request);
    response(model, &parts(&chat, REPLY), Some("STOP"))
}

fn parts(chat: &Chat, text: &str) -> Value {
    match chat.tool() {
        Some(name) => {
            let arguments: Value = serde_json::from_str(TOOL_ARGUMENTS).unwrap_or_default();
            json!([{ "functionCall": { "name": name, "args": arguments } }])
        }
        None => json!([{ "text": text }]),
    }
}

fn stream(request: &Request, model: &str, pace: &Pace) -> Answer {
    let chat = Chat::of(request);
    let count = if chat.tool().is_some() { 1 } else { pace.chunks };
    let chunks = (0..count).map(|index| {
        let reason = (index + 1 == count).then_some("STOP");
        response(model, &parts(&chat, &piece(index, pace)), reason)
    });
    if request.head.query("alt").as_deref() == Some("sse") {
        let pieces = chunks.map(|chunk| event("", &chunk));
        return Answer::stream("text/event-stream", framed(String::new(), pieces, "", pace), pace.gap);
    }
    // Without `alt=sse` the stream is one JSON array that grows.
    let pieces = chunks.enumerate().map(|(index, chunk)| format!("{}{chunk}", if index == 0 { "" } else { ",\r\n" }));
    Answer::stream("application/json; charset=UTF-8", framed("[".to_owned(), pieces, "\n]\n", pace), pace.gap)
}

fn response(model: &str, parts: &Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(reason) = reason {
        candidate["finishReason"] = reason.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 6, "totalTokenCount": 16 },
        "modelVersion": model,
        "responseId": "resp-mock",
    })
}

fn embedding() -> Value {
    json!({ "values": [0.0, 0.25, 0.5, -0.5, 1.0, -1.0, 0.125, 2.0] })
}

fn model_object(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"), "version": "001", "displayName": name, "description": "A mock.",
        "inputTokenLimit": 1_000_000, "outputTokenLimit": 8192,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    json!({ "error": { "code": status, "message": message, "status": name } })
}
