//! A management call on any node is in effect on every node within a second.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{
    Cluster, Cut, Engine, FaultProxy, FreshDatabase, MockUpstream, Play, RedisOptions, RedisServer, TempServer,
};

use crate::support::{POLL_INTERVAL, ask, ask_as};

const WITHIN: Duration = Duration::from_secs(1);
/// What a wrong node is waited for before the test fails, so that the message can say how late it was.
const AT_LAST: Duration = Duration::from_secs(10);

/// A walk through the management API on one node of a cluster, watched from all of them.
struct Walk<'a> {
    cluster: &'a Cluster,
    caller: usize,
    mock: &'a MockUpstream,
    answered: Instant,
    late: Vec<String>,
}

impl<'a> Walk<'a> {
    fn on(cluster: &'a Cluster, caller: usize, mock: &'a MockUpstream) -> Self {
        Self { cluster, caller, mock, answered: Instant::now(), late: Vec::new() }
    }

    fn node(&self) -> &'a TempServer {
        self.cluster.node(self.caller)
    }

    fn name(&self, text: &str) -> String {
        format!("{text}-{}", self.caller)
    }

    async fn call(&mut self, method: &str, target: &str, body: Value) -> Value {
        let answer = self.node().managed(method, target, Some(&body)).await;
        self.answered = Instant::now();
        answer
    }

    /// Waits for the end of a task, from which on its work counts.
    async fn task_ends(&mut self, task: &Value) {
        let id = task["id"].as_i64().unwrap_or_else(|| panic!("a task without id: {task}"));
        let ended = self.node().eventually(&format!("/api/tasks/{id}"), |task| task["is_running"] == false).await;
        self.answered = Instant::now();
        assert_eq!(ended["state"], "finished", "{ended}");
    }

    /// Waits until this holds on every node, and notes where that took longer than it may.
    async fn holds<F: Future<Output = bool>>(&mut self, what: &str, check: impl Fn(&'a TempServer) -> F) {
        for (number, node) in self.cluster.nodes().iter().enumerate() {
            loop {
                let asked = self.answered.elapsed();
                if check(node).await {
                    if asked > WITHIN {
                        self.late.push(format!("{what}: {asked:?} on node {number}, called on {}", self.caller));
                    }
                    break;
                }
                assert!(asked < AT_LAST, "{what}: never on node {number}, called on {}: {}", self.caller, node.log());
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    async fn answers(&mut self, what: &str, group: &str, status: u16) {
        self.holds(what, |node| async move { ask(node, group).await.status == status }).await;
    }

    async fn opens(&mut self, what: &str, group: &str, proxy_key: &str, status: u16) {
        self.holds(what, |node| async move { ask_as(node, group, proxy_key).await == status }).await;
    }

    /// Requests to the group are served with this upstream key.
    async fn serves_with(&mut self, what: &str, group: &str, key: &str) {
        let mock = self.mock;
        self.holds(what, |node| async move {
            let before = mock.count(key);
            ask(node, group).await.status == 200 && mock.count(key) == before + 1
        })
        .await;
    }

    async fn settings(&mut self) {
        let group = self.name("settings");
        let id = self.node().create_group(&group, "openai", &self.mock.base_url(), json!({})).await;
        self.node().add_keys(id, &[&self.name("sk-settings")]).await;
        self.answered = Instant::now();
        self.answers("a new group with a key", &group, 200).await;
        let (first, second) = (self.name("sk-global-first"), self.name("sk-global-second"));
        self.call("PUT", "/api/settings", json!({ "proxy_keys": format!("{first},{second}") })).await;
        self.opens("a new global proxy key", &group, &first, 200).await;
        self.call("PUT", "/api/settings", json!({ "proxy_keys": second })).await;
        self.opens("a revoked global proxy key", &group, &first, 401).await;
        self.opens("a proxy key that stays", &group, &second, 200).await;
        self.call("PUT", &format!("/api/groups/{id}"), json!({ "proxy_keys": "sk-of-nobody" })).await;
        self.answers("a revoked proxy key of a group", &group, 401).await;
    }

    async fn groups(&mut self) {
        let (one, other) = (self.name("one"), self.name("other"));
        let (key_of_one, key_of_other) = (self.name("sk-one"), self.name("sk-other"));
        let one_id = self.node().create_group(&one, "openai", &self.mock.base_url(), json!({ "sort": 1 })).await;
        self.answered = Instant::now();
        self.answers("a new group without keys", &one, 503).await;
        let other_id = self.node().create_group(&other, "openai", &self.mock.base_url(), json!({ "sort": 2 })).await;
        for (id, key) in [(one_id, &key_of_one), (other_id, &key_of_other)] {
            self.node().add_keys(id, &[key]).await;
        }
        self.answered = Instant::now();
        self.serves_with("a key of one group", &one, &key_of_one).await;
        self.serves_with("a key of another group", &other, &key_of_other).await;

        let order = json!({ "items": [{ "id": one_id, "sort": 9 }, { "id": other_id, "sort": 8 }] });
        self.call("PUT", "/api/groups/reorder", order).await;
        let (first, last) = (other.as_str(), one.as_str());
        self.holds("a new order of groups", |node| async move {
            let target = format!("/api/integration/info?key={}", TempServer::CLIENT_KEY);
            let listed = node.managed("GET", &target, None).await;
            let listed: Vec<_> = listed.as_array().into_iter().flatten().map(|group| group["name"].clone()).collect();
            let place = |name: &str| listed.iter().position(|found| found == name);
            place(first) < place(last)
        })
        .await;

        let both = self.name("both");
        let both_id = self.node().create_aggregate(&both, "openai", &[(one_id, 1), (other_id, 0)]).await;
        self.answered = Instant::now();
        self.serves_with("a new aggregate", &both, &key_of_one).await;
        let weight = |id: i64| format!("/api/groups/{both_id}/sub-groups/{id}/weight");
        self.call("PUT", &weight(other_id), json!({ "weight": 1 })).await;
        self.call("PUT", &weight(one_id), json!({ "weight": 0 })).await;
        self.serves_with("other weights", &both, &key_of_other).await;
        self.call("PUT", &weight(one_id), json!({ "weight": 1 })).await;
        self.call("DELETE", &format!("/api/groups/{both_id}/sub-groups/{other_id}"), json!({})).await;
        for _ in 0..2 {
            self.serves_with("a member that is gone", &both, &key_of_one).await;
        }

        let copied = self.call("POST", &format!("/api/groups/{one_id}/copy"), json!({ "copy_keys": "all" })).await;
        let copy = copied["group"]["name"].as_str().expect("a name").to_owned();
        self.task_ends(&copied["task"]).await;
        self.answers("a copied group", &copy, 200).await;

        self.call("DELETE", &format!("/api/groups/{other_id}"), json!({})).await;
        let deleted = other.as_str();
        self.holds("a deleted group", |node| async move { [401, 404].contains(&ask(node, deleted).await.status) })
            .await;
    }

    async fn keys(&mut self) {
        let group = self.name("keys");
        let key = self.name("sk-keys");
        let more = json!({ "config": { "blacklist_threshold": 1, "max_retries": 0 } });
        let id = self.node().create_group(&group, "openai", &self.mock.base_url(), more).await;
        // The background test of a new group would bring back what is taken out here.
        let groups = if self.cluster.database().engine() == Engine::MySql { "`groups`" } else { "groups" };
        let tested = format!("UPDATE {groups} SET last_validated_at = CURRENT_TIMESTAMP WHERE id = {id}");
        self.cluster.database().execute(&tested).await;
        let named = || json!({ "group_id": id, "keys_text": key });
        let all = || json!({ "group_id": id });
        for (how, target) in [("deleted", "/api/keys/delete-multiple"), ("cleared", "/api/keys/clear-all")] {
            self.call("POST", "/api/keys/add-multiple", named()).await;
            self.answers(&format!("a key to be {how}"), &group, 200).await;
            self.call("POST", target, if how == "deleted" { named() } else { all() }).await;
            self.answers(&format!("a {how} key"), &group, 503).await;
        }
        let task = self.call("POST", "/api/keys/add-async", named()).await;
        self.task_ends(&task).await;
        self.answers("an imported key", &group, 200).await;
        let task = self.call("POST", "/api/keys/delete-async", named()).await;
        self.task_ends(&task).await;
        self.answers("a key that a task deleted", &group, 503).await;

        self.call("POST", "/api/keys/add-multiple", named()).await;
        self.answers("a key to be taken out", &group, 200).await;
        let restoring = [("restore-multiple", named()), ("restore-all-invalid", all())];
        for (target, body) in restoring {
            self.mock.play(&key, [Play::status(401)]);
            assert_eq!(ask(self.node(), &group).await.status, 401);
            self.answered = Instant::now();
            self.answers("a key that was taken out", &group, 503).await;
            self.call("POST", &format!("/api/keys/{target}"), body).await;
            self.answers("a restored key", &group, 200).await;
        }
        self.mock.play(&key, [Play::status(401)]);
        assert_eq!(ask(self.node(), &group).await.status, 401);
        self.answered = Instant::now();
        self.answers("a key that was taken out", &group, 503).await;
        let task = self.call("POST", "/api/keys/validate-group", all()).await;
        self.task_ends(&task).await;
        self.answers("a key that passed its test", &group, 200).await;
    }

    async fn done(mut self) {
        self.settings().await;
        self.groups().await;
        self.keys().await;
        assert!(self.late.is_empty(), "later than {WITHIN:?}: {:#?}", self.late);
    }
}

/// operations.md R1, R2, proxy.md 91, 92, 93
#[tokio::test]
async fn a_change_on_any_node_is_in_effect_on_all_within_a_second() {
    let mock = MockUpstream::start().await;
    let cluster = Cluster::start(3, Engine::PostgreSql, true, |_, node| node).await;
    for caller in [0, 2] {
        Walk::on(&cluster, caller, &mock).done().await;
    }
}

/// operations.md S4, proxy.md 94
#[tokio::test]
async fn without_redis_a_change_is_in_effect_on_all_within_a_second() {
    let mock = MockUpstream::start().await;
    let cluster = Cluster::start(2, Engine::MySql, false, |_, node| node).await;
    for caller in [0, 1] {
        Walk::on(&cluster, caller, &mock).done().await;
    }
}

/// operations.md R2, proxy.md 91
#[tokio::test]
async fn while_redis_is_cut_off_a_change_is_in_effect_on_all_within_a_second() {
    let mock = MockUpstream::start().await;
    let redis = RedisServer::start(RedisOptions::default()).await;
    let proxy = FaultProxy::before(redis.address()).await;
    let dsn = redis.dsn_through(proxy.address());
    let database = FreshDatabase::create(Engine::MySql).await;
    let cluster = Cluster::start_on(2, database, None, |_, node| node.env("REDIS_DSN", &dsn)).await;
    for node in cluster.nodes() {
        node.says("Connected to Redis").await;
    }
    proxy.cut(Cut::Silent).await;
    Walk::on(&cluster, 1, &mock).done().await;
}
