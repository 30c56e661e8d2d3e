//! The management API from outside: requests go in, whole answers are compared.

mod access;
mod bad_input;
mod bulk;
mod cluster;
mod conformance;
mod dashboard;
mod document;
mod download_tickets;
mod effective_config;
mod frame;
mod group_summary;
mod groups;
mod imports;
mod integration;
mod keys;
mod log_summary;
mod logs;
mod members;
mod metrics;
mod ready;
mod search;
mod session;
mod settings;
mod stats;
mod system;
mod tasks;
mod throttling;
mod upstreams;

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{Router, body::Body};
use chrono::Utc;
use http::{
    HeaderMap, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{ClientAddress, Clock, Node, State, router};
use crate::{
    cluster::Cluster,
    config::Cors,
    crypto::{Cipher, Secret},
    db::{self, Database},
    group::Directory,
    keypool::{Failure, KeyPools, Validator},
    metrics::Metrics,
    request_log::{Entry, Live, RequestLog, Search, Writer},
    task::Tasks,
    upstream::Clients,
};

pub(super) const METRICS_TOKEN: &str = "scrape-me";
pub(super) const MANAGEMENT_KEY: &str = "sk-management";

/// A server of its own, over an empty database that goes away with it.
pub(super) struct House {
    pub(super) router: Router,
    pub(super) database: Database,
    pub(super) directory: Directory,
    pub(super) key_pools: KeyPools,
    pub(super) log_live: Live,
    pub(super) stopping: CancellationToken,
    pub(super) tasks: Tasks,
    _place: testkit::FreshDatabase,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl House {
    pub(super) async fn open() -> Self {
        Self::with_cors(None).await
    }

    pub(super) async fn with_cors(cors: Option<Cors>) -> Self {
        Self::with(|state| state.cors = cors).await
    }

    /// After a change of what it is made with.
    pub(super) async fn with(change: impl FnOnce(&mut State)) -> Self {
        let (place, database) = db::testing::fresh().await;
        let directory = Directory::open(database.clone()).await.unwrap();
        let cipher = Cipher::new(None);
        let key_pools = KeyPools::open(database.clone(), cipher.clone()).await.unwrap();
        let log_live = Live::new(cipher.clone());
        let stopping = CancellationToken::new();
        let clients = Clients::new(crate::config::OutboundProxy::default(), 1);
        let validator = Validator::new(directory.clone(), key_pools.clone(), clients);
        let tasks = Tasks::open(database.clone(), Arc::new(Utc::now)).await.unwrap();
        let mut state = State {
            auth_key: Secret::new(MANAGEMENT_KEY),
            encryption_key: None,
            metrics_token: Some(Secret::new(METRICS_TOKEN)),
            cors: None,
            own_url: "http://localhost:3001".to_owned(),
            database: database.clone(),
            directory: directory.clone(),
            key_pools: key_pools.clone(),
            validator,
            log_search: Search::new(database.clone(), cipher.clone()),
            log_live: log_live.clone(),
            tasks: tasks.clone(),
            cluster: Cluster::open(database.clone(), None).await.unwrap(),
            request_log: RequestLog::new(1),
            clock: Clock::system(),
            metrics: Metrics::new(directory.clone(), key_pools.clone(), RequestLog::new(1), Instant::now()),
            started_at: Instant::now(),
            node: Node { role: "master", worker_threads: 1, body_buffer_bytes_max: 1_000, body_bytes_max: 2_000 },
            stopping: stopping.clone(),
        };
        change(&mut state);
        let router = router(state);
        Self { router, database, directory, key_pools, log_live, stopping, tasks, _place: place }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let content_type = head.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap());
        conformance::check(&method, &path, head.status, content_type, &bytes);
        Reply { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.into()).unwrap() }
    }

    /// From an address of its own.
    pub(super) async fn send_from(&self, address: IpAddr, mut request: Request<Body>) -> Reply {
        request.extensions_mut().insert(ClientAddress(address));
        self.send(request).await
    }

    /// Changes the database behind everyone's back.
    pub(super) async fn execute(&self, statements: &str) {
        self.database.run(statements).await;
    }

    /// As the operator, in English.
    pub(super) async fn ask(&self, method: Method, target: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(AUTHORIZATION, format!("Bearer {MANAGEMENT_KEY}"))
            .header("accept-language", "en-US");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn get(&self, target: &str) -> Reply {
        self.ask(Method::GET, target, Body::empty()).await
    }

    pub(super) async fn post(&self, target: &str, body: Value) -> Reply {
        self.ask(Method::POST, target, body.to_string()).await
    }

    pub(super) async fn put(&self, target: &str, body: Value) -> Reply {
        self.ask(Method::PUT, target, body.to_string()).await
    }

    pub(super) async fn delete(&self, target: &str) -> Reply {
        self.ask(Method::DELETE, target, Body::empty()).await
    }

    /// Entries that the request log holds then, written in this order.
    pub(super) async fn log(&self, entries: impl IntoIterator<Item = Entry>) {
        let log = RequestLog::new(1);
        for entry in entries {
            log.submit(0, entry);
        }
        let stop = CancellationToken::new();
        stop.cancel();
        Writer::new(log, self.database.clone(), Cipher::new(None)).run(stop).await;
    }

    pub(super) async fn stored_keys(&self) -> i64 {
        self.database.value_of("SELECT count(*) FROM api_keys").await
    }

    /// Takes keys out of rotation, as their upstream's refusals would.
    pub(super) fn invalidate(&self, group: i64, texts: &[&str]) {
        let pool = self.key_pools.of(group).unwrap();
        let mut tried = Vec::new();
        while let Some(key) = pool.pick(&tried, Instant::now()).filter(|key| !tried.contains(&key.id)) {
            tried.push(key.id);
            if texts.contains(&key.secret.expose()) {
                assert!(pool.failed(&key, 1, Failure::new(Some(401), "Incorrect API key provided")));
            }
        }
    }

    /// A standard group with what it needs at least, and what `more` adds or replaces; its id.
    pub(super) async fn group(&self, name: &str, more: Value) -> i64 {
        let mut body = json!({
            "name": name,
            "channel_type": "openai",
            "test_model": "gpt-4.1-nano",
            "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let reply = self.post("/api/groups", body).await;
        reply.data()["id"].as_i64().unwrap_or_else(|| panic!("not created: {}", reply.text))
    }
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    #[track_caller]
    pub(super) fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["data"].clone()
    }

    #[track_caller]
    pub(super) fn is(&self, status: u16, body: Value) {
        assert_eq!((self.status, self.json()), (status, body));
    }

    /// A success with nothing but a message.
    #[track_caller]
    pub(super) fn says(&self, message: &str) {
        self.is(200, json!({"code": 0, "message": message}));
    }

    #[track_caller]
    pub(super) fn refuses(&self, status: u16, code: &str, message: &str) {
        self.is(status, json!({"code": code, "message": message}));
    }

    /// A refusal whose message is free text, of which only a part matters.
    #[track_caller]
    pub(super) fn refuses_naming(&self, status: u16, code: &str, part: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(part), "{message:?} does not name {part:?}");
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Replaces a time by a word, after a look at its form.
#[track_caller]
pub(super) fn without_time(value: &mut Value) {
    let text = value.as_str().unwrap();
    let time = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    assert!(text.ends_with('Z'), "{text}");
    assert!((Utc::now() - time.to_utc()).num_seconds() < 60, "{text}");
    *value = "now".into();
}
