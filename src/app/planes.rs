//! Which plane answers a request: `/proxy/` is the data plane's and stays on its thread, everything else is the control
//! plane's and runs where the database does.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Body, extract::ConnectInfo};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::{body::ServerBody, client_io::BusyGuard};
use crate::{
    api,
    config::Cors,
    proxy::{Proxy, Worker, is_integration_info},
};

pub(super) struct Planes {
    pub(super) proxy: Proxy,
    pub(super) cors: Option<Cors>,
    /// How long a client may leave its answer untouched.
    pub(super) write_timeout: Option<Duration>,
    pub(super) router: axum::Router,
    pub(super) control: tokio::runtime::Handle,
}

impl Planes {
    pub(super) async fn answer(
        &self,
        worker: &Worker,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: BusyGuard,
    ) -> Response<ServerBody> {
        if self.is_proxied(&request) {
            let version = request.version();
            let granted = self.cors.as_ref().map(|cors| api::cors::granted(cors, request.headers()));
            let mut response = self.proxy.forward(worker, request, peer.ip()).await;
            for (name, value) in granted.into_iter().flatten() {
                response.headers_mut().insert(name, value);
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.for_good();
            }
            return response.map(|body| ServerBody::data(body, busy, version, self.write_timeout));
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = self.router.clone();
        let response = match self.control.spawn(router.oneshot(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(%error, "A management request was not finished");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        response.map(|body| ServerBody::control(body, busy))
    }

    fn is_proxied(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        // A browser's question whether it may ask is the control plane's to answer, for every path.
        let is_preflight = self.cors.is_some()
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        path.starts_with("/proxy/") && path.len() > "/proxy/".len() && !is_preflight && !is_integration_info(path)
    }
}
