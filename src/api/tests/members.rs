//! Members of aggregate groups and their weights.

use serde_json::{Value, json};

use super::House;

async fn aggregate(house: &House) -> i64 {
    house.group("all", json!({"group_type": "aggregate", "display_name": "All"})).await
}

fn one(id: i64, weight: i64) -> Value {
    json!({"sub_groups": [{"group_id": id, "weight": weight}]})
}

#[tokio::test]
async fn members_are_added_listed_weighted_and_removed() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let (a, b) = (house.group("a", json!({})).await, house.group("b", json!({})).await);
    house.post("/api/keys/add-multiple", json!({"group_id": a, "keys_text": "sk-1 sk-2"})).await.data();
    let path = format!("/api/groups/{all}/sub-groups");
    assert_eq!(house.get(&path).await.data(), json!([]));
    let body = json!({"sub_groups": [{"group_id": b}, {"group_id": a, "weight": 10}]});
    house.post(&path, body).await.says("The member groups have been added");

    let list = house.get(&path).await.data();
    let seen: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            assert_eq!(member["group"]["endpoint"], "");
            assert_eq!(member["group"]["effective_config"]["max_retries"], 0);
            assert_eq!(member["group"]["upstreams"][0]["url"], "https://api.openai.com");
            json!([
                member["group"]["name"],
                member["weight"],
                member["total_keys"],
                member["active_keys"],
                member["invalid_keys"]
            ])
        })
        .collect();
    assert_eq!(seen, [json!(["a", 10, 2, 2, 0]), json!(["b", 0, 0, 0, 0])]);

    let parents = house.get(&format!("/api/groups/{a}/parent-aggregate-groups")).await.data();
    assert_eq!(parents, json!([{"group_id": all, "name": "all", "display_name": "All", "weight": 10}]));

    let reply = house.put(&format!("{path}/{a}/weight"), json!({"weight": 1000})).await;
    reply.says("The member's weight has been changed");
    assert_eq!(house.get(&path).await.data()[0]["weight"], 1000);
    house.delete(&format!("{path}/{a}")).await.says("The member group has been removed");
    assert_eq!(house.get(&path).await.data()[0]["group"]["name"], "b");
}

#[tokio::test]
async fn a_member_whose_keys_cannot_be_counted_is_listed_without_any() {
    let house = House::open().await;
    let (all, a) = (aggregate(&house).await, house.group("a", json!({})).await);
    house.post("/api/keys/add-multiple", json!({"group_id": a, "keys_text": "sk-1"})).await.data();
    let path = format!("/api/groups/{all}/sub-groups");
    house.post(&path, one(a, 5)).await.says("The member groups have been added");
    house.execute("ALTER TABLE api_keys RENAME TO elsewhere").await;
    let member = house.get(&path).await.data()[0].clone();
    let seen = [&member["group"]["name"], &member["weight"], &member["total_keys"], &member["invalid_keys"]];
    assert_eq!(seen, [&json!("a"), &json!(5), &json!(0), &json!(0)]);
}

#[tokio::test]
async fn who_may_become_a_member_is_checked() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let a = house.group("a", json!({})).await;
    let gemini = house.group("g", json!({"channel_type": "gemini"})).await;
    let elsewhere = house.group("e", json!({"validation_endpoint": "/v1/other"})).await;
    let path = format!("/api/groups/{all}/sub-groups");
    house.post(&path, one(a, 1)).await.says("The member groups have been added");
    for (body, code, message) in [
        (json!({}), "VALIDATION_FAILED", "At least one member group is required"),
        (json!({"sub_groups": []}), "VALIDATION_FAILED", "At least one member group is required"),
        (one(0, 1), "VALIDATION_FAILED", "The id of the member group is not valid"),
        (one(a, -1), "VALIDATION_FAILED", "A weight must not be negative"),
        (one(a, 1001), "VALIDATION_FAILED", "A weight can be 1000 at most"),
        (one(99, 1), "VALIDATION_FAILED", "A member group does not exist, or is listed twice"),
        (
            json!({"sub_groups": [{"group_id": a}, {"group_id": a}]}),
            "VALIDATION_FAILED",
            "A member group does not exist, or is listed twice",
        ),
        (one(all, 1), "VALIDATION_FAILED", "An aggregate group cannot be a member"),
        (one(gemini, 1), "VALIDATION_FAILED", "A member needs the channel type of the aggregate group"),
        (one(elsewhere, 1), "VALIDATION_FAILED", "All members need the same test path"),
        (one(a, 1), "BAD_REQUEST", "Group 2 is already a member of this aggregate group"),
    ] {
        house.post(&path, body).await.refuses(400, code, message);
    }
    house.post(&path, one(-1, 1)).await.refuses_naming(400, "INVALID_JSON", "group_id");
    assert_eq!(house.get(&path).await.data().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_default_test_path_equals_the_same_path_written_out() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let a = house.group("a", json!({})).await;
    let b = house.group("b", json!({"validation_endpoint": "/v1/chat/completions"})).await;
    let body = json!({"sub_groups": [{"group_id": a}, {"group_id": b}]});
    let reply = house.post(&format!("/api/groups/{all}/sub-groups"), body).await;
    reply.says("The member groups have been added");
}

#[tokio::test]
async fn only_aggregate_groups_have_members() {
    let house = House::open().await;
    let a = house.group("a", json!({})).await;
    for (group, status, code, message) in [
        (99, 404, "NOT_FOUND", "This group does not exist"),
        (a, 400, "BAD_REQUEST", "This group is not an aggregate group"),
    ] {
        let path = format!("/api/groups/{group}/sub-groups");
        house.get(&path).await.refuses(status, code, message);
        house.post(&path, one(1, 1)).await.refuses(status, code, message);
        house.put(&format!("{path}/1/weight"), json!({"weight": 1})).await.refuses(status, code, message);
        house.delete(&format!("{path}/1")).await.refuses(status, code, message);
    }
    house.get("/api/groups/99/parent-aggregate-groups").await.refuses(404, "NOT_FOUND", "This group does not exist");
}

#[tokio::test]
async fn a_weight_must_be_given_and_in_bounds() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let a = house.group("a", json!({})).await;
    let path = format!("/api/groups/{all}/sub-groups");
    let weight = format!("{path}/{a}/weight");
    house.put(&weight, json!({"weight": 1})).await.refuses(
        404,
        "NOT_FOUND",
        "This group is not a member of the aggregate group",
    );
    house.delete(&format!("{path}/{a}")).await.refuses(
        404,
        "NOT_FOUND",
        "This group is not a member of the aggregate group",
    );
    house.post(&path, one(a, 5)).await.says("The member groups have been added");
    house.put(&weight, json!({"weight": -1})).await.refuses(400, "VALIDATION_FAILED", "A weight must not be negative");
    house.put(&weight, json!({"weight": 1001})).await.refuses(400, "VALIDATION_FAILED", "A weight can be 1000 at most");
    for body in [json!({}), json!({"weight": null}), json!({"weight": "1"})] {
        house.put(&weight, body).await.refuses_naming(400, "INVALID_JSON", "weight");
    }
    house.put(&format!("{path}/x/weight"), json!({"weight": 1})).await.refuses(
        400,
        "BAD_REQUEST",
        "The id of the member group is not valid",
    );
    assert_eq!(house.get(&path).await.data()[0]["weight"], 5);
}

#[tokio::test]
async fn a_member_keeps_its_channel_and_test_path() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let a = house.group("a", json!({})).await;
    house.post(&format!("/api/groups/{all}/sub-groups"), one(a, 1)).await.says("The member groups have been added");
    let path = format!("/api/groups/{a}");
    for body in [json!({"channel_type": "gemini"}), json!({"validation_endpoint": "/v1/other"})] {
        house.put(&path, body).await.refuses_naming(400, "VALIDATION_FAILED", "that this group is a member of: 1");
    }
    house.put(&path, json!({"channel_type": "openai", "validation_endpoint": "", "sort": 1})).await.data();
}

#[tokio::test]
async fn deleting_a_group_ends_its_memberships() {
    let house = House::open().await;
    let all = aggregate(&house).await;
    let a = house.group("a", json!({})).await;
    let path = format!("/api/groups/{all}/sub-groups");
    house.post(&path, one(a, 1)).await.says("The member groups have been added");
    house.delete(&format!("/api/groups/{a}")).await.says("The group and all of its keys have been deleted");
    assert_eq!(house.get(&path).await.data(), json!([]));
}
