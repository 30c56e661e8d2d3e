//! The body of whatever we answer, from either plane.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{http1::BoxError, proxy::ResponseBody};

pub(super) enum ServerBody {
    Data(ResponseBody),
    Control(axum::body::Body),
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Data(body) => Pin::new(body).poll_frame(cx),
            Self::Control(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Data(body) => body.is_end_stream(),
            Self::Control(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Data(body) => body.size_hint(),
            Self::Control(body) => body.size_hint(),
        }
    }
}
