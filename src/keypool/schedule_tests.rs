//! Passes over invalid keys, with the clock in hand.

use std::sync::Mutex;

use testkit::{MockUpstream, Play};

use super::*;
use crate::keypool::validation::tests::House;

struct Hand {
    schedule: Schedule,
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl Hand {
    fn new(house: &House) -> Self {
        let now = Arc::new(Mutex::new(Timestamp::parse_stored("2026-11-23 10:00:00+00:00").unwrap().0));
        let shown = Arc::clone(&now);
        let clock = Clock { now: Arc::new(move || *shown.lock().unwrap()), chance: Arc::new(|| 0.0) };
        Self { schedule: Schedule::new(house.validator.clone(), clock), now }
    }

    fn advance(&self, minutes: i64) {
        *self.now.lock().unwrap() += TimeDelta::minutes(minutes);
    }

    /// Starts what is due and waits for its end.
    async fn tick(&mut self) {
        self.schedule.start_due().await;
        while let Some(finished) = self.schedule.passes.join_next().await {
            self.schedule.finish(finished).await;
        }
    }
}

async fn last_validated_at(house: &House, group: &Group) -> Option<String> {
    let record = group::queries::find(house.database.readers(), group.id).await.unwrap();
    record.last_validated_at.map(Timestamp::to_stored)
}

#[tokio::test]
async fn an_invalid_key_that_works_again_is_back_in_rotation() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1", "sk-2"]).await;
    house.invalidate(&group);
    upstream.play_always("sk-2", Play::status(401));
    Hand::new(&house).tick().await;
    assert_eq!(house.active(&group).await, ["sk-1"]);
    assert_eq!(last_validated_at(&house, &group).await.as_deref(), Some("2026-11-23 10:00:00+00:00"));
}

#[tokio::test]
async fn active_keys_are_left_alone() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, "{}").await;
    house.add(&group, &["sk-1"]).await;
    Hand::new(&house).tick().await;
    assert_eq!(upstream.requests().len(), 0);
    assert!(last_validated_at(&house, &group).await.is_some());
}

#[tokio::test]
async fn a_group_is_due_an_interval_after_its_last_pass_also_after_a_restart() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_interval_minutes":30}"#).await;
    house.add(&group, &["sk-1"]).await;
    house.invalidate(&group);
    upstream.play_any_always(Play::status(500));
    let mut hand = Hand::new(&house);
    hand.tick().await;
    hand.advance(30);
    hand.tick().await;
    assert_eq!(upstream.requests().len(), 1);

    let restarted = Hand::new(&house);
    *restarted.now.lock().unwrap() = *hand.now.lock().unwrap();
    hand = restarted;
    hand.tick().await;
    assert_eq!(upstream.requests().len(), 1, "the time is stored");
    hand.advance(1);
    hand.tick().await;
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_key_that_stays_dead_is_tested_less_and_less_often() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_interval_minutes":60}"#).await;
    house.add(&group, &["sk-1"]).await;
    house.invalidate(&group);
    upstream.play_any_always(Play::status(401));
    let mut hand = Hand::new(&house);
    let mut tested_in = Vec::new();
    for pass in 0..64 {
        let before = upstream.requests().len();
        hand.tick().await;
        if upstream.requests().len() > before {
            tested_in.push(pass);
        }
        hand.advance(61);
    }
    assert_eq!(tested_in, [0, 1, 3, 7, 15, 31, 55], "1, 2, 4, 8, 16 hours, then once a day");
}

#[tokio::test]
async fn an_undecided_test_is_made_up_for_in_the_next_pass() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    let group = house.group("team", &upstream, r#"{"key_validation_interval_minutes":60}"#).await;
    house.add(&group, &["sk-1"]).await;
    house.invalidate(&group);
    upstream.play_any([Play::status(429), Play::status(503)]);
    let mut hand = Hand::new(&house);
    for _ in 0..3 {
        hand.tick().await;
        hand.advance(61);
    }
    assert_eq!(house.active(&group).await, ["sk-1"]);
}

#[tokio::test]
async fn a_slow_group_holds_up_no_other_one_and_a_pass_cut_short_is_not_noted() {
    let house = House::new().await;
    let (slow_upstream, upstream) = (MockUpstream::start().await, MockUpstream::start().await);
    let slow = house.group("slow", &slow_upstream, "{}").await;
    let quick = house.group("quick", &upstream, r#"{"key_validation_interval_minutes":1}"#).await;
    for group in [&slow, &quick] {
        house.add(group, &["sk-1"]).await;
        house.invalidate(group);
    }
    slow_upstream.play_any_always(Play::hang());
    let stop = CancellationToken::new();
    let running = tokio::spawn(Hand::new(&house).schedule.run(stop.clone()));
    slow_upstream.arrived(1).await;
    while last_validated_at(&house, &quick).await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(house.active(&quick).await, ["sk-1"]);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(last_validated_at(&house, &slow).await, None);
    assert_eq!(house.active(&slow).await, [""; 0]);
}

#[tokio::test]
async fn tests_of_all_groups_together_have_a_limit() {
    let (house, upstream) = (House::new().await, MockUpstream::start().await);
    upstream.play_any_always(Play::hang());
    let keys: Vec<String> = (0..50).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for name in ["a", "b"] {
        let group = house.group(name, &upstream, r#"{"key_validation_concurrency":50}"#).await;
        house.add(&group, &keys).await;
        house.invalidate(&group);
    }
    let mut hand = Hand::new(&house);
    hand.schedule.start_due().await;
    upstream.arrived(64).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(upstream.requests().len(), 64);
}

#[test]
fn chance_spreads_the_groups() {
    let now = Utc::now();
    let plan = |jitter| Plan {
        last: Some(now - TimeDelta::minutes(61)),
        not_before: None,
        jitter,
        is_running: false,
        histories: HashMap::new(),
    };
    assert!(plan(0.0).is_due(TimeDelta::hours(1), now));
    assert!(!plan(0.9).is_due(TimeDelta::hours(1), now));
}
