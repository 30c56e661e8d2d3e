//! What each channel says, compared with the files under `tests/golden`. `GOLDEN_UPDATE=1` writes them anew.

use std::{fs, path::PathBuf};

use super::Channel;

fn file(channel: Channel, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(channel.name()).join(name)
}

#[track_caller]
fn check(channel: Channel, name: &str, actual: &[u8]) {
    let path = file(channel, name);
    let actual = String::from_utf8(actual.to_vec()).unwrap() + "\n";
    if std::env::var_os("GOLDEN_UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

#[test]
fn model_lists() {
    for channel in Channel::ALL {
        let mut inputs: Vec<_> =
            fs::read_dir(file(channel, "")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        inputs.retain(|name| name.to_str().unwrap().ends_with(".in.json"));
        assert!(!inputs.is_empty());
        for input in inputs {
            let name = input.to_str().unwrap().strip_suffix(".in.json").unwrap();
            let body = fs::read(file(channel, input.to_str().unwrap())).unwrap();
            for (strict, mode) in [(false, "merged"), (true, "strict")] {
                let models = ["fast", "gpt-4o", "claude-sonnet-4-5", "models/gemini-2.5-pro", "org/näme"].into_iter();
                let merged = channel.merge_model_list(&body, models, strict, None).unwrap();
                check(channel, &format!("{name}.{mode}.json"), merged.trim_ascii_end());
            }
        }
    }
}

#[test]
fn errors() {
    for channel in Channel::ALL {
        for (status, code, message) in [
            (400, "BAD_REQUEST", "model 'a\"b' is not configured in redirect rules"),
            (401, "UNAUTHORIZED", "Authentication failed"),
            (413, "BODY_TOO_LARGE", "The request is too large"),
            (503, "NO_KEYS_AVAILABLE", "No active API keys available for this group"),
            (504, "UPSTREAM_TIMEOUT", "The upstream did not answer in time"),
        ] {
            let body = channel.error_body(status, code, message, "req-1");
            check(channel, &format!("error.{status}.json"), &body);
        }
    }
}

#[test]
fn test_requests() {
    let written = |channel: Channel, model: &str, endpoint: &str| {
        let request = channel.test_request(model, endpoint);
        let mut text = format!("{} {}\n", request.method, request.path_and_query);
        for (name, value) in &request.headers {
            text += &format!("{name}: {}\n", value.to_str().unwrap());
        }
        text + "\n" + &String::from_utf8(request.body).unwrap()
    };
    for (channel, cases) in [
        (
            Channel::OpenAi,
            &[
                ("default", "gpt-4.1-nano", ""),
                ("reasoning", "gpt-5-nano", ""),
                ("embeddings", "text-embedding-3-small", "/v1/embeddings"),
                ("list", "any", "/v1/models"),
                ("own", "deepseek-chat", "/chat/completions?x=1"),
                ("legacy", "davinci-002", "/v1/completions"),
            ][..],
        ),
        (Channel::OpenAiResponse, &[("default", "gpt-4.1-nano", "")]),
        (
            Channel::Gemini,
            &[
                ("default", "gemini-2.0-flash-lite", ""),
                ("own", "models/gemini-2.5-pro", "/v1/models/{model}:countTokens"),
                ("openai", "gemini-2.5-pro", "/v1beta/openai/chat/completions"),
            ],
        ),
        (
            Channel::Anthropic,
            &[("default", "claude-3-haiku-20240307", ""), ("count", "c", "/v1/messages/count_tokens")],
        ),
    ] {
        for (name, model, endpoint) in cases {
            check(channel, &format!("test_request.{name}.http"), written(channel, model, endpoint).as_bytes());
        }
    }
}
