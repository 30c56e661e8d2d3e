//! Keeps the connection to Redis: notices out, notices in, a heartbeat, and again when it is lost.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use redis::aio::PubSubStream;
use tokio::time::{MissedTickBehavior, sleep};
use tokio_stream::StreamExt as _;

use super::{
    Shared, State,
    link::{Hearer, Link, Speaker},
    problem::Problem,
};

/// Between two heartbeats on each connection.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// Between two tries to connect, growing from the first to the second.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that lasts so long is there to stay: only then it is announced again, and the next loss is met with the
/// shortest pause. One that breaks at once, again and again, would otherwise fill the log.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Between two notices of ours, so that a node that changes something all the time does not keep the others looking into
/// the database all the time.
pub(super) const BREATH: Duration = Duration::from_millis(20);

/// What the log was told last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Connected,
    Lost,
}

/// Never returns.
pub(super) async fn keep_connected(shared: &Shared) -> Infallible {
    let mut told = Told::Nothing;
    let mut pause = PAUSE_MIN;
    loop {
        let problem = match Link::open(&shared.target, &shared.node).await {
            Ok(link) => {
                let since = Instant::now();
                let problem = use_while_it_lasts(shared, link, &mut told).await;
                if since.elapsed() >= SETTLED_AFTER {
                    pause = PAUSE_MIN;
                }
                problem
            }
            Err(problem) => problem,
        };
        tell_loss(&mut told, &problem);
        shared.state.send_modify(|state| {
            let since = match state {
                State::Away { since, .. } => *since,
                _ => Instant::now(),
            };
            *state = State::Away { since, problem: problem.to_string() };
        });
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Returns why the connection ended.
async fn use_while_it_lasts(shared: &Shared, link: Link, told: &mut Told) -> Problem {
    let Link { place, speaker, hearer, messages } = link;
    shared.state.send_replace(State::Connected);
    // What was sent until now was heard by nobody here.
    shared.wake();
    tokio::select! {
        problem = hear(shared, &place, messages) => problem,
        problem = speak(shared, &speaker) => problem,
        problem = beat(&speaker, hearer) => problem,
        never = tell_when_settled(told, &place) => match never {},
    }
}

async fn hear(shared: &Shared, place: &str, mut messages: PubSubStream) -> Problem {
    while let Some(message) = messages.next().await {
        // Our own changes are known here.
        if message.get_payload_bytes() != shared.node.as_bytes() {
            shared.wake();
        }
    }
    Problem::closed(place, false)
}

async fn speak(shared: &Shared, speaker: &Speaker) -> Problem {
    loop {
        shared.wanted.notified().await;
        // If it is lost on its way, the next connection begins with a notice.
        if let Err(problem) = speaker.publish(&shared.node).await {
            return problem;
        }
        sleep(BREATH).await;
    }
}

/// A peer that is gone without a farewell is noticed only by what it does not answer.
async fn beat(speaker: &Speaker, mut hearer: Hearer) -> Problem {
    let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(problem) = tokio::try_join!(speaker.ping(), hearer.ping()) {
            return problem;
        }
    }
}

async fn tell_when_settled(told: &mut Told, place: &str) -> Infallible {
    match told {
        Told::Nothing => tracing::info!(redis.address = place, "Connected to Redis at {place}"),
        Told::Lost => {
            sleep(SETTLED_AFTER).await;
            tracing::info!(redis.address = place, "Redis is back at {place}");
        }
        Told::Connected => {}
    }
    *told = Told::Connected;
    std::future::pending().await
}

fn tell_loss(told: &mut Told, problem: &Problem) {
    const MEANWHILE: &str = "nothing stops, and changes made on other nodes arrive by the database meanwhile";
    match told {
        Told::Nothing => tracing::warn!("Started without Redis: {problem}; {MEANWHILE}"),
        Told::Connected => tracing::warn!("Lost Redis: {problem}; {MEANWHILE}"),
        Told::Lost => {}
    }
    *told = Told::Lost;
}
