//! The body of whatever we answer, from either plane.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::client_io::BusyGuard;
use crate::{proxy::ResponseBody, upstream::BoxError};

/// While it lives, its connection counts as busy.
pub(super) struct ServerBody {
    plane: Plane,
    _busy: BusyGuard,
}

enum Plane {
    Data(ResponseBody),
    Control(axum::body::Body),
}

impl ServerBody {
    pub(super) fn data(body: ResponseBody, busy: BusyGuard) -> Self {
        Self { plane: Plane::Data(body), _busy: busy }
    }

    pub(super) fn control(body: axum::body::Body, busy: BusyGuard) -> Self {
        Self { plane: Plane::Control(body), _busy: busy }
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().plane {
            Plane::Data(body) => Pin::new(body).poll_frame(cx),
            Plane::Control(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.plane {
            Plane::Data(body) => body.is_end_stream(),
            Plane::Control(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.plane {
            Plane::Data(body) => body.size_hint(),
            Plane::Control(body) => body.size_hint(),
        }
    }
}
