//! A body that is made while it is sent. One that fails midway is broken off: ended, it would pass for the whole.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

/// Pieces that wait for the client.
const PIECES_WAITING_MAX: usize = 2;

/// The maker's end.
pub(super) struct Writer(mpsc::Sender<Option<Bytes>>);

/// Why a download is not made to its end.
pub(super) enum Broken {
    /// The client left.
    Gone,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Writer {
    /// Waits until the client has taken what came before.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Broken> {
        self.0.send(Some(piece.into())).await.map_err(|_| Broken::Gone)
    }
}

/// `what` it is, for the log.
pub(super) fn body<F>(what: &'static str, make: impl FnOnce(Writer) -> F) -> Body
where
    F: Future<Output = Result<(), Broken>> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    let making = make(Writer(sender.clone()));
    // Reads only, so a stop need not wait for it.
    tokio::spawn(async move {
        match making.await {
            // Whoever left does not hear that it was the end.
            Ok(()) => drop(sender.send(None).await),
            Err(Broken::Gone) => {}
            Err(Broken::Failed(error)) => tracing::error!(%error, "The {what} broke off: {error}"),
        }
    });
    Body::new(Download { pieces })
}

struct Download {
    /// `None` is the end; without it, the maker died or failed.
    pieces: mpsc::Receiver<Option<Bytes>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the download broke off")]
struct BrokenOff;

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match ready!(self.get_mut().pieces.poll_recv(cx)) {
            Some(Some(piece)) => Some(Ok(Frame::data(piece))),
            Some(None) => None,
            None => Some(Err(BrokenOff)),
        })
    }
}

/// Quoted only where a reader would take it apart (RFC 4180), or lose the space that it begins with.
pub(super) fn push_csv_field(line: &mut String, field: &str) {
    if field.contains([',', '"', '\r', '\n']) || field.starts_with(char::is_whitespace) {
        line.push('"');
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_download_has_all_pieces_in_their_order() {
        let body = body("test", |writer| async move {
            for piece in ["a", "b", "c", "d"] {
                writer.send(piece).await?;
            }
            Ok(())
        });
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn one_that_fails_or_dies_is_broken_off() {
        let failing = body("test", |writer| async move {
            writer.send("a").await?;
            Err(std::io::Error::other("no").into())
        });
        assert!(failing.collect().await.is_err());
        let dying = body("test", |writer| async move {
            writer.send("a").await?;
            panic!("of a test")
        });
        assert!(dying.collect().await.is_err());
    }

    #[tokio::test]
    async fn the_maker_hears_that_the_client_left() {
        let (told, heard) = tokio::sync::oneshot::channel();
        let body = body("test", |writer| async move {
            while writer.send("a").await.is_ok() {}
            told.send(()).map_err(|()| Broken::Gone)
        });
        drop(body);
        heard.await.unwrap();
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (field, expected) in [
            ("sk-plain", "sk-plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" led by a space", "\" led by a space\""),
            ("ended by one ", "ended by one "),
        ] {
            let mut line = String::new();
            push_csv_field(&mut line, field);
            assert_eq!(line, expected);
        }
    }
}
