//! The web console: its built files, which are in the binary, and how browsers get them.
//!
//! No request for them waits for anything, and none counts against a budget: a busy management API or data plane does not
//! keep the operator from his console.

mod accepts;
mod page;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest as _, Sha256};

use self::accepts::{accepts, is_known};

/// What `web/dist` held when the binary was built.
const BUILT: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));
/// First parts of addresses that are never the console's: an unknown one below them is answered by its own plane.
const NOT_OURS: [&str; 5] = ["api", "proxy", "health", "ready", "metrics"];
/// Where names have a hash of their content in them, so that what is there never changes.
const HASHED: &str = "/assets/";
const PAGE: &str = "/index.html";

const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Kept, but asked for again each time: after an update the console is the new one.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const NOT_BUILT: &str = "\
This gpt-load was built without its web console.

To have it, in the source tree, with Node.js 20.19 or newer:

    make console
    cargo build --release

Everything else is here: the management API below /api (its description: /api/docs), and the proxy below /proxy.
";

/// A file as it was built.
struct File {
    /// With the slash that it begins with.
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The console, ready to be served.
pub(crate) struct Console {
    files: HashMap<&'static str, (&'static File, HeaderValue)>,
}

/// Whether the binary has its console in it.
pub(crate) fn is_built() -> bool {
    BUILT.iter().any(|file| file.path == PAGE)
}

impl Console {
    pub(crate) fn embedded() -> Self {
        Self::of(BUILT)
    }

    fn of(files: &'static [File]) -> Self {
        Self { files: files.iter().map(|file| (file.path, (file, tag(file)))).collect() }
    }

    /// `None`: the request is not for the console.
    pub(crate) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) || !can_be_ours(path) {
            return None;
        }
        let is_head = *method == Method::HEAD;
        if let Some(file) = self.files.get(path) {
            return Some(serve(file, headers, is_head));
        }
        if path.starts_with(HASHED) {
            // Of an older console, most likely. A page in its place would be taken for a script.
            return Some(say("GPT-Load: this console has no such file; load the page anew\n", is_head));
        }
        // A view has its own address, and a person who opens it wants the page; a program wants to hear that it is lost.
        if path != "/" && !accepts(headers, ACCEPT, "text/html") {
            return None;
        }
        Some(self.files.get(PAGE).map_or_else(|| say(NOT_BUILT, is_head), |page| serve(page, headers, is_head)))
    }
}

fn can_be_ours(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    !NOT_OURS.contains(&first)
}

/// Weak, since it is the same for every encoding.
fn tag(file: &File) -> HeaderValue {
    let digest = hex::encode(&Sha256::digest(file.plain)[..12]);
    HeaderValue::from_str(&format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
}

fn serve((file, tag): &(&'static File, HeaderValue), headers: &HeaderMap, is_head: bool) -> Response<Bytes> {
    let is_hashed = file.path.starts_with(HASHED);
    let is_known = !is_hashed && is_known(headers, IF_NONE_MATCH, tag);
    let (body, encoding) = match (file.brotli, file.gzip) {
        (Some(brotli), _) if accepts(headers, ACCEPT_ENCODING, "br") => (brotli, Some("br")),
        (_, Some(gzip)) if accepts(headers, ACCEPT_ENCODING, "gzip") => (gzip, Some("gzip")),
        _ => (file.plain, None),
    };
    let mut response = if is_known { Response::new(Bytes::new()) } else { whole(body, is_head) };
    let found = response.headers_mut();
    found.insert(CACHE_CONTROL, if is_hashed { FOREVER } else { REVALIDATED });
    found.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if file.path == PAGE {
        // At an address of a view a program gets something else.
        found.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    } else if file.brotli.is_some() || file.gzip.is_some() {
        found.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if !is_hashed {
        found.insert(ETAG, tag.clone());
    }
    if file.path == PAGE {
        found.extend(page::HEADERS);
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    found.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(file.path)));
    if let Some(encoding) = encoding {
        found.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn say(text: &'static str, is_head: bool) -> Response<Bytes> {
    let mut response = whole(text.as_bytes(), is_head);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(CACHE_CONTROL, NOT_KEPT);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// HEAD hears the length and gets nothing.
fn whole(body: &'static [u8], is_head: bool) -> Response<Bytes> {
    let mut response = Response::new(if is_head { Bytes::new() } else { Bytes::from_static(body) });
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
