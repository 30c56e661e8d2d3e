//! The mock upstream's scripts and memory over HTTP, for tests that are not written in Rust.
//!
//! `POST /__mock/keys/KEY` with a play as JSON (and `"times": N`; without it, always) scripts a key,
//! `GET /__mock/requests` lists what was seen, `DELETE /__mock` forgets everything.

use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::memory::Memory;
use super::request::{Head, Request};
use super::script::Play;

const PREFIX: &str = "/__mock";

/// Whether a request is meant for the mock itself, not for what it plays.
pub(crate) fn is_for(head: &Head) -> bool {
    head.target().starts_with(PREFIX)
}

#[derive(Deserialize)]
struct Order {
    times: Option<usize>,
    play: Play,
}

pub(crate) fn answer(request: &Request, memory: &Memory) -> Answer {
    let path = request.head.path().trim_start_matches(PREFIX);
    match (request.head.method(), path) {
        ("DELETE", "") => {
            memory.reset();
            Answer::json(200, &json!({}))
        }
        ("GET", "/requests") => {
            let requests = memory.requests();
            let listed = requests.iter().map(|seen| {
                let mut listed = json!(seen);
                listed["body"] = String::from_utf8_lossy(&seen.body).into();
                listed
            });
            let answer = json!({ "requests": listed.collect::<Vec<_>>(), "cancellations": memory.cancellations() });
            Answer::json(200, &answer)
        }
        ("POST", path) if path.starts_with("/keys/") => {
            let key = path.trim_start_matches("/keys/");
            match serde_json::from_slice::<Order>(&request.body) {
                Ok(Order { times: Some(times), play }) => memory.script(key).once(vec![play; times]),
                Ok(Order { times: None, play }) => memory.script(key).always(play),
                Err(error) => return Answer::json(400, &json!({ "error": error.to_string() })),
            }
            Answer::json(200, &json!({}))
        }
        _ => Answer::json(404, &json!({ "error": "no such order" })),
    }
}
