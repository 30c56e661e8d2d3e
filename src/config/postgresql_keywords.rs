//! The keywords of PostgreSQL's client library: read from either form of a connection string, checked, and the gaps filled.

use super::query;

/// What only the client knows, with the environment variable that fills the gap. Everything that is not listed here or in
/// [`Keywords::check`] is a parameter of the session.
const KEYWORDS: [(&str, &str); 17] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("application_name", "PGAPPNAME"),
    ("options", "PGOPTIONS"),
    ("statement_cache_capacity", ""),
    ("default_query_exec_mode", ""),
];

/// Names and values in their order; of a name that occurs twice the last one counts.
pub(super) struct Keywords(Vec<(String, String)>);

impl Keywords {
    /// `postgres://user:password@host:port,host:port/database?name=value&…`, percent-encoded.
    pub(super) fn of_url(text: &str) -> Result<Self, String> {
        let (_, rest) = text.split_once("://").ok_or("must begin with postgres://")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, servers) = server.rsplit_once('@').unwrap_or(("", server));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut keywords = Self(Vec::new());
        for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
            keywords.set(name, query::decode(value)?);
        }
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for server in servers.split(',') {
            let server = query::decode(server)?;
            let is_socket = server.starts_with('/');
            let (host, port) = if is_socket { (server, 0) } else { query::host_and_port(&server, 0)? };
            hosts.push(host);
            ports.push(if port == 0 { String::new() } else { port.to_string() });
        }
        keywords.set("host", if servers.is_empty() { String::new() } else { hosts.join(",") });
        keywords.set("port", if ports.iter().all(String::is_empty) { String::new() } else { ports.join(",") });
        for (name, value) in query::options(options) {
            keywords.set(&name, value);
        }
        Ok(keywords)
    }

    /// `host=… user='it''s' dbname = …`: blanks may stand around the `=`; a value with blanks is quoted; a `\` takes the
    /// meaning from the character behind it.
    pub(super) fn of_assignments(text: &str) -> Result<Self, String> {
        let mut keywords = Self(Vec::new());
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or("ends with a word that has no = behind it")?;
            let name = name.trim_end();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err("has a word without a = behind it; a value with blanks is written in '…'".to_owned());
            }
            let (value, after) = assigned(after.trim_start())?;
            keywords.set(name, value);
            rest = after.trim_start();
        }
        Ok(keywords)
    }

    /// What is empty counts as not set.
    fn set(&mut self, name: &str, value: String) {
        let name = match name {
            "database" => "dbname",
            "timezone" | "time_zone" => "TimeZone",
            name => name,
        };
        self.0.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value));
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// From the environment, where the text says nothing; also the place of the password file.
    pub(super) fn fill(&mut self, gaps: &dyn Fn(&str) -> Option<String>) {
        for (name, variable) in KEYWORDS.iter().filter(|(_, variable)| !variable.is_empty()) {
            // An address of the environment must not stand beside a host of the text.
            let is_known = |wanted: &str| self.0.iter().any(|(known, _)| known == wanted);
            if is_known(name) || (*name == "hostaddr" && is_known("host")) || (*name == "host" && is_known("hostaddr"))
            {
                continue;
            }
            if let Some(value) = gaps(variable).filter(|value| !value.is_empty()) {
                self.0.push(((*name).to_owned(), value));
            }
        }
        if !self.0.iter().any(|(known, _)| known == "passfile")
            && let Some(home) = gaps("HOME")
        {
            self.0.push(("passfile".to_owned(), format!("{home}/.pgpass")));
        }
    }

    /// Takes out what our client does without, and returns what the operator should know about it.
    ///
    /// # Errors
    /// A keyword asks for what our client cannot give.
    pub(super) fn check(&mut self) -> Result<Vec<String>, String> {
        let mut warnings = Vec::new();
        let mut kept = Vec::new();
        for (name, value) in std::mem::take(&mut self.0) {
            match meaning(&name, &value) {
                Meaning::Ours => kept.push((name, value)),
                Meaning::Harmless => {}
                Meaning::Without => warnings.push(format!("{name} of DATABASE_DSN has no effect: it is not supported")),
                Meaning::Refused(remedy) => {
                    return Err(format!("has an option {name} that is not supported; {remedy}"));
                }
                Meaning::Wrong(problem) => return Err(format!("has an option {name} that {problem}")),
            }
        }
        if kept.iter().any(|(name, _)| name == "host") && kept.iter().any(|(name, _)| name == "hostaddr") {
            return Err("names host and hostaddr; write just one of them".to_owned());
        }
        self.0 = kept;
        Ok(warnings)
    }

    /// What is left when everything else was taken: parameters of the session.
    pub(super) fn parameters(self) -> Result<Vec<(String, String)>, String> {
        let is_plain =
            |name: &str| name.len() <= 63 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        let parameters: Vec<_> = self.0.into_iter().filter(|(name, _)| name != "passfile").collect();
        if parameters.iter().any(|(name, value)| name.is_empty() || !is_plain(name) || value.contains('\0')) {
            return Err("has an option whose name is not made of letters, digits and _".to_owned());
        }
        Ok(parameters)
    }
}

enum Meaning {
    Ours,
    /// As it is here anyway, or of no consequence.
    Harmless,
    Without,
    Refused(&'static str),
    Wrong(&'static str),
}

fn meaning(name: &str, value: &str) -> Meaning {
    match (name, value) {
        // Times are stored with their zone, so the session's own is of no consequence; but the server checks the name.
        ("TimeZone", _) if value.parse::<chrono_tz::Tz>().is_ok() || value == "UTC" => Meaning::Harmless,
        ("TimeZone", _) => Meaning::Wrong("must name a time zone, such as UTC or Asia/Shanghai"),
        ("client_encoding", _) if ["utf8", "utf-8", "auto", "unicode"].contains(&value.to_lowercase().as_str()) => {
            Meaning::Harmless
        }
        ("client_encoding", _) => Meaning::Wrong("must be UTF8"),
        ("replication", "false" | "off" | "no" | "0") => Meaning::Harmless,
        ("replication", _) => Meaning::Refused("leave it out"),
        ("channel_binding" | "gssencmode", "disable" | "prefer") => Meaning::Harmless,
        ("channel_binding", _) => Meaning::Refused("use sslmode=verify-full to be sure of the server"),
        ("gssencmode", _) => Meaning::Refused("use sslmode=verify-full for encryption"),
        ("sslnegotiation", "postgres") | ("sslsni", "1") | ("sslcompression", "0") => Meaning::Harmless,
        ("sslnegotiation", _) => Meaning::Refused("leave it out: TLS is asked for as servers of every age know it"),
        ("ssl_min_protocol_version", "TLSv1" | "TLSv1.1" | "TLSv1.2") => Meaning::Harmless,
        ("ssl_max_protocol_version", "TLSv1.3") => Meaning::Harmless,
        ("ssl_min_protocol_version" | "ssl_max_protocol_version", _) => {
            Meaning::Refused("leave it out: TLS 1.2 or 1.3 is used, whichever the server knows")
        }
        // A secret of its own.
        ("sslpassword", _) => Meaning::Refused("use a key file without a password"),
        ("sslcrl" | "sslcrldir", _) => Meaning::Refused("revoked certificates cannot be checked; leave it out"),
        ("sslrootcert", "system") => Meaning::Refused("leave sslrootcert out: the system's authorities are known"),
        ("service" | "servicefile", _) => Meaning::Refused("write its host, user and dbname into DATABASE_DSN"),
        ("requirepeer" | "require_auth", _) => Meaning::Refused("use sslmode=verify-full to be sure of the server"),
        ("load_balance_hosts", "disable") | ("sslcertmode", "allow") => Meaning::Harmless,
        (
            "load_balance_hosts"
            | "sslcertmode"
            | "sslsni"
            | "sslcompression"
            | "keepalives"
            | "keepalives_idle"
            | "keepalives_interval"
            | "keepalives_count"
            | "tcp_user_timeout"
            | "krbsrvname"
            | "gsslib"
            | "gssdelegation"
            | "fallback_application_name"
            | "min_protocol_version"
            | "max_protocol_version"
            | "description_cache_capacity"
            | "min_read_buffer_size",
            _,
        ) => Meaning::Without,
        _ => Meaning::Ours,
    }
}

/// One of a few words, of which the first is the default.
pub(super) fn choice<'a>(name: &str, text: Option<String>, words: &[&'a str]) -> Result<&'a str, String> {
    let Some(text) = text else { return Ok(words.first().copied().unwrap_or_default()) };
    let found = words.iter().find(|word| **word == text).copied();
    found.ok_or_else(|| format!("has an option {name} that must be one of {}", words.join(", ")))
}

/// The value that a text begins with, and what comes after it.
fn assigned(text: &str) -> Result<(String, &str), String> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |text| (true, text));
    let mut value = String::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => value.extend(rest.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err("opens a ' and never closes it".to_owned()) } else { Ok((value, "")) }
}
