//! The body of whatever we answer, from either plane.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::worker::InProgress;
use crate::{http1::BoxError, proxy::ResponseBody};

pub(super) struct ServerBody {
    plane: Plane,
    _in_progress: Option<InProgress>,
}

enum Plane {
    Data(ResponseBody),
    Control(axum::body::Body),
}

impl ServerBody {
    pub(super) fn data(body: ResponseBody) -> Self {
        Self { plane: Plane::Data(body), _in_progress: None }
    }

    pub(super) fn control(body: axum::body::Body) -> Self {
        Self { plane: Plane::Control(body), _in_progress: None }
    }

    /// The same body; the request counts as in progress for as long as it lives.
    pub(super) fn keeping(self, in_progress: InProgress) -> Self {
        Self { _in_progress: Some(in_progress), ..self }
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
