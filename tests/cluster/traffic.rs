//! Clients that keep asking, each on a connection that it keeps, and remember every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::{RawConnection, Tail, TempServer};
use tokio::task::JoinHandle;

use crate::support::{CHAT, PATIENCE, POLL_INTERVAL, question};

/// A request that was answered with 200 to its last byte.
#[derive(Clone, Debug)]
pub struct Answered {
    pub id: String,
    pub ended: Instant,
    pub took: Duration,
}

pub struct Traffic {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<(Vec<Answered>, Option<String>)>>,
}

impl Traffic {
    /// So many clients for each of these nodes, which pause for this long after each answer.
    pub fn towards(nodes: &[SocketAddr], clients: usize, pause: Duration) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |node: &SocketAddr| tokio::spawn(keep_asking(*node, pause, stop.clone(), answered.clone()));
        let clients = nodes.iter().flat_map(|node| std::iter::repeat_n(node, clients)).map(client).collect();
        Self { stop, answered, clients }
    }

    /// Waits for so many more answers.
    pub async fn goes_on(&self, answers: usize) {
        let (begun, wanted) = (Instant::now(), self.answered.load(Ordering::Relaxed) + answers);
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < PATIENCE, "the traffic rests");
            assert!(!self.clients.iter().all(JoinHandle::is_finished), "the traffic has ended");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends it; what was answered.
    ///
    /// # Panics
    /// When one request failed.
    pub async fn end(self) -> Vec<Answered> {
        let mut answered = Vec::new();
        for (of_client, problem) in self.end_somehow().await {
            assert_eq!(problem, None, "a request failed after {} answers", of_client.len());
            answered.extend(of_client);
        }
        answered
    }

    /// Ends it; for each client what was answered, and what failed then where something did.
    pub async fn end_somehow(self) -> Vec<(Vec<Answered>, Option<String>)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ended = Vec::new();
        for client in self.clients {
            ended.push(client.await.expect("a client does not panic"));
        }
        ended
    }
}

/// The bytes of one request.
pub fn request(group: &str, is_streamed: bool) -> String {
    let mut question = question();
    if is_streamed {
        question["stream"] = true.into();
    }
    let body = question.to_string();
    format!(
        "POST /proxy/{group}{CHAT} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        TempServer::CLIENT_KEY,
        body.len()
    )
}

async fn keep_asking(
    node: SocketAddr,
    pause: Duration,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> (Vec<Answered>, Option<String>) {
    let request = request("g", false);
    let mut answered = Vec::new();
    let mut connection = RawConnection::open(node).await;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = match connection.try_send(&request).await {
            Ok(()) => connection.try_response_to("POST").await,
            Err(error) => return (answered, Some(format!("{node}: {error}"))),
        };
        let Some(answer) = answer else { return (answered, Some(format!("{node}: closed without an answer"))) };
        if answer.status != 200 || answer.tail != Tail::Complete {
            let problem = format!("{node}: {} {:?} {}", answer.status, answer.tail, answer.text());
            return (answered, Some(problem));
        }
        let id = answer.header("x-gpt-load-request-id").expect("every answer has an id").to_owned();
        answered.push(Answered { id, ended: Instant::now(), took: began.elapsed() });
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
    (answered, None)
}
