//! A mock upstream: speaks every API format that the proxy relays, misbehaves on request, remembers what it saw.
//!
//! ```no_run
//! # async fn example() {
//! use testkit::{MockUpstream, Play};
//! let mock = MockUpstream::start().await;
//! mock.play("sk-1", [Play::status(429).header("Retry-After", "7"), Play::reset()]); // then it answers as usual
//! mock.play_always("sk-2", Play::status(401));
//! // … send requests to mock.base_url() …
//! assert_eq!(mock.keys_seen(), ["sk-1", "sk-2"]);
//! # }
//! ```

mod answer;
mod control;
mod formats;
mod http1;
mod http2;
mod memory;
mod request;
mod script;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use memory::Memory;
pub use memory::Seen;
pub use script::{Encoding, Ending, Play};

/// How long a test waits for something that must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a mock upstream does when neither a script nor the request says otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// Content chunks of a streamed answer.
    pub chunks: usize,
    /// Time between two chunks of a streamed answer.
    pub gap: Duration,
    /// Whether requests are remembered. Benchmarks switch it off.
    pub record: bool,
    /// Whether each streamed chunk carries the moment it was sent, in microseconds since 1970.
    pub stamped: bool,
    /// The names in the model list.
    pub models: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chunks: 5,
            gap: Duration::ZERO,
            record: true,
            stamped: false,
            models: vec!["mock-small".to_owned(), "mock-large".to_owned()],
        }
    }
}

/// A running mock upstream. Dropping it closes its listener and its connections.
pub struct MockUpstream {
    address: SocketAddr,
    memory: Arc<Memory>,
    acceptor: JoinHandle<()>,
}

impl MockUpstream {
    /// Listens on a free loopback port.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let memory = Arc::new(Memory::new(options));
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&memory)));
        Self { address, memory, acceptor }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests with this key get these answers, one each; later ones are answered as usual.
    pub fn play(&self, key: &str, plays: impl IntoIterator<Item = Play>) {
        self.memory.script(key).once(plays);
    }

    /// Every request with this key gets this answer once the answers of `play` are used up.
    pub fn play_always(&self, key: &str, play: Play) {
        self.memory.script(key).always(play);
    }

    /// Like `play`, for requests whose key has no script of its own.
    pub fn play_any(&self, plays: impl IntoIterator<Item = Play>) {
        self.play(script::ANY_KEY, plays);
    }

    /// Like `play_always`, for requests whose key has no script of its own.
    pub fn play_any_always(&self, play: Play) {
        self.play_always(script::ANY_KEY, play);
    }

    /// Forgets all scripts and all requests.
    pub fn reset(&self) {
        self.memory.reset();
    }

    /// Every request so far, in the order in which their bodies ended.
    pub fn requests(&self) -> Vec<Seen> {
        self.memory.requests()
    }

    /// The only request so far.
    ///
    /// # Panics
    /// When there was none, or more than one.
    pub fn request(&self) -> Seen {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "expected exactly one request: {requests:#?}");
        requests.remove(0)
    }

    /// The keys of all requests so far, in order.
    pub fn keys_seen(&self) -> Vec<String> {
        self.requests().into_iter().map(|seen| seen.key).collect()
    }

    /// How many requests came with this key.
    pub fn count(&self, key: &str) -> usize {
        self.requests().iter().filter(|seen| seen.key == key).count()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.memory.connections()
    }

    /// How often a client left before its answer had ended.
    pub fn cancellations(&self) -> usize {
        self.memory.cancellations()
    }

    /// Waits until a client has left before its answer had ended.
    ///
    /// # Panics
    /// When none does for ten seconds.
    pub async fn cancelled(&self) {
        self.until("a cancelled request", |mock| mock.cancellations() > 0).await;
    }

    /// Waits until this many requests have arrived.
    ///
    /// # Panics
    /// When fewer have arrived after ten seconds.
    pub async fn arrived(&self, count: usize) {
        self.until("more requests", |mock| mock.memory.requests_count() >= count).await;
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                // Registered before the look, so that a change between look and wait is not missed.
                let change = self.memory.next_change();
                if reached(self) {
                    return;
                }
                change.await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "waited in vain for {what}; the mock upstream saw {:#?}", self.requests());
    }
}

impl Drop for MockUpstream {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.memory.close();
    }
}

/// Serves connections of `listener` for ever; the binary's whole work.
pub async fn serve(listener: TcpListener, options: Options) {
    accept(listener, Arc::new(Memory::new(options))).await;
}

async fn accept(listener: TcpListener, memory: Arc<Memory>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: connections in flight must end before another can be taken.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let memory = Arc::clone(&memory);
        let connection = memory.connection_opened();
        tokio::spawn(async move {
            let closed = memory.closed();
            tokio::select! {
                () = serve_connection(stream, connection, &memory) => {}
                () = closed => {}
            }
        });
    }
}

async fn serve_connection(stream: TcpStream, connection: usize, memory: &Arc<Memory>) {
    // A failure here means that the peer is gone already, which the next read notices.
    let _ = stream.set_nodelay(true);
    // HTTP/2 with prior knowledge opens with "PRI * HTTP/2.0"; no HTTP/1.1 method starts like this.
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await {
            Ok(3) => break,
            Ok(0) | Err(_) => return,
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    if &first == b"PRI" {
        http2::serve(stream, connection, memory).await;
    } else {
        http1::serve(stream, connection, memory).await;
    }
}
