//! Creating, changing, ordering and deleting groups, and who may join whom.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{members::NewMember, *};
use crate::db::{self, Database, Timestamp, testing};

const UPSTREAMS: &str = r#"[{"url":"https://api.example","weight":1}]"#;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn standard(name: &str) -> NewGroup {
    NewGroup {
        name: name.into(),
        channel_type: "openai".into(),
        test_model: "m".into(),
        upstreams: Some(raw(UPSTREAMS)),
        ..NewGroup::default()
    }
}

fn aggregate(name: &str) -> NewGroup {
    NewGroup { name: name.into(), channel_type: "openai".into(), group_type: "aggregate".into(), ..NewGroup::default() }
}

fn rule(key: &str, value: &str, action: &str) -> HeaderRuleText {
    HeaderRuleText { key: key.into(), value: value.into(), action: action.into() }
}

fn redirects(rules: &[(&str, &str)]) -> BTreeMap<String, String> {
    rules.iter().map(|&(source, target)| (source.into(), target.into())).collect()
}

/// The refusal as `key argument=value`.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Invalid(Invalid { key, arguments, .. }) => {
            arguments.iter().fold(key.to_owned(), |text, (name, value)| format!("{text} {name}={value}"))
        }
        Error::Database(error) => format!("{error:?}"),
    }
}

async fn refused_new(change: impl FnOnce(&mut NewGroup)) -> String {
    let (_folder, database) = testing::fresh().await;
    let mut wanted = standard("g");
    change(&mut wanted);
    let refusal = refusal(create(&database, wanted).await);
    assert!(queries::all(database.readers()).await.unwrap().is_empty(), "nothing may be stored");
    refusal
}

#[tokio::test]
async fn a_new_group_is_stored_in_normal_form() {
    let (_folder, database) = testing::fresh().await;
    let wanted = NewGroup {
        display_name: " Team A ".into(),
        proxy_keys: " sk-a, sk-b ".into(),
        upstreams: Some(raw(
            r#" [ {"weight": 0, "url": " https://b.example/base/ ", "note": 1}, {"url":"http://a","weight":3}]"#,
        )),
        validation_endpoint: " /v1/x?y=1 ".into(),
        sort: 5,
        param_overrides: Some(raw(r#"{"seed": 12345678901234567890123, "t": 1.0}"#)),
        config: Some(raw(r#"{"max_retries": 2.0, "proxy_url": null}"#)),
        header_rules: vec![rule(" x-fOO ", " v ", "set"), rule("  ", "", ""), rule("user-agent", "", "remove")],
        model_redirect_rules: redirects(&[("b", "x"), ("a", " y ")]),
        model_redirect_strict: true,
        ..standard(" team-a ")
    };
    let id = create(&database, wanted).await.unwrap().id;
    let stored = queries::find(database.readers(), id).await.unwrap();
    assert_eq!((&*stored.name, &*stored.display_name, &*stored.proxy_keys), ("team-a", "Team A", "sk-a, sk-b"));
    assert_eq!((stored.group_type, &*stored.channel_type, stored.sort), (GroupType::Standard, "openai", 5));
    let same = |stored: &RawValue, wanted: &str| {
        // PostgreSQL spaces JSON its own way, and orders members by their length.
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let is_kept = database.engine() == db::Engine::PostgreSql || stored.get() == wanted;
        assert!(is_kept && read(stored.get()) == read(wanted), "{stored} {wanted}");
    };
    same(&stored.upstreams, r#"[{"url":"https://b.example/base/","weight":0},{"url":"http://a","weight":3}]"#);
    assert_eq!(stored.validation_endpoint, "/v1/x?y=1");
    same(&stored.param_overrides.unwrap(), r#"{"seed": 12345678901234567890123, "t": 1.0}"#);
    same(&stored.config.unwrap(), r#"{"max_retries":2}"#);
    same(
        &stored.header_rules.unwrap(),
        r#"[{"key":"X-Foo","value":" v ","action":"set"},{"key":"User-Agent","value":"","action":"remove"}]"#,
    );
    same(&stored.model_redirect_rules.unwrap(), r#"{"a":" y ","b":"x"}"#);
    assert!(stored.model_redirect_strict && stored.last_validated_at.is_none());
    assert!(stored.created_at.is_some() && stored.created_at == stored.updated_at);
}

/// Texts of a row.
type Stored = (String, String, String, String, String, String, String);

#[tokio::test]
async fn what_was_not_given_is_stored_as_the_original_stores_it() {
    let (_folder, database) = testing::fresh().await;
    create(&database, aggregate("all")).await.unwrap();
    let kind = if database.engine() == db::Engine::PostgreSql { "text" } else { "char" };
    let json = |column: &str| format!("CAST({column} AS {kind})");
    let text = format!(
        "SELECT {}, test_model, {}, {}, {}, {}, group_type FROM {}",
        json("upstreams"),
        json("param_overrides"),
        json("config"),
        json("header_rules"),
        json("model_redirect_rules"),
        database.engine().quoted("groups"),
    );
    let stored: Vec<Stored> = database.rows_of(&text).await;
    let expected = ["[]", "-", "null", "null", "[]", "{}", "aggregate"].map(str::to_owned);
    assert_eq!(stored, [expected.into()]);
}

#[tokio::test]
async fn names_keep_their_rule_and_are_unique() {
    for name in ["", "A", "a b", "ä", &"a".repeat(101), "a/b"] {
        assert_eq!(refused_new(|new| new.name = name.into()).await, "validation.invalid_group_name", "{name}");
    }
    let (_folder, database) = testing::fresh().await;
    create(&database, standard(&"a".repeat(100))).await.unwrap();
    assert_eq!(refusal(create(&database, standard(&"a".repeat(100))).await), "Duplicate");
}

#[tokio::test]
async fn types_models_and_places_are_checked() {
    let channels = "validation.invalid_channel_type types=openai, openai-response, gemini, anthropic";
    assert_eq!(refused_new(|new| new.channel_type = "OpenAI".into()).await, channels);
    assert_eq!(refused_new(|new| new.group_type = "both".into()).await, "validation.invalid_group_type");
    assert_eq!(refused_new(|new| new.test_model = "  ".into()).await, "validation.test_model_required");
    for place in ["v1/x", "https://x/y", "/x?u=http://y"] {
        assert_eq!(
            refused_new(|new| new.validation_endpoint = place.into()).await,
            "validation.invalid_test_path",
            "{place}"
        );
    }
    assert_eq!(refused_new(|new| new.sort = -1).await, "validation.reorder_sort_negative");
    let long = "x".repeat(513);
    let refusal = refused_new(|new| new.description = long).await;
    assert_eq!(refusal, "validation.text_too_long field=description max=512");
}

#[tokio::test]
async fn upstreams_are_checked() {
    let list = "upstreams must be a list of objects with url and weight";
    for (wanted, reason) in [
        ("null", "at least one upstream is required"),
        ("[]", "at least one upstream is required"),
        ("{}", list),
        (r#"[{"url":5,"weight":1}]"#, list),
        (r#"[{"url":"https://a","weight":"1"}]"#, list),
        (r#"[{"url":"  ","weight":1}]"#, "upstream URL cannot be empty"),
        (r#"[{"weight":1}]"#, "upstream URL cannot be empty"),
        (r#"[{"url":"ftp://a","weight":1}]"#, "invalid URL format for upstream: ftp://a"),
        (r#"[{"url":"HTTPS://a","weight":1}]"#, "invalid URL format for upstream: HTTPS://a"),
        (r#"[{"url":"http://","weight":1}]"#, "invalid URL format for upstream: http://"),
        (r#"[{"url":"https://a","weight":-1}]"#, "upstream weight must be a non-negative integer"),
        (r#"[{"url":"https://a","weight":1.0}]"#, "upstream weight must be a non-negative integer"),
        (r#"[{"url":"https://a"}]"#, "at least one upstream must have a weight greater than 0"),
    ] {
        let refusal = refused_new(|new| new.upstreams = Some(raw(wanted))).await;
        assert_eq!(refusal, format!("validation.invalid_upstreams error={reason}"), "{wanted}");
    }
    let refusal = refused_new(|new| new.upstreams = None).await;
    assert_eq!(refusal, "validation.invalid_upstreams error=upstreams field is required");
}

#[tokio::test]
async fn overrides_headers_and_redirects_are_checked() {
    let refusal = refused_new(|new| new.config = Some(raw(r#"{"colour":1}"#))).await;
    assert_eq!(refusal, "error.invalid_config_format error=unknown config field: 'colour'");
    let refusal = refused_new(|new| new.header_rules = vec![rule("x-a", "1", "set"), rule("X-A", "", "remove")]).await;
    assert_eq!(refusal, "validation.duplicate_header key=X-A");
    for (bad, reason) in [
        (rule("a b", "1", "set"), r#""a b" is not a header name"#),
        (rule("content-length", "1", "set"), "Content-Length belongs to the connection and cannot be set by a rule"),
        (rule("x-a", "a\r\nb", "set"), "the value for X-A holds a control character"),
        (rule("x-a", "1", "append"), "the action for X-A must be set or remove"),
    ] {
        let refusal = refused_new(|new| new.header_rules = vec![bad]).await;
        assert_eq!(refusal, format!("error.process_header_rules error={reason}"));
    }
    let refusal = refused_new(|new| new.model_redirect_rules = redirects(&[("a", " ")])).await;
    assert_eq!(refusal, "validation.invalid_model_redirect error=model names must not be blank");
    let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let refusal = refused_new(|new| new.param_overrides = Some(raw(&nested))).await;
    assert!(refusal.starts_with("validation.invalid_param_overrides error="), "{refusal}");
    let (_folder, database) = testing::fresh().await;
    let wanted = NewGroup { model_redirect_rules: redirects(&[("a", "b")]), ..aggregate("all") };
    assert_eq!(self::refusal(create(&database, wanted).await), "validation.aggregate_no_model_redirect");
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let (_folder, database) = testing::fresh().await;
    let wanted = NewGroup {
        display_name: "A".into(),
        config: Some(raw(r#"{"max_retries":1}"#)),
        model_redirect_rules: redirects(&[("a", "b")]),
        ..standard("a")
    };
    let before = create(&database, wanted).await.unwrap();
    let patch = GroupPatch {
        description: Some(" new ".into()),
        config: Some(raw("{}")),
        test_model: Some(String::new()),
        sort: Some(7),
        ..GroupPatch::default()
    };
    let answered = update(&database, before.id, patch).await.unwrap();
    let after = queries::find(database.readers(), before.id).await.unwrap();
    // Spaces within JSON are the engine's business.
    assert_eq!(format!("{answered:?}").replace(' ', ""), format!("{after:?}").replace(' ', ""));
    assert_eq!((&*after.description, after.sort, after.config.unwrap().get()), ("new", 7, "{}"));
    assert_eq!((after.display_name, after.test_model), (before.display_name, before.test_model));
    assert_eq!(after.model_redirect_rules.unwrap().get().replace(' ', ""), r#"{"a":"b"}"#);
    assert_eq!(after.created_at, before.created_at);
    assert!(after.updated_at > before.updated_at);
}

#[tokio::test]
async fn a_wrong_update_changes_nothing() {
    let (_folder, database) = testing::fresh().await;
    let id = create(&database, standard("a")).await.unwrap().id;
    create(&database, standard("b")).await.unwrap();
    for (patch, reason) in [
        (GroupPatch { name: Some(" ".into()), ..GroupPatch::default() }, "validation.invalid_group_name"),
        (GroupPatch { name: Some("b".into()), ..GroupPatch::default() }, "Duplicate"),
        (
            GroupPatch { upstreams: Some(raw("null")), ..GroupPatch::default() },
            "validation.invalid_upstreams error=at least one upstream is required",
        ),
        (GroupPatch { test_model: Some("  ".into()), ..GroupPatch::default() }, "validation.test_model_empty"),
    ] {
        let patch = GroupPatch { description: Some("changed".into()), ..patch };
        assert_eq!(refusal(update(&database, id, patch).await), reason);
    }
    assert_eq!(queries::find(database.readers(), id).await.unwrap().description, "");
    assert_eq!(refusal(update(&database, 99, GroupPatch::default()).await), "NotFound");
}

async fn member(database: &Database, wanted: NewGroup) -> NewMember {
    NewMember { group_id: create(database, wanted).await.unwrap().id, weight: 1 }
}

#[tokio::test]
async fn a_member_keeps_its_format_and_its_test_place() {
    let (_folder, database) = testing::fresh().await;
    let all = create(&database, aggregate("all")).await.unwrap().id;
    let a = member(&database, standard("a")).await;
    members::add(&database, all, &[a]).await.unwrap();
    let patch = |channel: &str, place: &str| GroupPatch {
        channel_type: Some(channel.into()),
        validation_endpoint: Some(place.into()),
        ..GroupPatch::default()
    };
    let locked = "validation.sub_group_referenced_cannot_modify count=1";
    assert_eq!(refusal(update(&database, a.group_id, patch("gemini", "")).await), locked);
    assert_eq!(refusal(update(&database, a.group_id, patch("openai", "/x")).await), locked);
    update(&database, a.group_id, patch("openai", "")).await.unwrap();
    let aggregate = update(&database, all, patch("gemini", "")).await.unwrap();
    assert_eq!(aggregate.channel_type, "openai", "an aggregate never changes its format");
}

#[tokio::test]
async fn only_groups_that_fit_may_join() {
    let (_folder, database) = testing::fresh().await;
    let all = create(&database, aggregate("all")).await.unwrap().id;
    let other = member(&database, aggregate("other")).await;
    let a = member(&database, standard("a")).await;
    let b = member(&database, standard("b")).await;
    let elsewhere = member(&database, NewGroup { validation_endpoint: "/x".into(), ..standard("elsewhere") }).await;
    let claude = member(&database, NewGroup { channel_type: "anthropic".into(), ..standard("claude") }).await;
    let with = |group_id, weight| NewMember { group_id, weight };

    for (wanted, reason) in [
        (vec![], "validation.sub_groups_required"),
        (vec![with(0, 1)], "validation.invalid_sub_group_id"),
        (vec![with(a.group_id, -1)], "validation.sub_group_weight_negative"),
        (vec![with(a.group_id, 1001)], "validation.sub_group_weight_max_exceeded"),
        (vec![a, with(99, 1)], "validation.sub_group_not_found"),
        (vec![a, a], "validation.sub_group_not_found"),
        (vec![a, other], "validation.sub_group_cannot_be_aggregate"),
        (vec![claude], "validation.sub_group_channel_mismatch"),
        (vec![a, elsewhere], "validation.sub_group_validation_endpoint_mismatch"),
    ] {
        assert_eq!(refusal(members::add(&database, all, &wanted).await), reason);
    }
    assert!(members::list(&database, all).await.unwrap().is_empty());
    assert_eq!(refusal(members::add(&database, a.group_id, &[b]).await), "group.not_aggregate");
    assert_eq!(refusal(members::add(&database, 99, &[b]).await), "group.not_found");

    members::add(&database, all, &[with(b.group_id, 1000), a]).await.unwrap();
    assert_eq!(
        refusal(members::add(&database, all, &[elsewhere]).await),
        "validation.sub_group_validation_endpoint_mismatch"
    );
    let twice = format!("group.sub_group_already_exists sub_group_id={}", b.group_id);
    assert_eq!(refusal(members::add(&database, all, &[b]).await), twice);
    let listed: Vec<_> =
        members::list(&database, all).await.unwrap().into_iter().map(|m| (m.group.name, m.weight)).collect();
    assert_eq!(listed, [("a".to_owned(), 1), ("b".to_owned(), 1000)]);
}

#[tokio::test]
async fn weights_change_and_members_leave() {
    let (_folder, database) = testing::fresh().await;
    let all = create(&database, aggregate("all")).await.unwrap().id;
    let a = member(&database, standard("a")).await;
    members::add(&database, all, &[a]).await.unwrap();
    members::set_weight(&database, all, a.group_id, 0).await.unwrap();
    let parents = members::parents(&database, a.group_id).await.unwrap();
    assert_eq!((parents.len(), &*parents[0].group.name, parents[0].weight), (1, "all", 0));
    assert_eq!(refusal(members::set_weight(&database, all, 99, 1).await), "group.sub_group_not_found");
    assert_eq!(
        refusal(members::set_weight(&database, all, a.group_id, 2000).await),
        "validation.sub_group_weight_max_exceeded"
    );
    members::remove(&database, all, a.group_id).await.unwrap();
    assert_eq!(refusal(members::remove(&database, all, a.group_id).await), "group.sub_group_not_found");
    assert!(members::parents(&database, a.group_id).await.unwrap().is_empty());
    assert_eq!(refusal(members::parents(&database, 99).await), "group.not_found");
}

#[tokio::test]
async fn gemini_groups_have_no_test_place_that_could_differ() {
    let (_folder, database) = testing::fresh().await;
    let gemini = |wanted: NewGroup| NewGroup { channel_type: "gemini".into(), ..wanted };
    let all = create(&database, gemini(aggregate("all"))).await.unwrap().id;
    let a = member(&database, gemini(standard("a"))).await;
    let b = member(&database, gemini(standard("b"))).await;
    members::add(&database, all, &[a]).await.unwrap();
    members::add(&database, all, &[b]).await.unwrap();
}

#[tokio::test]
async fn groups_are_ordered_all_or_none() {
    let (_folder, database) = testing::fresh().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(create(&database, standard(name)).await.unwrap().id);
    }
    for (positions, reason) in [
        (vec![], "validation.reorder_items_required"),
        (vec![(0, 1)], "validation.reorder_group_id"),
        (vec![(ids[0], -1)], "validation.reorder_sort_negative"),
        (vec![(ids[0], 1), (ids[0], 2)], "validation.reorder_duplicate_group id=1"),
        (vec![(ids[0], 50), (99, 1)], "validation.reorder_group_not_found"),
    ] {
        assert_eq!(refusal(reorder(&database, &positions).await), reason);
    }
    reorder(&database, &[(ids[0], 10), (ids[1], 5)]).await.unwrap();
    let shown = queries::all(database.readers()).await.unwrap();
    assert_eq!(shown.iter().map(|group| &*group.name).collect::<String>(), "cba");
    reorder(&database, &[(ids[2], 10)]).await.unwrap();
    let shown = queries::all(database.readers()).await.unwrap();
    assert_eq!(shown.iter().map(|group| &*group.name).collect::<String>(), "bca", "newer first among equals");
}

#[tokio::test]
async fn a_finished_validation_is_noted() {
    let (_folder, database) = testing::fresh().await;
    let id = create(&database, standard("a")).await.unwrap().id;
    let at = Timestamp::parse_stored("2025-07-02 09:30:00.5+08:00").unwrap();
    queries::set_last_validated_at(&database, id, at).await.unwrap();
    assert_eq!(queries::find(database.readers(), id).await.unwrap().last_validated_at, Some(at));
}

#[tokio::test]
async fn rows_of_the_original_are_read_and_can_be_changed() {
    let (_folder, database) = testing::upgraded_from_1_0_13().await;
    let rows = queries::all(database.readers()).await.unwrap();
    let [claude, main] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&*claude.name, claude.sort, claude.created_at), ("claude", 0, None));
    // SQL NULL is an empty map, JSON null is no map at all.
    assert_eq!(claude.param_overrides.as_ref().map(|json| json.get()), Some("{}"));
    assert!(claude.config.is_none() && claude.header_rules.is_none() && main.param_overrides.is_none());
    assert_eq!(main.group_type, GroupType::Standard);
    assert_eq!(main.last_validated_at.unwrap().to_string(), "2025-07-02T01:30:00.5Z");
    assert_eq!(main.upstreams.get(), r#"[{"url":"https://api.openai.com","weight":1}]"#);

    let patch = GroupPatch { display_name: Some("Main".into()), ..GroupPatch::default() };
    update(&database, main.id, patch).await.unwrap();
    let created: String = database.value_of("SELECT created_at FROM groups WHERE id = 1").await;
    assert_eq!(created, "2025-07-01 01:00:00+00:00", "the same instant, in UTC");
    assert!(matches!(queries::find(database.readers(), 99).await, Err(db::Error::NotFound)));
}
