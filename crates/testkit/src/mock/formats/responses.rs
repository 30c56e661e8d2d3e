//! OpenAI's Responses API: one JSON object, or the events that build it up.

use serde_json::{Value, json};

use super::{Answer, Chat, Pace, REPLY, Request, TOOL_ARGUMENTS, event, framed, piece};

pub(super) fn answer(request: &Request, pace: &Pace) -> Answer {
    let chat = Chat::of(request);
    if !chat.stream {
        let item = match chat.tool() {
            Some(name) => call_item(name, TOOL_ARGUMENTS, "completed"),
            None => message_item(REPLY, "completed"),
        };
        return Answer::json(200, &response(&chat, "completed", &[item])).with("X-Request-Id", "req-mock");
    }
    let mut events = Events::default();
    let mut before = events.add("response.created", json!({ "response": response(&chat, "in_progress", &[]) }));
    before += &events.add("response.in_progress", json!({ "response": response(&chat, "in_progress", &[]) }));
    let (pieces, after) = match chat.tool() {
        Some(name) => call_events(&mut events, &chat, name, &mut before),
        None => text_events(&mut events, &chat, pace, &mut before),
    };
    Answer::stream("text/event-stream", framed(before, pieces, &after, pace), pace.gap).with("X-Request-Id", "req-mock")
}

/// Numbers the events of one stream.
#[derive(Default)]
struct Events {
    sequence_number: u64,
}

impl Events {
    fn add(&mut self, name: &str, mut data: Value) -> String {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence_number.into();
        self.sequence_number += 1;
        event(name, &data)
    }
}

fn text_events(events: &mut Events, chat: &Chat, pace: &Pace, before: &mut String) -> (Vec<String>, String) {
    let mut empty = message_item("", "in_progress");
    empty["content"] = json!([]);
    let place = |mut data: Value| {
        data["item_id"] = "msg_mock".into();
        data["output_index"] = 0.into();
        data["content_index"] = 0.into();
        data
    };
    *before += &events.add("response.output_item.added", json!({ "output_index": 0, "item": empty }));
    *before += &events.add("response.content_part.added", place(json!({ "part": text_part("") })));
    let texts: Vec<String> = (0..pace.chunks).map(|index| piece(index, pace)).collect();
    let delta =
        |text: &String| events.add("response.output_text.delta", place(json!({ "delta": text, "logprobs": [] })));
    let pieces = texts.iter().map(delta).collect();
    let text = texts.concat();
    let mut after = events.add("response.output_text.done", place(json!({ "text": text, "logprobs": [] })));
    after += &events.add("response.content_part.done", place(json!({ "part": text_part(&text) })));
    let item = message_item(&text, "completed");
    after += &events.add("response.output_item.done", json!({ "output_index": 0, "item": item }));
    after += &events.add("response.completed", json!({ "response": response(chat, "completed", &[item]) }));
    (pieces, after)
}

fn call_events(events: &mut Events, chat: &Chat, name: &str, before: &mut String) -> (Vec<String>, String) {
    let started = call_item(name, "", "in_progress");
    *before += &events.add("response.output_item.added", json!({ "output_index": 0, "item": started }));
    let (left, right) = TOOL_ARGUMENTS.split_at(TOOL_ARGUMENTS.len() / 2);
    let place = json!({ "item_id": "fc_mock", "output_index": 0 });
    let delta = |half: &&str| {
        let mut data = place.clone();
        data["delta"] = (*half).into();
        events.add("response.function_call_arguments.delta", data)
    };
    let pieces = [left, right].iter().map(delta).collect();
    let mut done = place.clone();
    done["arguments"] = TOOL_ARGUMENTS.into();
    let mut after = events.add("response.function_call_arguments.done", done);
    let item = call_item(name, TOOL_ARGUMENTS, "completed");
    after += &events.add("response.output_item.done", json!({ "output_index": 0, "item": item }));
    after += &events.add("response.completed", json!({ "response": response(chat, "completed", &[item]) }));
    (pieces, after)
}

fn message_item(text: &str, status: &str) -> Value {
    json!({ "type": "message", "id": "msg_mock", "status": status, "role": "assistant", "content": [text_part(text)] })
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn call_item(name: &str, arguments: &str, status: &str) -> Value {
    json!({
        "type": "function_call", "id": "fc_mock", "call_id": "call_mock", "status": status,
        "name": name, "arguments": arguments,
    })
}

fn response(chat: &Chat, status: &str, output: &[Value]) -> Value {
    let usage = json!({
        "input_tokens": 10, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 6, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 16,
    });
    json!({
        "id": "resp_mock", "object": "response", "created_at": 1_700_000_000, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": chat.model, "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": if status == "completed" { usage } else { Value::Null },
    })
}
