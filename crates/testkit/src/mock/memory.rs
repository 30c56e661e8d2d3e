//! What a mock upstream knows: its options, its scripts, and everything it saw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, futures::OwnedNotified, watch};

use super::Options;
use super::formats::Upload;
use super::script::{ANY_KEY, Play, Script};

/// Longer bodies are remembered by length and hash, and by their beginning.
pub(crate) const BODY_BYTES_KEPT_MAX: usize = 8 * 1024 * 1024;

/// A request as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    pub method: String,
    /// Path and query exactly as they were on the wire.
    pub target: String,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2.0`.
    pub version: String,
    /// In the order and, with HTTP/1, the case of the wire.
    pub headers: Vec<(String, String)>,
    /// The credential, wherever it stood; empty if there was none.
    pub key: String,
    /// The body with any transfer encoding removed, cut after 8 MiB.
    #[serde(skip)]
    pub body: Bytes,
    pub body_bytes: u64,
    pub body_sha256: String,
    /// Whether the whole body arrived.
    pub complete: bool,
    /// The connection it came on, counted from 1.
    pub connection: usize,
    /// When the last byte of it that was read had arrived.
    #[serde(skip)]
    pub arrived_at: std::time::Instant,
}

impl Seen {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all headers of this name, in any case.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

pub(crate) struct Memory {
    pub(crate) options: Options,
    scripts: Mutex<HashMap<String, Script>>,
    requests: Mutex<Vec<Seen>>,
    uploads: Mutex<HashMap<String, Upload>>,
    connections: AtomicUsize,
    cancellations: AtomicUsize,
    changed: std::sync::Arc<Notify>,
    closing: watch::Sender<bool>,
}

impl Memory {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            scripts: Mutex::default(),
            requests: Mutex::default(),
            uploads: Mutex::default(),
            connections: AtomicUsize::new(0),
            cancellations: AtomicUsize::new(0),
            changed: std::sync::Arc::default(),
            closing: watch::Sender::new(false),
        }
    }

    pub(crate) fn script(&self, key: &str) -> ScriptGuard<'_> {
        ScriptGuard { scripts: lock(&self.scripts), key: key.to_owned() }
    }

    /// What the next answer to a request with this key is to be.
    pub(crate) fn next_play(&self, key: &str) -> Option<Play> {
        let mut scripts = lock(&self.scripts);
        if scripts.is_empty() {
            return None;
        }
        if let Some(script) = scripts.get_mut(key) {
            return script.next();
        }
        scripts.get_mut(ANY_KEY).and_then(Script::next)
    }

    pub(crate) fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        lock(&self.uploads)
    }

    pub(crate) fn remember(&self, seen: Seen) {
        lock(&self.requests).push(seen);
        self.changed.notify_waiters();
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        lock(&self.requests).clone()
    }

    pub(crate) fn requests_count(&self) -> usize {
        lock(&self.requests).len()
    }

    pub(crate) fn reset(&self) {
        lock(&self.scripts).clear();
        lock(&self.requests).clear();
        self.cancellations.store(0, Ordering::SeqCst);
    }

    pub(crate) fn connection_opened(&self) -> usize {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn was_cancelled(&self) {
        self.cancellations.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn cancellations(&self) -> usize {
        self.cancellations.load(Ordering::SeqCst)
    }

    pub(crate) fn next_change(&self) -> OwnedNotified {
        std::sync::Arc::clone(&self.changed).notified_owned()
    }

    /// Ends all connections.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let mut closing = self.closing.subscribe();
        async move {
            // An error means that the memory itself is gone: closed as well.
            let _ = closing.wait_for(|closing| *closing).await;
        }
    }
}

/// The script of one key, to be extended.
pub(crate) struct ScriptGuard<'a> {
    scripts: MutexGuard<'a, HashMap<String, Script>>,
    key: String,
}

impl ScriptGuard<'_> {
    pub(crate) fn once(mut self, plays: impl IntoIterator<Item = Play>) {
        self.scripts.entry(self.key).or_default().queue.extend(plays);
    }

    pub(crate) fn always(mut self, play: Play) {
        self.scripts.entry(self.key).or_default().then = Some(play);
    }
}

/// A test that panicked while it held the lock has failed already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
