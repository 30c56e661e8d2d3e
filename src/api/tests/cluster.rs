//! Who shares the database, as the operator sees it.

use serde_json::json;

use super::House;
use crate::cluster::{Heartbeat, Role};

#[tokio::test]
async fn the_nodes_that_were_seen_are_shown_with_what_they_share() {
    let house = House::open().await;
    let engine = house.database.engine();
    Heartbeat::new(house.database.clone(), Role::Slave, "here:3001".to_owned()).beat().await.unwrap();
    let mut seen = house.get("/api/cluster").await.data();
    for node in seen["nodes"].as_array_mut().unwrap() {
        assert!(node["seen_at"].as_i64() >= node["started_at"].as_i64(), "by the database's clock");
        node.as_object_mut().unwrap().retain(|member, _| !member.ends_with("_at"));
    }
    let node = json!({
        "id": house.database.node(), "role": "slave", "release": env!("CARGO_PKG_VERSION"), "address": "here:3001",
        "is_alive": true, "is_on_duty": false, "is_this_one": true,
    });
    // A file is one node's.
    let nodes = if engine.is_sqlite() { json!([]) } else { json!([node]) };
    let expected = json!({
        "database": engine.name(), "redis": "unused", "redis_problem": "", "is_behind": false, "nodes": nodes,
    });
    assert_eq!(seen, expected);
}
