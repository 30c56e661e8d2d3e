//! Head and body back to the caller, chunk by chunk, and the record closed by what became of them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version, header, response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::{
    attempt::Refusal, failure::Failure, headers, in_flight::Slot, model_list, prepare::Prepared, record::Record,
};
use crate::{
    group::Group,
    upstream::{Answer, AnswerBody, BoxError},
};

/// An answer that began when the request's time was nearly over still has this long.
const REST_OF_ANSWER_MIN: Duration = Duration::from_secs(1);

/// Passes an answer on as it is. What is no stream ends by the deadline.
pub(super) fn answer(
    group: &Group,
    prepared: &Prepared,
    answer: Answer,
    record: &mut Record,
    mut slot: Slot,
    deadline: Instant,
) -> Response<ResponseBody> {
    let patience = if is_stream(&answer, prepared) {
        slot.streams();
        Patience::Silence(group.settings.stream_idle_timeout)
    } else {
        Patience::until(deadline)
    };
    let (mut parts, body) = answer.into_parts();
    make_ours(&mut parts);
    unbuffered(&mut parts.headers);
    record.waiting();
    Response::from_parts(parts, ResponseBody::relayed(None, body, None, record.take(), String::new(), patience, slot))
}

/// Passes on what was read to be judged, and the rest behind it.
pub(super) fn refusal(
    prepared: &Prepared,
    refusal: Refusal,
    record: &mut Record,
    slot: Slot,
    deadline: Instant,
) -> Response<ResponseBody> {
    let Refusal { mut parts, prefix, rest, broken, message, blame } = refusal;
    record.answered(parts.status.as_u16(), blame.into(), prepared.wants_stream);
    record.first_byte();
    make_ours(&mut parts);
    record.waiting();
    let patience = Patience::until(deadline);
    Response::from_parts(
        parts,
        ResponseBody::relayed(Some(prefix), rest, broken, record.take(), message, patience, slot),
    )
}

/// Passes a model list on with the group's models in it.
///
/// # Errors
/// 502 where the upstream breaks off, 504 where it stalls.
pub(super) async fn model_list(
    group: &Group,
    prepared: &Prepared,
    answer: Answer,
    record: &mut Record,
    deadline: Instant,
) -> Result<Response<ResponseBody>, Failure> {
    record.waiting();
    let merging = model_list::merge(group, prepared, answer);
    let merged = tokio::time::timeout_at(deadline.into(), merging).await.map_err(|_| Failure::deadline())?;
    let (mut parts, list) = merged?.into_parts();
    record.first_byte();
    make_ours(&mut parts);
    record.close_answered("");
    Ok(Response::from_parts(parts, ResponseBody::whole(list)))
}

/// The head of an upstream's answer becomes that of an answer of this server.
fn make_ours(parts: &mut response::Parts) {
    // We are the server here, whatever the upstream speaks.
    parts.version = Version::HTTP_11;
    headers::clean_response(&mut parts.headers);
}

/// Whether the answer may take for ever: its own type says so, or the client asked for a stream and got success.
pub(super) fn is_stream(answer: &Answer, prepared: &Prepared) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    is_stream_type(content_type) || (prepared.wants_stream && answer.status().is_success())
}

fn is_stream_type(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    ["text/event-stream", "application/x-ndjson", "application/jsonl", "application/vnd.amazon.eventstream"]
        .iter()
        .any(|stream| media_type.eq_ignore_ascii_case(stream))
}

/// Asks an nginx in front of us not to collect a stream.
fn unbuffered(headers: &mut HeaderMap) {
    let is_event_stream = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"));
    if is_event_stream && !headers.contains_key("x-accel-buffering") {
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
}

/// The body of an answer of ours, or of one that passes through.
pub(crate) enum ResponseBody {
    Whole(Option<Bytes>),
    Relayed(Box<Relayed>),
}

impl ResponseBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// `prefix`: bytes of the body that were read already. `error_message`: what an unsuccessful answer said.
    fn relayed(
        prefix: Option<Bytes>,
        inner: AnswerBody,
        broken: Option<BoxError>,
        record: Record,
        error_message: String,
        patience: Patience,
        slot: Slot,
    ) -> Self {
        let mut relayed = Relayed {
            prefix: prefix.filter(|prefix| !prefix.is_empty()),
            inner,
            broken,
            record,
            error_message,
            patience,
            last_activity: Instant::now(),
            alarm: None,
            _slot: slot,
        };
        if relayed.is_end_stream() {
            relayed.finish();
        }
        Self::Relayed(Box::new(relayed))
    }
}

/// How long an answer's body may take.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// A stream may last for ever, but not be silent for longer than this.
    Silence(Duration),
    /// Everything else ends by this time.
    Until(Instant),
}

impl Patience {
    fn until(deadline: Instant) -> Self {
        Self::Until(deadline.max(Instant::now() + REST_OF_ANSWER_MIN))
    }
}

/// An upstream's body on its way to the client. Dropping it before its end cancels the upstream's work.
pub(crate) struct Relayed {
    /// Bytes that were read to find out what an error says.
    prefix: Option<Bytes>,
    inner: AnswerBody,
    /// Why nothing comes any more.
    broken: Option<BoxError>,
    record: Record,
    /// What an unsuccessful answer said, for the record.
    error_message: String,
    patience: Patience,
    last_activity: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the upstream was silent for {0:?}")]
    Silent(Duration),
    #[error("the answer was not complete within the request timeout")]
    Late,
}

impl Relayed {
    fn finish(&mut self) {
        self.record.close_answered(std::mem::take(&mut self.error_message));
    }

    fn break_off(&mut self, error: BoxError) -> BoxError {
        self.record.close_broken(format!("The answer broke off: {error}"));
        error
    }

    /// Looks at the clock only when the upstream has nothing for us. The alarm is not moved with every chunk: when it
    /// rings, it is seen whether something came meanwhile.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        loop {
            let (due, broken) = match self.patience {
                Patience::Silence(limit) => (self.last_activity + limit, Broken::Silent(limit)),
                Patience::Until(deadline) => (deadline, Broken::Late),
            };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(broken);
            }
            alarm.as_mut().reset(due.into());
        }
    }

    fn poll_relayed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = if let Some(prefix) = self.prefix.take() {
            Poll::Ready(Some(Ok(Frame::data(prefix))))
        } else if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(self.break_off(broken))));
        } else {
            Pin::new(&mut self.inner).poll_frame(cx)
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.record.first_byte();
                if matches!(self.patience, Patience::Silence(_)) {
                    self.last_activity = Instant::now();
                }
                if self.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.break_off(error)))),
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => match self.poll_patience(cx) {
                Poll::Ready(broken) => Poll::Ready(Some(Err(self.break_off(broken.into())))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.broken.is_none() && self.inner.is_end_stream()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(relayed) => relayed.poll_relayed(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Relayed(relayed) => relayed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relayed(relayed) => {
                let prefix = relayed.prefix.as_ref().map_or(0, Bytes::len) as u64;
                let inner = relayed.inner.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(inner.lower() + prefix);
                if let Some(upper) = inner.upper() {
                    hint.set_upper(upper + prefix);
                }
                hint
            }
        }
    }
}
