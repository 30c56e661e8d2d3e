//! Anthropic's format: messages, token counting, models, files.

use serde_json::{Value, json};

use super::{Answer, Chat, Memory, Pace, REPLY, Request, TOOL_ARGUMENTS, event, framed, not_found, piece, upload};

pub(super) fn usual(request: &Request, pace: &Pace, memory: &Memory) -> Answer {
    let path = request.head.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    match (request.head.method(), last) {
        ("POST", "messages") => messages(request, pace),
        ("POST", "count_tokens") => Answer::json(200, &json!({ "input_tokens": 10 })),
        ("GET", "models") => models(&memory.options.models),
        ("GET", model) if path.ends_with(&format!("/models/{model}")) => Answer::json(200, &model_object(model)),
        ("POST", "files") => upload::anthropic_file(request),
        _ => not_found(request),
    }
}

fn messages(request: &Request, pace: &Pace) -> Answer {
    let chat = Chat::of(request);
    let reply = if chat.stream { stream(&chat, pace) } else { whole(&chat) };
    reply.with("Request-Id", "req_mock").with("Anthropic-Organization-Id", "org-mock")
}

fn whole(chat: &Chat) -> Answer {
    let (content, reason) = match chat.tool() {
        Some(name) => {
            let input: Value = serde_json::from_str(TOOL_ARGUMENTS).unwrap_or_default();
            (json!({ "type": "tool_use", "id": "toolu_mock", "name": name, "input": input }), "tool_use")
        }
        None => (json!({ "type": "text", "text": REPLY }), "end_turn"),
    };
    let mut message = message(chat);
    message["content"] = json!([content]);
    message["stop_reason"] = reason.into();
    Answer::json(200, &message)
}

fn stream(chat: &Chat, pace: &Pace) -> Answer {
    let (block, deltas, reason): (_, Vec<Value>, _) = match chat.tool() {
        Some(name) => {
            let (left, right) = TOOL_ARGUMENTS.split_at(TOOL_ARGUMENTS.len() / 2);
            let delta = |half: &str| json!({ "type": "input_json_delta", "partial_json": half });
            let block = json!({ "type": "tool_use", "id": "toolu_mock", "name": name, "input": {} });
            (block, vec![delta(left), delta(right)], "tool_use")
        }
        None => {
            let delta = |index| json!({ "type": "text_delta", "text": piece(index, pace) });
            (json!({ "type": "text", "text": "" }), (0..pace.chunks).map(delta).collect(), "end_turn")
        }
    };
    let typed = |name: &str, mut data: Value| {
        data["type"] = name.into();
        event(name, &data)
    };
    let mut before = typed("message_start", json!({ "message": message(chat) }));
    before += &typed("content_block_start", json!({ "index": 0, "content_block": block }));
    before += &typed("ping", json!({}));
    let output_tokens = deltas.len();
    let delta = |delta| typed("content_block_delta", json!({ "index": 0, "delta": delta }));
    let pieces: Vec<String> = deltas.into_iter().map(delta).collect();
    let mut after = typed("content_block_stop", json!({ "index": 0 }));
    let end = json!({ "stop_reason": reason, "stop_sequence": null });
    after += &typed("message_delta", json!({ "delta": end, "usage": { "output_tokens": output_tokens } }));
    after += &typed("message_stop", json!({}));
    Answer::stream("text/event-stream", framed(before, pieces, &after, pace), pace.gap)
}

fn message(chat: &Chat) -> Value {
    json!({
        "id": "msg_mock", "type": "message", "role": "assistant", "model": chat.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 10, "output_tokens": 6 },
    })
}

fn models(names: &[String]) -> Answer {
    let data: Vec<Value> = names.iter().map(|name| model_object(name)).collect();
    let body = json!({ "data": data, "has_more": false, "first_id": names.first(), "last_id": names.last() });
    Answer::json(200, &body)
}

fn model_object(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z" })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_mock" })
}
