//! Keys tested against a mock upstream.

use serde_json::json;
use testkit::{MockUpstream, Play};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::OutboundProxy,
    crypto::Cipher,
    db::{Database, testing},
    keypool::{KeyStatus, ListFilter, StateFilter, Statuses, Swept, ToTest, unwatched},
};

pub(in crate::keypool) struct House {
    _place: testkit::FreshDatabase,
    pub(in crate::keypool) database: Database,
    pub(in crate::keypool) directory: Directory,
    pub(in crate::keypool) pools: KeyPools,
    pub(in crate::keypool) validator: Validator,
}

impl House {
    pub(in crate::keypool) async fn new() -> Self {
        let (place, database) = testing::fresh().await;
        let directory = Directory::open(database.clone()).await.unwrap();
        let pools = KeyPools::open(database.clone(), Cipher::new(None)).await.unwrap();
        let proxy = OutboundProxy::default();
        let validator = Validator::new(directory.clone(), pools.clone(), Clients::new(proxy, 1));
        Self { _place: place, database, directory, pools, validator }
    }

    /// A group of OpenAI's channel with these settings.
    pub(in crate::keypool) async fn group(&self, name: &str, upstream: &MockUpstream, config: &str) -> Arc<Group> {
        self.group_with(name, upstream, config, "{}", "[]", "{}").await
    }

    async fn group_with(
        &self,
        name: &str,
        upstream: &MockUpstream,
        config: &str,
        overrides: &str,
        headers: &str,
        redirects: &str,
    ) -> Arc<Group> {
        let upstreams = json!([{"url": upstream.base_url(), "weight": 1}]);
        self.database
            .run(&format!(
                "INSERT INTO {} (name, group_type, upstreams, channel_type, test_model, config, param_overrides, \
                 header_rules, model_redirect_rules) VALUES ('{name}', 'standard', '{upstreams}', 'openai', 'test-model', \
                 '{config}', '{overrides}', '{headers}', '{redirects}')",
                self.database.engine().quoted("groups")
            ))
            .await;
        self.directory.reload().await.unwrap();
        self.directory.current().by_name[name].clone()
    }

    pub(in crate::keypool) async fn add(&self, group: &Group, texts: &[&str]) {
        let texts: Vec<Secret> = texts.iter().copied().map(Secret::new).collect();
        self.pools.add(group.id, &texts, unwatched).await.unwrap();
    }

    pub(in crate::keypool) fn invalidate(&self, group: &Group) {
        let pool = self.pools.ensure(group.id);
        while let Some(key) = pool.pick(&[], Instant::now()) {
            pool.failed(&key, 1, Failure::default());
        }
    }

    pub(in crate::keypool) async fn active(&self, group: &Group) -> Vec<String> {
        let filter = ListFilter { state: Some(StateFilter::Stored(KeyStatus::Active)), ..ListFilter::of(group.id) };
        let (keys, _) = self.pools.list(&filter, 0, 1_000).await.unwrap();
        let mut texts: Vec<String> = keys.into_iter().map(|key| key.secret.unwrap().expose().to_owned()).collect();
        texts.sort();
        assert_eq!(self.pools.ensure(group.id).active_count(), texts.len(), "pool and database agree");
        texts
    }

    async fn test(&self, group: &Arc<Group>, texts: &[&str]) -> Vec<Tested> {
        let texts: Vec<Secret> = texts.iter().copied().map(Secret::new).collect();
        self.validator.test(group, &texts).await.unwrap()
    }
}

fn valid() -> Tested {
    Tested { failure: None }
}

fn not_valid(error: &str) -> Tested {
    let (status_code, message) = match error.strip_prefix("[status ").and_then(|rest| rest.split_once("] ")) {
        Some((status, message)) => (Some(status.parse().unwrap()), message),
        None => (None, error),
    };
    Tested { failure: Some(Failure::new(status_code, message)) }
}

fn refusal(status: u16, message: &str) -> Play {
    Play::status(status).body(json!({"error": {"message": message}}).to_string())
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_texts_and_repeated_texts_are_tested_once() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1", "sk-2"]).await;
    upstream.play_always("sk-2", refusal(401, "Incorrect API key provided"));
    let tested = house.test(&group, &["sk-2", "sk-9", "sk-1", "sk-2"]).await;
    let refused = not_valid("[status 401] Incorrect API key provided");
    let unknown = not_valid("Key does not exist in this group or has been removed.");
    assert_eq!(tested, [refused.clone(), unknown, valid(), refused]);
    assert_eq!(upstream.count("sk-2"), 1);
    assert_eq!(house.active(&group).await, ["sk-1"], "what the answer says is what happens");
}

#[tokio::test]
async fn a_sweep_whose_verdict_cannot_be_stored_fails_and_stops() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_concurrency": 1}"#).await;
    house.add(&group, &["sk-1", "sk-2", "sk-3"]).await;
    house.invalidate(&group);
    let (count, last_id) = house.pools.extent(group.id, Statuses::All).await.unwrap();
    assert_eq!(count, 3);
    house
        .database
        .run(if house.database.engine().is_sqlite() {
            "CREATE TRIGGER refuse BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'no'); END"
        } else {
            "ALTER TABLE api_keys ADD CONSTRAINT refuse CHECK (status <> 'active')"
        })
        .await;
    let swept =
        house.validator.sweep(&group, ToTest::up_to(last_id, Statuses::All), &CancellationToken::new(), |_| {}).await;
    assert!(matches!(swept, Err(db::Error::Values(_))), "{swept:?}");
    assert_eq!(upstream.requests().len(), 1, "the others are not asked any more");
}

#[tokio::test]
async fn a_sweep_leaves_later_keys_alone_and_hears_of_each_that_it_tested() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1", "sk-2"]).await;
    let (_, last_id) = house.pools.extent(group.id, Statuses::All).await.unwrap();
    house.add(&group, &["sk-3"]).await;
    let mut heard = Vec::new();
    let swept = house
        .validator
        .sweep(&group, ToTest::up_to(last_id, Statuses::All), &CancellationToken::new(), |n| heard.push(n))
        .await;
    assert_eq!(swept.unwrap(), Swept { valid: 2, ..Swept::default() });
    assert_eq!((heard, upstream.count("sk-3")), (vec![1, 2], 0));
}

#[tokio::test]
async fn only_a_keys_own_fault_takes_it_out() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    let keys = ["sk-limit", "sk-down", "sk-request", "sk-gone"];
    house.add(&group, &keys).await;
    upstream.play_always("sk-limit", refusal(429, "slow down"));
    upstream.play_always("sk-down", refusal(500, "oops"));
    upstream.play_always("sk-request", refusal(400, "no such parameter"));
    upstream.play_always("sk-gone", Play::close());
    let tested = house.test(&group, &keys).await;
    assert!(tested.iter().all(|tested| !tested.is_valid()));
    assert_eq!(tested[0].failure.as_ref().unwrap().to_string(), "[status 429] slow down");
    assert!(tested[3].failure.as_ref().unwrap().to_string().starts_with("failed to send validation request: "));
    assert_eq!(house.active(&group).await.len(), 4);
    let picked = house.pools.ensure(group.id).pick(&[], Instant::now()).unwrap();
    assert_ne!(picked.secret.expose(), "sk-limit", "it rests");
}

#[tokio::test]
async fn an_undecided_test_does_not_revive_a_key_either() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1"]).await;
    house.invalidate(&group);
    upstream.play("sk-1", [refusal(503, "down")]);
    house.test(&group, &["sk-1"]).await;
    assert_eq!(house.active(&group).await, [""; 0]);
    assert_eq!(house.test(&group, &["sk-1"]).await, [valid()]);
    assert_eq!(house.active(&group).await, ["sk-1"]);
}

#[tokio::test]
async fn a_good_test_forgives_failures() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1"]).await;
    let pool = house.pools.ensure(group.id);
    let key = pool.pick(&[], Instant::now()).unwrap();
    pool.failed(&key, 3, Failure::default());
    pool.failed(&key, 3, Failure::default());
    house.test(&group, &["sk-1"]).await;
    assert!(!pool.failed(&key, 3, Failure::default()));
}

#[tokio::test]
async fn a_group_that_never_takes_keys_out_keeps_a_refused_one() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"blacklist_threshold":0}"#).await;
    house.add(&group, &["sk-1"]).await;
    upstream.play_always("sk-1", refusal(401, "no"));
    assert!(!house.test(&group, &["sk-1"]).await[0].is_valid());
    assert_eq!(house.active(&group).await, ["sk-1"]);
}

#[tokio::test]
async fn the_groups_rules_hold_for_a_test_too() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house
        .group_with(
            "team",
            &upstream,
            "{}",
            r#"{"temperature":0.5,"/embeddings":{"dimensions":4}}"#,
            r#"[{"key":"X-Team","value":"${GROUP_NAME}/${CLIENT_IP}","action":"set"}]"#,
            r#"{"test-model":"real-model"}"#,
        )
        .await;
    house.add(&group, &["sk-1"]).await;
    assert_eq!(house.test(&group, &["sk-1"]).await, [valid()]);
    let seen = upstream.request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.key, "sk-1");
    assert_eq!(seen.header("x-team"), Some("team/127.0.0.1"));
    let body = seen.json();
    assert_eq!((&body["model"], &body["temperature"]), (&json!("real-model"), &json!(0.5)));
    assert!(body.get("dimensions").is_none() && body.get("/embeddings").is_none());
}

#[tokio::test]
async fn a_model_that_an_override_names_is_redirected_as_in_traffic() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let overrides = r#"{"model":"forced"}"#;
    let redirects = r#"{"forced":"final","test-model":"unused"}"#;
    let group = house.group_with("team", &upstream, "{}", overrides, "[]", redirects).await;
    house.add(&group, &["sk-1"]).await;
    house.test(&group, &["sk-1"]).await;
    assert_eq!(upstream.request().json()["model"], "final");
}

#[tokio::test]
async fn several_keys_are_tested_at_once_but_no_more_than_the_group_allows() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_concurrency":3}"#).await;
    let keys = ["sk-1", "sk-2", "sk-3", "sk-4"];
    house.add(&group, &keys).await;
    upstream.play_any_always(Play::hang());
    let testing = tokio::time::timeout(Duration::from_millis(300), house.test(&group, &keys));
    let (outcome, ()) = tokio::join!(testing, upstream.arrived(3));
    assert!(outcome.is_err());
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_test_that_takes_too_long_decides_nothing() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_timeout_seconds":1}"#).await;
    house.add(&group, &["sk-1"]).await;
    upstream.play_any_always(Play::hang());
    let tested = house.test(&group, &["sk-1"]).await;
    assert_eq!(tested, [not_valid("failed to send validation request: no answer within 1s")]);
    assert_eq!(house.active(&group).await, ["sk-1"]);
}

#[tokio::test]
async fn answers_are_drained_so_that_one_connection_serves_all() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_concurrency":1}"#).await;
    house.add(&group, &["sk-1", "sk-2", "sk-3"]).await;
    upstream.play_always("sk-2", refusal(401, &"long ".repeat(30_000)));
    house.test(&group, &["sk-1", "sk-2", "sk-3"]).await;
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_message_that_repeats_the_key_is_masked() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-0123456789abcdef"]).await;
    upstream.play_any_always(refusal(401, "Incorrect API key provided: sk-0123456789abcdef."));
    let tested = house.test(&group, &["sk-0123456789abcdef"]).await;
    assert_eq!(tested, [not_valid("[status 401] Incorrect API key provided: sk-0****cdef.")]);
}
