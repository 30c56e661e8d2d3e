//! Which plane answers a request: `/proxy/` is the data plane's and stays on its thread, the console's files are answered at
//! once, everything else is the control plane's and runs where the database does.

use std::net::SocketAddr;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header};
use tower::ServiceExt;

use super::body::ServerBody;
use crate::{
    api,
    config::Cors,
    http1::RequestBody,
    proxy::{Proxy, Worker, is_integration_info},
    web::Console,
};

pub(super) struct Planes {
    pub(super) proxy: Proxy,
    pub(super) console: Console,
    pub(super) cors: Option<Cors>,
    pub(super) router: axum::Router,
    pub(super) control: tokio::runtime::Handle,
}

impl Planes {
    pub(super) async fn answer(
        &self,
        worker: &Worker,
        request: Request<RequestBody>,
        peer: SocketAddr,
    ) -> Response<ServerBody> {
        if self.is_proxied(&request) {
            let granted = self.cors.as_ref().map(|cors| api::cors::granted(cors, request.headers()));
            let mut response = self.proxy.forward(worker, request, peer.ip()).await;
            for (name, value) in granted.into_iter().flatten() {
                // `Vary` may be there already; grants of the upstream are not.
                response.headers_mut().append(name, value);
            }
            return response.map(ServerBody::Data);
        }
        if let Some(file) = self.console.answer(request.method(), request.uri().path(), request.headers()) {
            return file.map(|body| ServerBody::Control(Body::from(body)));
        }
        let client = self.proxy.client_address(peer.ip(), request.headers());
        let over_https = self.proxy.came_over_https(peer.ip(), request.headers());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(api::ClientAddress(client));
        request.extensions_mut().insert(api::OverHttps(over_https));
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
        response.map(ServerBody::Control)
    }

    fn is_proxied(&self, request: &Request<RequestBody>) -> bool {
        let path = request.uri().path();
        // A browser's question whether it may ask is the control plane's to answer, for every path.
        let is_preflight = self.cors.is_some()
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        path.starts_with("/proxy/") && path.len() > "/proxy/".len() && !is_preflight && !is_integration_info(path)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn no_address_of_the_api_is_the_consoles() {
        let document: serde_json::Value = serde_json::from_str(api::document::text()).unwrap();
        let headers = HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static("text/html"))]);
        let console = Console::embedded();
        let mut paths = 0;
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(console.answer(&Method::GET, path, &headers).is_none(), "{path}");
            paths += 1;
        }
        assert!(paths > 30, "the search goes wrong");
        assert!(console.answer(&Method::GET, "/groups", &headers).is_some());
    }
}
