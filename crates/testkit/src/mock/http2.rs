//! HTTP/2 with prior knowledge, for proxies that speak it to their upstreams.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame as HttpFrame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{Answer, Body, Frame, answer};
use super::control;
use super::http1::Intake;
use super::memory::{Memory, Seen};
use super::request::{Head, Request};
use super::script::Ending;

pub(crate) async fn serve(stream: TcpStream, connection: usize, memory: &Arc<Memory>) {
    let service = service_fn(|request| exchange(request, connection, Arc::clone(memory)));
    // A broken connection ends the service of this client and concerns nobody else.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn exchange(
    request: http::Request<Incoming>,
    connection: usize,
    memory: Arc<Memory>,
) -> io::Result<http::Response<ReplyBody>> {
    // Dropped early by hyper when the client resets the stream.
    let unfinished = Unfinished { memory: Arc::clone(&memory), armed: true };
    let (parts, mut body) = request.into_parts();
    let head = Head::of_http2(&parts).ok_or(io::ErrorKind::InvalidData)?;
    let key = head.key();
    let control = control::is_for(&head);
    let play = if control { None } else { memory.next_play(&key) };
    let mut intake = Intake::new(memory.options.record);
    let mut complete = !play.as_ref().is_some_and(|play| play.before_body);
    while complete {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => intake.take(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) => complete = false,
        }
    }
    let (body, body_bytes, body_sha256) = intake.finish();
    let request = Request { head, body, body_bytes, body_sha256 };
    if memory.options.record && !control {
        memory.remember(Seen {
            method: request.head.method().to_owned(),
            target: request.head.target().to_owned(),
            version: "HTTP/2.0".to_owned(),
            headers: request.head.headers(),
            key,
            body: request.body.clone(),
            body_bytes,
            body_sha256: request.body_sha256.clone(),
            complete,
            connection,
            arrived_at: std::time::Instant::now(),
        });
    }
    let reply = if control { control::answer(&request, &memory) } else { answer(&request, play.as_ref(), &memory) };
    sleep(reply.delay).await;
    match reply.ending {
        Ending::Reset | Ending::Close => {
            unfinished.finish();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ending::Hang => pending().await,
        _ => {}
    }
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response.body(ReplyBody::new(reply, unfinished)).map_err(io::Error::other)
}

/// Counts a cancellation unless the answer ended.
struct Unfinished {
    memory: Arc<Memory>,
    armed: bool,
}

impl Unfinished {
    fn finish(mut self) {
        self.armed = false;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.armed {
            self.memory.was_cancelled();
        }
    }
}

/// The frames of an answer, each when it is due, and then its ending.
struct ReplyBody {
    frames: std::vec::IntoIter<Frame>,
    gap: Duration,
    due: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    cut: bool,
    unfinished: Option<Unfinished>,
}

impl ReplyBody {
    fn new(reply: Answer, unfinished: Unfinished) -> Self {
        let ending = reply.ending;
        let limit = match ending {
            Ending::CloseAfter(count) | Ending::ResetAfter(count) | Ending::HangAfter(count) => Some(count),
            _ => None,
        };
        let (mut frames, gap) = match reply.body {
            Body::Stream { frames, gap } => (frames, gap),
            Body::Whole(body) => {
                let end = limit.map_or(body.len(), |limit| limit.min(body.len()));
                (vec![Frame::new(body.slice(..end), false)], Duration::ZERO)
            }
        };
        frames.truncate(limit.unwrap_or(usize::MAX).max(1));
        if limit == Some(0) {
            frames.clear();
        }
        Self { frames: frames.into_iter(), gap, due: None, ending, cut: limit.is_some(), unfinished: Some(unfinished) }
    }

    fn finished(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            unfinished.finish();
        }
    }
}

impl HttpBody for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<HttpFrame<Bytes>>>> {
        if let Some(due) = &mut self.due {
            if due.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.due = None;
        }
        if let Some(frame) = self.frames.next() {
            if !self.gap.is_zero() && !self.frames.as_slice().is_empty() {
                self.due = Some(Box::pin(tokio::time::sleep_until(Instant::now() + self.gap)));
            }
            return Poll::Ready(Some(Ok(HttpFrame::data(frame.bytes()))));
        }
        if self.cut {
            if matches!(self.ending, Ending::HangAfter(_)) {
                // No waker: only the client's leaving, which drops this body, ends it.
                return Poll::Pending;
            }
            if self.unfinished.is_some() {
                self.finished();
                // What was sent must have left before the reset discards the rest.
                let mut due = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
                if due.as_mut().poll(context).is_pending() {
                    self.due = Some(due);
                    return Poll::Pending;
                }
            }
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        self.finished();
        Poll::Ready(None)
    }
}
