//! `gpt-load health`: asks the server of this configuration whether it is alive, for containers that have no other client.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    process::ExitCode,
    time::Duration,
};

use crate::config;

/// For each step: connecting, asking, and each part of the answer.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);
/// Of an answer. More is never needed to see its status and what is missing.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// The exit code is 0 for an answer of 200, and 1 for everything else, with the reason on standard error.
pub(super) fn health(is_ready_asked: bool) -> ExitCode {
    match std::env::current_dir()
        .map_err(|error| format!("the working directory cannot be read: {error}"))
        .and_then(|directory| config::address(&directory, std::env::vars_os()))
        .and_then(|(host, port)| ask(&host, port, if is_ready_asked { "/ready" } else { "/health" }))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gpt-load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn ask(host: &str, port: u16, path: &str) -> Result<(), String> {
    let place = format!("{host}:{port}");
    let failed = |error: std::io::Error| format!("http://{place}{path} does not answer: {error}");
    let mut addresses = place.to_socket_addrs().map_err(failed)?;
    let address = addresses.next().ok_or_else(|| format!("{host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, STEP_TIMEOUT).map_err(failed)?;
    stream.set_read_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
    stream.set_write_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split(' ').nth(1) {
        Some("200") if answer.starts_with("HTTP/1.") => Ok(()),
        Some(status) if answer.starts_with("HTTP/1.") => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
            Err(format!("http://{place}{path} answers {status}: {body}"))
        }
        _ => Err(format!("http://{place}{path} answers with something else than HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Asks a server that gives this answer; also what it was asked.
    fn asked(answer: &'static str) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        });
        (ask("127.0.0.1", port, "/ready"), server.join().unwrap())
    }

    #[test]
    fn only_a_200_is_healthy() {
        let (result, request) = asked("HTTP/1.1 200 OK\r\n\r\n{}");
        assert_eq!(result, Ok(()));
        assert!(request.starts_with("GET /ready HTTP/1.1\r\n") && request.contains("Connection: close"));
        let (result, _) = asked("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"database\":\"failed\"}");
        assert!(result.unwrap_err().ends_with("answers 503: {\"database\":\"failed\"}"));
        assert!(asked("SSH-2.0 200 x").0.unwrap_err().contains("something else than HTTP"));
        assert!(asked("").0.unwrap_err().contains("something else than HTTP"));
    }

    #[test]
    fn nobody_there_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(ask("127.0.0.1", port, "/health").unwrap_err().contains("does not answer"));
    }
}
