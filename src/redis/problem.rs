//! What can be wrong with Redis, in words that say what would be right and contain no secret.

use std::{fmt, io, time::Duration};

/// Longer texts of a server are cut.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// Why Redis cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {} {}", self.place, self.what)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    pub(super) fn new(place: &str, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), what: what.into() }
    }

    pub(super) fn unknown_host(place: &str, error: &io::Error) -> Self {
        Self::new(place, format!("has a host name that cannot be resolved ({error}): check the host in REDIS_DSN"))
    }

    pub(super) fn not_reached(place: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nothing listens there: check that Redis runs, and the port in REDIS_DSN"
            }
            io::ErrorKind::NotFound => "there is no such socket: check unixsocket in the configuration of Redis",
            io::ErrorKind::PermissionDenied => {
                "the socket may not be opened: give our user the right to, as by unixsocketperm of Redis"
            }
            _ => "check the network and the address in REDIS_DSN",
        };
        Self::new(place, format!("cannot be reached ({error}): {hint}"))
    }

    /// Nothing came back in time.
    pub(super) fn silent(place: &str, doing: &str, limit: Duration) -> Self {
        Self::new(place, format!("does not answer {doing} within {limit:?}"))
    }

    /// The handshake of TLS failed.
    pub(super) fn insecure(place: &str, error: &io::Error) -> Self {
        use rustls::{CertificateError as Wrong, Error};

        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let what = match cause {
            Some(Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::InvalidPurpose)) => {
                "has a certificate that no authority known here signed: add its authority to those of the system \
                 (SSL_CERT_FILE names another file of them), or trust it blindly with ?skip_verify=true"
                    .to_owned()
            }
            Some(Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. })) => {
                "has a certificate for another host name: name in REDIS_DSN the host that the certificate names"
                    .to_owned()
            }
            Some(Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. })) => {
                "has a certificate that has expired: renew it".to_owned()
            }
            Some(Error::InvalidCertificate(wrong)) => format!("has a certificate that cannot be trusted: {wrong}"),
            Some(Error::InvalidMessage(_)) => {
                "does not speak TLS: use redis:// instead of rediss://, or the TLS port of the server".to_owned()
            }
            _ => format!("breaks off the handshake of TLS ({error}): check that the port in REDIS_DSN is its TLS port"),
        };
        Self::new(place, what)
    }

    /// The connection ended or broke. Before the first answer, this is how a server that wants TLS behaves.
    pub(super) fn closed(place: &str, before_any_answer: bool) -> Self {
        let what = if before_any_answer {
            "closes the connection without an answer: if it wants TLS, use rediss:// in REDIS_DSN"
        } else {
            "closed the connection"
        };
        Self::new(place, what)
    }

    /// Something came that is no answer of a Redis server.
    pub(super) fn strange(place: &str) -> Self {
        Self::new(
            place,
            "answers with something that Redis does not say: check the port in REDIS_DSN; if it wants TLS, use rediss://",
        )
    }

    /// The server answered `command` with an error. `shows_text` is false for commands with a password in them, since
    /// a server may repeat the command.
    pub(super) fn refused(place: &str, command: &str, error: &str, shows_text: bool) -> Self {
        let (code, text) = error.split_once(' ').unwrap_or((error, ""));
        let has = |part: &str| text.contains(part);
        let what = match code {
            "NOAUTH" => {
                "wants a password and REDIS_DSN names none: write redis://user:password@host:port, or \
                 redis://:password@host:port without a user"
            }
            "WRONGPASS" => WRONG_PASSWORD,
            "ERR" if has("invalid password") || has("invalid username-password") => WRONG_PASSWORD,
            "ERR" if command == "AUTH" && has("wrong number of arguments") => {
                "is older than Redis 6 and knows no users: leave the user out, as in redis://:password@host:port"
            }
            "NOPERM" => {
                "gives our user too few rights: it needs +ping +subscribe +publish, +select for another database than 0, \
                 +client|setname for client_name, and the channels &gpt-load:*"
            }
            "DENIED" => "serves only its own machine (protected mode): set a password there, and name it in REDIS_DSN",
            "LOADING" => "is still loading its data: wait until it has",
            "MASTERDOWN" => "is a replica that has lost its master: name the master in REDIS_DSN",
            "MOVED" | "CLUSTERDOWN" => "is a node of a cluster: use redis-cluster:// in REDIS_DSN",
            "ERR" if has("max number of clients") => "has no free connection: raise maxclients there",
            "ERR" if command == "SELECT" && has("cluster mode") => "is a node of a cluster, which has database 0 only",
            "ERR" if command == "SELECT" => {
                "has no database of that number: use another in REDIS_DSN, or raise databases in its configuration"
            }
            _ => "",
        };
        if !what.is_empty() {
            return Self::new(place, what);
        }
        let shown = if shows_text { error } else { code };
        let shown: String =
            shown.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARACTERS_MAX).collect();
        Self::new(place, format!("refuses the command {command}: {shown}"))
    }
}

const WRONG_PASSWORD: &str = "refuses the user or the password of REDIS_DSN: use those of its requirepass or ACL file, \
    with characters such as @, / and % percent-encoded";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, error: &str, expected: &str) {
        let problem = Problem::refused("h:1", command, error, command != "AUTH").to_string();
        assert!(problem.starts_with("Redis at h:1 ") && problem.contains(expected), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn refusals_say_what_would_be_right() {
        check("PING", "NOAUTH Authentication required.", "wants a password");
        check(
            "AUTH",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "refuses the user or the password",
        );
        check("AUTH", "ERR invalid password", "refuses the user or the password");
        check("AUTH", "ERR wrong number of arguments for 'auth' command", "leave the user out");
        check(
            "AUTH",
            "ERR unknown command 'AUTH', with args beginning with: 'hunter2'",
            "refuses the command AUTH: ERR",
        );
        check("SUBSCRIBE", "NOPERM No permissions to access a channel", "&gpt-load:*");
        check("PING", "DENIED Redis is running in protected mode", "protected mode");
        check("PING", "LOADING Redis is loading the dataset in memory", "still loading");
        check("SELECT", "ERR DB index is out of range", "no database of that number");
        check("SELECT", "ERR SELECT is not allowed in cluster mode", "database 0 only");
        check("AUTH", "ERR max number of clients reached", "maxclients");
        check("PUBLISH", "ODD thing\nsecond line", "refuses the command PUBLISH: ODD thing second line");
    }
}
