//! The body of whatever we answer, from either plane.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};

use super::{client_io::BusyGuard, pump::Pumped};
use crate::{proxy::ResponseBody, upstream::BoxError};

/// While it lives, its connection counts as busy.
pub(super) struct ServerBody {
    plane: Plane,
    busy: BusyGuard,
    /// The client tells the end of a body by the end of its connection alone.
    ends_with_connection: bool,
}

enum Plane {
    Data(ResponseBody),
    /// The data plane's over HTTP/2.
    Pumped(Pumped),
    Control(axum::body::Body),
}

impl ServerBody {
    pub(super) fn data(body: ResponseBody, busy: BusyGuard, version: Version, write_timeout: Option<Duration>) -> Self {
        let plane = match body {
            body @ ResponseBody::Relayed(_) if version == Version::HTTP_2 && !body.is_end_stream() => {
                Plane::Pumped(Pumped::new(body, write_timeout))
            }
            body => Plane::Data(body),
        };
        Self { plane, busy, ends_with_connection: version == Version::HTTP_10 }
    }

    pub(super) fn control(body: axum::body::Body, busy: BusyGuard) -> Self {
        Self { plane: Plane::Control(body), busy, ends_with_connection: false }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = match &mut this.plane {
            Plane::Data(body) => Pin::new(body).poll_frame(cx),
            Plane::Pumped(body) => body.poll_frame(cx),
            Plane::Control(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        };
        if this.ends_with_connection && matches!(polled, Poll::Ready(Some(Err(_)))) {
            this.busy.abort();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.plane {
            Plane::Data(body) => body.is_end_stream(),
            Plane::Pumped(_) => false,
            Plane::Control(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.plane {
            Plane::Data(body) => body.size_hint(),
            Plane::Pumped(body) => body.size_hint(),
            Plane::Control(body) => body.size_hint(),
        }
    }
}
