//! Conversations with the management API, compared whole with files below `tests/golden/api`.
//!
//! `GOLDEN_UPDATE=1 cargo test --test api` writes the files anew; read the difference before you commit it.

use std::{fmt::Write as _, fs, path::PathBuf};

use serde_json::Value;
use testkit::{MockUpstream, RawResponse, TempServer};

/// A server of its own, and everything that was said to it.
pub struct Conversation {
    pub server: TempServer,
    pub upstream: MockUpstream,
    name: &'static str,
    said: String,
}

impl Conversation {
    pub async fn begin(name: &'static str) -> Self {
        Self::begin_with(name, TempServer::builder()).await
    }

    pub async fn begin_with(name: &'static str, builder: testkit::TempServerBuilder) -> Self {
        let server = builder.start().await;
        let settings = serde_json::json!({"app_url": "https://gateway.example", "proxy_keys": "Global-Proxy-Q7x!fmZ2#vLr9Wd8-PnB4"});
        server.change_settings(settings).await;
        Self { server, upstream: MockUpstream::start().await, name, said: String::new() }
    }

    /// Says why the next lines are there.
    pub fn remark(&mut self, text: &str) {
        let _ = writeln!(self.said, "# {text}\n");
    }

    /// A request as the operator, in English, and its answer.
    pub async fn ask(&mut self, method: &str, target: &str, body: Value) -> Value {
        let given = (!body.is_null()).then_some(&body);
        let response = self.server.manage(method, target, given).await;
        let shown = if body.is_null() { String::new() } else { format!(" {body}") };
        self.note(&format!("{method} {target}{shown}"), &response);
        serde_json::from_str(response.text()).unwrap_or_default()
    }

    pub async fn get(&mut self, target: &str) -> Value {
        self.ask("GET", target, Value::Null).await
    }

    pub async fn post(&mut self, target: &str, body: Value) -> Value {
        self.ask("POST", target, body).await
    }

    pub async fn put(&mut self, target: &str, body: Value) -> Value {
        self.ask("PUT", target, body).await
    }

    pub async fn delete(&mut self, target: &str) -> Value {
        self.ask("DELETE", target, Value::Null).await
    }

    /// Whole lines of a request and a body of any kind; the lines are shown as they are.
    pub async fn say(&mut self, head: &[&str], body: &str) {
        let mut request = head.join("\r\n");
        let _ = write!(request, "\r\nHost: gateway.example\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let response = self.server.exchange(request).await;
        let mut shown = head.join("\n").replace(TempServer::AUTH_KEY, "<management key>");
        if !body.is_empty() {
            let _ = write!(shown, "\n\n{}", body.replace(TempServer::AUTH_KEY, "<management key>"));
        }
        self.note(&shown, &response);
    }

    fn note(&mut self, request: &str, response: &RawResponse) {
        let mut answer = format!("{}", response.status);
        for name in ["content-type", "content-disposition", "location", "allow", "retry-after"] {
            if let Some(value) = response.header(name).filter(|value| *value != "application/json; charset=utf-8") {
                let _ = write!(answer, "\n{name}: {value}");
            }
        }
        let text = response.text();
        let body = match serde_json::from_str::<Value>(text) {
            Ok(value) => serde_json::to_string_pretty(&still(value)).unwrap(),
            Err(_) => text.to_owned(),
        };
        let exchange = format!("> {}\n{answer}\n{body}\n\n", request.replace('\n', "\n> "));
        self.said.push_str(&self.without_chance(&exchange));
    }

    fn without_chance(&self, text: &str) -> String {
        let text = text.replace(&self.upstream.base_url(), "<upstream>");
        replaced_stamp(&text)
    }

    /// The conversation is over: it must be the one of the file.
    pub fn end(self) {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api").join(format!("{}.txt", self.name));
        if std::env::var_os("GOLDEN_UPDATE").is_some() {
            fs::write(&path, &self.said).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        for (number, (said, expected)) in self.said.lines().zip(expected.lines()).enumerate() {
            assert_eq!(said, expected, "line {} of {}", number + 1, path.display());
        }
        assert_eq!(self.said.lines().count(), expected.lines().count(), "the length of {}", path.display());
    }
}

/// Members that are stored as JSON.
const STORED_OBJECTS: [&str; 3] = ["config", "model_redirect_rules", "param_overrides"];

/// Members whose values are different each time, after a look at their kinds.
fn still(mut value: Value) -> Value {
    const NUMBERS: [&str; 12] = [
        "total_duration",
        "duration_seconds",
        "duration_ms",
        "overhead_us",
        "first_byte_ms",
        "expires_in_seconds",
        "p50",
        "p90",
        "p95",
        "p99",
        "p50_duration_ms",
        "p95_duration_ms",
    ];
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = still(item.take())),
        Value::Object(members) => {
            for (name, member) in members {
                *member = match &*member {
                    Value::String(text) if is_time(text) => "<time>".into(),
                    Value::String(text) if is_uuid(text) => "<uuid>".into(),
                    Value::String(_) if ["ticket", "uptime", "next_cursor"].contains(&&**name) => {
                        format!("<{name}>").into()
                    }
                    Value::String(text) if text.contains("ticket=") => {
                        let (before, _) = text.split_once("ticket=").unwrap_or_default();
                        format!("{before}ticket=<ticket>").into()
                    }
                    Value::Number(_) if NUMBERS.contains(&&**name) => "<number>".into(),
                    // Their order is the engine's.
                    Value::Object(_) if STORED_OBJECTS.contains(&&**name) => {
                        let mut sorted = still(member.take());
                        sorted.sort_all_objects();
                        sorted
                    }
                    _ => still(member.take()),
                };
            }
        }
        Value::String(text) if is_time(text) => "<time>".clone_into(text),
        _ => {}
    }
    value
}

fn is_time(text: &str) -> bool {
    chrono::DateTime::parse_from_rfc3339(text).is_ok_and(|time| time.timestamp() > 0)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// The times in the names of files.
fn replaced_stamp(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["log_keys_export_", "log_entries_"] {
        let Some((before, rest)) = text.split_once(&format!("{name}20")) else { continue };
        let after = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        text = format!("{before}{name}<time>{after}");
    }
    text
}
