//! The mock upstream as a program, for benchmarks and for tests that are not written in Rust.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use testkit::Options;

/// Plays OpenAI, Anthropic and Gemini on one port; `testkit::mock::control` tells how to script it over HTTP.
#[derive(Parser)]
struct Arguments {
    /// Where to listen. The first line of the output tells the address, with the port that port 0 became.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Content chunks of a streamed answer.
    #[arg(long, default_value_t = 5)]
    chunks: usize,
    /// Milliseconds between two chunks.
    #[arg(long, default_value_t = 0)]
    gap_ms: u64,
    /// Write the moment of sending into every chunk.
    #[arg(long)]
    stamped: bool,
    /// Answer as cheaply as possible: remember nothing, do not parse chat requests.
    #[arg(long)]
    cheap: bool,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        chunks: arguments.chunks,
        gap: Duration::from_millis(arguments.gap_ms),
        record: !arguments.cheap,
        stamped: arguments.stamped,
        ..Options::default()
    };
    // One thread: hand-offs between threads would cost more than a second one brings on a small machine.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
        println!("{}", listener.local_addr()?);
        testkit::serve_mock(listener, options).await;
        Ok(())
    })
}
