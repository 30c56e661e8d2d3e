//! What a snapshot holds, also when the stored rows hold nonsense.

use std::time::Instant;

use super::*;
use crate::{
    crypto,
    db::testing,
    group::{self, NewGroup, members::NewMember},
};

async fn execute(database: &Database, statement: &'static str) {
    database.run(statement).await;
}

async fn create(database: &Database, name: &str) -> GroupId {
    let wanted = NewGroup {
        name: name.into(),
        channel_type: "openai".into(),
        test_model: "m".into(),
        upstreams: Some(raw(r#"[{"url":"https://a.example","weight":2},{"url":"https://b.example","weight":1}]"#)),
        ..NewGroup::default()
    };
    group::create(database, wanted).await.unwrap().id
}

async fn create_aggregate(database: &Database, name: &str, members: &[(GroupId, i64)]) -> GroupId {
    let wanted = NewGroup {
        name: name.into(),
        channel_type: "openai".into(),
        group_type: "aggregate".into(),
        ..NewGroup::default()
    };
    let id = group::create(database, wanted).await.unwrap().id;
    let members: Vec<_> = members.iter().map(|&(group_id, weight)| NewMember { group_id, weight }).collect();
    group::members::add(database, id, &members).await.unwrap();
    id
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn members(group: &Group) -> Vec<(&str, u32)> {
    match &group.kind {
        Kind::Standard => panic!("not an aggregate"),
        Kind::Aggregate(members) => members.entries.iter().map(|m| (&*m.group.name, m.weight)).collect(),
    }
}

#[tokio::test]
async fn groups_of_the_original_are_ready_to_serve() {
    let (_folder, database) = testing::upgraded_from_1_0_13().await;
    let directory = Directory::open(database).await.unwrap();
    let snapshot = directory.current();
    assert!(snapshot.global_proxy_keys.contains(&crypto::digest("sk-global")));

    let main = &snapshot.by_name["openai-main"];
    assert_eq!(main.channel, Channel::OpenAi);
    assert_eq!(main.settings.max_retries, 2);
    assert_eq!(main.validation_endpoint, "/v1/chat/completions");
    assert!(main.upstreams.pick(&[], Instant::now()).is_some());
    assert!(main.param_overrides.is_empty() && main.header_rules.is_empty() && main.redirects.rules.is_empty());

    let claude = &snapshot.by_name["claude"];
    assert_eq!((claude.channel, claude.sort, &*claude.display_name), (Channel::Anthropic, 0, "Claude"));
    assert_eq!(claude.settings.max_retries, 5, "inherited from the stored settings");
    assert!(claude.upstreams.pick(&[], Instant::now()).is_some());
}

#[tokio::test]
async fn what_cannot_be_used_is_left_out_alone() {
    let (_folder, database) = testing::fresh_file().await;
    let id = create(&database, "odd").await;
    create(&database, "stranger").await;
    create(&database, "nowhere").await;
    assert_eq!(id, 1);
    execute(
        &database,
        r#"UPDATE groups SET
             config = '{"max_retries": "many", "request_timeout": 30, "failover_status_codes": "5xx"}',
             header_rules = '[{"key":"X-Good","value":"1","action":"set"}, {"key":"bad name","value":"1","action":"set"},
                 {"key":"X-Gone","action":"remove"}, {"key":"Content-Length","value":"7","action":"set"}, 5,
                 {"key":"X-Odd","value":"1","action":"append"}, {"key":"X-Line","value":"a\nb","action":"set"}]',
             model_redirect_rules = '{"b":"2","wrong":7,"a":"1"}', model_redirect_strict = true,
             param_overrides = '{"seed": 12345678901234567890123, "temperature": 1.0}'
           WHERE name = 'odd';
           UPDATE groups SET channel_type = 'telegraph' WHERE name = 'stranger';
           UPDATE groups SET upstreams = 'gone', param_overrides = '[1]', header_rules = '7', config = '1' WHERE name = 'nowhere'"#,
    )
    .await;
    let directory = Directory::open(database).await.unwrap();
    let snapshot = directory.current();
    let odd = &snapshot.by_name["odd"];
    assert_eq!(odd.settings.request_timeout.as_secs(), 30);
    assert_eq!(odd.settings.max_retries, 3);
    assert!(odd.settings.failover_status_codes.contains(500));
    let rules: Vec<_> = odd.header_rules.iter().map(|rule| format!("{} {:?}", rule.name, rule.action)).collect();
    assert_eq!(rules, [r#"x-good Set("1")"#, "x-gone Remove"]);
    assert_eq!(odd.redirects.rules, [("b".into(), "2".into()), ("a".into(), "1".into())]);
    assert!(odd.redirects.strict);
    let overrides = serde_json::to_string(&Map::from_iter(odd.param_overrides.clone())).unwrap();
    assert_eq!(overrides, r#"{"seed":12345678901234567890123,"temperature":1.0}"#);

    assert!(!snapshot.by_name.contains_key("stranger"));
    let nowhere = &snapshot.by_name["nowhere"];
    assert!(nowhere.upstreams.pick(&[], Instant::now()).is_none());
    assert!(nowhere.param_overrides.is_empty());
}

#[tokio::test]
async fn an_aggregate_has_its_members_in_the_order_in_which_they_joined() {
    let (_folder, database) = testing::fresh().await;
    let (a, b, c) = (create(&database, "a").await, create(&database, "b").await, create(&database, "c").await);
    let id = create_aggregate(&database, "all", &[(c, 3), (b, 0)]).await;
    group::members::add(&database, id, &[NewMember { group_id: a, weight: 1 }]).await.unwrap();
    execute(&database, "INSERT INTO group_sub_groups (group_id, sub_group_id, weight) VALUES (4, 999, 5)").await;

    let directory = Directory::open(database).await.unwrap();
    let snapshot = directory.current();
    assert_eq!(members(&snapshot.by_name["all"]), [("c", 3), ("a", 1)]);
}

/// proxy.md 25, 27
#[tokio::test]
async fn a_member_serves_through_an_aggregate_under_the_rules_of_both() {
    let (_folder, database) = testing::fresh().await;
    let (a, b) = (create(&database, "a").await, create(&database, "b").await);
    create_aggregate(&database, "all", &[(a, 1), (b, 1)]).await;
    execute(
        &database,
        r#"UPDATE groups SET config = '{"max_retries":7,"request_timeout":70,"connect_timeout":7}',
             header_rules = '[{"key":"X-Both","value":"member","action":"set"}]', param_overrides = '{"a":1,"/x":{"b":1}}',
             model_redirect_rules = '{"one":"1","two":"2"}', model_redirect_strict = true WHERE name = 'a';
           UPDATE groups SET model_redirect_rules = '{"two":"zwei","three":"drei"}' WHERE name = 'b';
           UPDATE groups SET config = '{"max_retries":1,"connect_timeout":1,"blacklist_threshold":1,"stream_idle_timeout":9}',
             header_rules = '[{"key":"X-Both","value":"aggregate","action":"set"}]', param_overrides = '{"b":2}'
             WHERE name = 'all'"#,
    )
    .await;
    let directory = Directory::open(database).await.unwrap();
    let snapshot = directory.current();
    let Kind::Aggregate(members) = &snapshot.by_name["all"].kind else { panic!("not an aggregate") };
    let (through, alone) = (&members.entries[0].group, &snapshot.by_name["a"]);
    let settings = |group: &Group| {
        let seconds =
            [group.settings.request_timeout, group.settings.connect_timeout, group.settings.stream_idle_timeout];
        (seconds.map(|time| time.as_secs()), group.settings.max_retries, group.settings.blacklist_threshold)
    };
    assert_eq!(settings(through), ([70, 7, 9], 1, 3));
    assert_eq!(settings(alone), ([70, 7, 300], 7, 3));
    let values = |group: &Group| group.header_rules.iter().map(|rule| format!("{:?}", rule.action)).collect::<Vec<_>>();
    assert_eq!(values(through), [r#"Set("member")"#, r#"Set("aggregate")"#]);
    assert_eq!(values(alone), [r#"Set("member")"#]);
    let overrides = |group: &Group| -> Vec<(String, Json)> {
        group.overrides_for("/v1/x").into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    };
    let expected = [("a", 1), ("b", 1), ("b", 2)].map(|(name, value)| (name.to_owned(), Json::from(value)));
    assert_eq!((overrides(through), overrides(alone)), (expected.to_vec(), expected[..2].to_vec()));
    assert_eq!(through.listed_models, ["one", "two", "three"]);
    assert_eq!(alone.listed_models, ["one", "two"]);
    assert_eq!(members.listing_order, [1, 0], "the strict one comes last");
    assert!(Arc::ptr_eq(&through.upstreams, &alone.upstreams), "they rest together");
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change() {
    let (_folder, database) = testing::fresh().await;
    let (a, b) = (create(&database, "a").await, create(&database, "b").await);
    let all = create_aggregate(&database, "all", &[(a, 1), (b, 1)]).await;
    let directory = Directory::open(database.clone()).await.unwrap();
    let before = directory.current().clone();

    group::members::set_weight(&database, all, b, 5).await.unwrap();
    execute(
        &database,
        "UPDATE groups SET upstreams = '[{\"url\":\"https://c.example\",\"weight\":1}]' WHERE name = 'b'",
    )
    .await;
    directory.reload().await.unwrap();
    let after = directory.current().clone();
    assert!(Arc::ptr_eq(&before.by_name["a"].upstreams, &after.by_name["a"].upstreams));
    assert!(!Arc::ptr_eq(&before.by_name["b"].upstreams, &after.by_name["b"].upstreams));
    assert_eq!(members(&before.by_name["all"]), [("a", 1), ("b", 1)], "requests in flight keep what they took");
    assert_eq!(members(&after.by_name["all"]), [("a", 1), ("b", 5)]);

    directory.reload().await.unwrap();
    let (Kind::Aggregate(then), Kind::Aggregate(now)) =
        (&after.by_name["all"].kind, &directory.current().by_name["all"].kind)
    else {
        panic!("not an aggregate");
    };
    assert!(Arc::ptr_eq(&then.choice, &now.choice));
}

#[tokio::test]
async fn a_reload_that_fails_leaves_everything_in_effect() {
    let (_folder, database) = testing::fresh().await;
    create(&database, "a").await;
    let directory = Directory::open(database.clone()).await.unwrap();
    let before = directory.current().clone();
    execute(&database, "ALTER TABLE groups RENAME TO elsewhere").await;
    assert!(directory.reload().await.is_err());
    assert!(directory.current().by_name.contains_key("a"));
    execute(&database, "ALTER TABLE elsewhere RENAME TO groups").await;
    directory.reload().await.unwrap();
    assert!(Arc::ptr_eq(&before.by_name["a"].upstreams, &directory.current().by_name["a"].upstreams));
}

#[tokio::test]
async fn a_time_that_nobody_can_read_keeps_no_group_from_serving() {
    let (_folder, database) = testing::fresh_file().await;
    create(&database, "a").await;
    create(&database, "b").await;
    execute(&database, "UPDATE groups SET created_at = 'yesterday', last_validated_at = 5 WHERE name = 'a'").await;
    let directory = Directory::open(database).await.unwrap();
    assert_eq!(directory.current().by_name.len(), 2);
}
