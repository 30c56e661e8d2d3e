//! What must hold for any text that comes from outside: one property for each parser.
//!
//! Built for tests, which try random texts on stable Rust, and for the targets in `fuzz/`, which libFuzzer drives.

#![expect(clippy::panic, reason = "a property that does not hold ends the run")]

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    config::{DatabaseDsn, RedisDsn, dotenv},
    http1::transcript,
    json,
    settings::StatusCodes,
};

/// What a `.env` file says can be written down again with every character escaped, and then says the same.
pub fn dotenv(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(first) = dotenv::parse(text) else { return };
    let sorted: BTreeMap<_, _> = first.values.iter().collect();
    let written: String = sorted.iter().map(|(name, value)| format!("{name}=\"{}\"\n", escaped(value))).collect();
    let second = dotenv::parse(&written);
    assert_eq!(second, Ok(dotenv::Assignments { values: first.values.clone(), warnings: Vec::new() }), "{written}");
}

fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' | '"' | '$' => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    text
}

/// No refusal of a connection string repeats what was written in it, and no pragma carries more than plain words.
pub fn dsn(data: &[u8]) {
    const MARK: &str = "xXhunter2Xx";
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The mark stands wherever the text has a `~`.
    let text = text.replace('~', MARK);
    if let Err(problem) = RedisDsn::parse(&text) {
        assert!(!problem.contains(MARK), "{problem}");
    }
    match DatabaseDsn::parse(&text, &|_| None) {
        Err(problem) => assert!(!problem.contains(MARK), "{problem}"),
        Ok((DatabaseDsn::Sqlite(dsn), _)) => {
            assert!(!dsn.path.as_os_str().is_empty());
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
            for (name, value) in &dsn.pragmas {
                assert!(name.chars().chain(value.chars()).all(is_plain), "{name}={value}");
            }
        }
        Ok((DatabaseDsn::MySql(_) | DatabaseDsn::PostgreSql(_), _)) => {}
    }
}

/// A set of status codes contains exactly what its entries, read one by one, name.
pub fn status_codes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(codes) = StatusCodes::parse(text) else { return };
    let number = |text: &str| text.trim().parse::<u16>().unwrap_or_default();
    let ranges: Vec<(u16, u16)> = text
        .split([',', '\n'])
        .filter(|entry| !entry.trim().is_empty())
        .map(|entry| entry.split_once('-').map_or((number(entry), number(entry)), |(a, b)| (number(a), number(b))))
        .collect();
    for status in 0..=1100 {
        let expected = ranges.iter().any(|&(from, to)| (from..=to).contains(&status));
        assert_eq!(codes.contains(status), expected, "{status} in {text:?}");
        assert!(!expected || (100..=999).contains(&status), "{status} in {text:?}");
    }
}

/// Setting a member of any JSON object changes that member and not a byte of anything else. The first byte chooses the
/// member: one that is there, or else a new one.
pub fn json_edit(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    // Texts that serde refuses, for their depth for instance, have nothing to be compared with.
    let Ok(before) = serde_json::from_slice::<Map<String, Value>>(text) else { return };
    let name = before.keys().nth(usize::from(*choice)).map_or("a new name", String::as_str);
    let Some(edited) = json::edit(text, &[(name, "[\"new\"]")]) else {
        panic!("an object was not edited: {}", String::from_utf8_lossy(text));
    };

    let after: Map<String, Value> = serde_json::from_slice(&edited).unwrap_or_default();
    let mut expected = before.clone();
    expected.insert(name.to_owned(), serde_json::json!(["new"]));
    assert_eq!(after, expected, "{}", String::from_utf8_lossy(&edited));

    // With the old value put back, every byte is as it was, unless repetitions of the member went.
    let old = json::top_level(text, &[name]).and_then(|found| found[0].map(<[u8]>::to_vec));
    let members = String::from_utf8_lossy(&edited).matches("[\"new\"]").count();
    if let (Some(old), 1) = (old, members)
        && edited.len() + old.len() == text.len() + 7
    {
        let at = edited.windows(7).position(|part| part == b"[\"new\"]").unwrap_or_default();
        assert_eq!([&edited[..at], &old, &edited[at + 7..]].concat(), text);
    }
}

/// However the bytes of a connection are cut, each side makes the same of them.
pub fn http1(data: &[u8]) {
    /// Above it, not every place is cut at.
    const SHORT_BYTES: usize = 256;
    let clients = transcript::of_requests(std::iter::once(data));
    let upstreams = transcript::of_answers(std::iter::once(data));
    for piece_bytes in [1, 2, 3, 7] {
        assert_eq!(transcript::of_requests(data.chunks(piece_bytes)), clients, "in pieces of {piece_bytes}");
        assert_eq!(transcript::of_answers(data.chunks(piece_bytes)), upstreams, "in pieces of {piece_bytes}");
    }
    for cut in 1..data.len().min(SHORT_BYTES) {
        let (first, second) = data.split_at(cut);
        assert_eq!(transcript::of_requests([first, second].into_iter()), clients, "cut at {cut}");
        assert_eq!(transcript::of_answers([first, second].into_iter()), upstreams, "cut at {cut}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::{prelude::*, test_runner::TestRunner};

    /// Some hundred cases, or as many as fit into `FUZZ_SECONDS`.
    #[expect(clippy::disallowed_methods, reason = "how long to search is no setting of the program")]
    fn holds_for(texts: impl Strategy<Value = String>, property: fn(&[u8])) {
        let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
            TestRunner::new(config)
                .run(&texts, |text| {
                    property(text.as_bytes());
                    Ok(())
                })
                .unwrap();
            if Instant::now() >= end {
                break;
            }
        }
    }

    /// Texts put together from pieces that mean something to the parser.
    fn made_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
        let piece = prop_oneof![9 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => ".{1,2}"];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn dotenv() {
        let pieces = &[
            "A", "B", "export ", "=", ":", "\n", "\r\n", "'", "\"", "\\", "$", "$A", "${A}", "#", " #", " ", "\t", "x",
            "{", "}", "n", "A=", "\nB=$A", "=\"",
        ];
        holds_for(made_of(pieces), super::dotenv);
    }

    #[test]
    fn dsn() {
        let pieces = &[
            "postgres://",
            "postgresql://",
            "redis://",
            "rediss://",
            "unix://",
            "mysql://",
            "redis-sentinel://",
            "rediss-cluster://",
            "file:",
            "@tcp(",
            "@unix(",
            ")",
            "(",
            ":",
            "/",
            "@",
            "?",
            "&",
            "=",
            "~",
            "~",
            "db",
            "3306",
            "_pragma=",
            "_txlock=",
            "mode=",
            "sslmode=",
            "tls=",
            "loc=",
            "timeout=",
            "%2",
            "%41",
            "[",
            "]",
            "::1",
            ",",
            " ",
            "host=",
            "user=",
            "dbname=",
            "'",
            "\\",
            "sql_mode=",
            ":memory:",
            "x(y)",
            "5s",
        ];
        holds_for(made_of(pieces), super::dsn);
    }

    #[test]
    fn status_codes() {
        let pieces =
            &["400", "403", "405-999", "99", "1000", "-", ",", "\n", " ", "500-", "+200", "0429", "100-599", "x", "5"];
        holds_for(made_of(pieces), super::status_codes);
    }

    #[test]
    fn http1() {
        /// The line of a chunk, as long as it may be.
        const LONGEST: &[u8; 4098] = &{
            let mut line = [b'x'; 4098];
            [line[0], line[1], line[4096], line[4097]] = *b"1;\r\n";
            line
        };
        const LONGEST_TEXT: &str = match std::str::from_utf8(LONGEST) {
            Ok(text) => text,
            Err(_) => "",
        };
        let heads = &[
            "",
            "POST /x?y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\nTRANSFER-encoding: chunked\n\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ];
        let pieces = &[
            "GET / HTTP/1.1",
            "POST /x?y HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 204\r\n",
            "Content-Length: 3\r\n",
            "Content-Length: ",
            "Transfer-Encoding: chunked\r\n\r\n",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "\r",
            "\n",
            "\n",
            "0\r\n",
            "0\r\n\r\n",
            "3\r\nabc\r\n",
            "1;",
            "a",
            "5",
            ":",
            " ",
            "\0",
            "Name: value\r\n",
            LONGEST_TEXT,
        ];
        let texts = (proptest::sample::select(heads), made_of(pieces)).prop_map(|(head, rest)| format!("{head}{rest}"));
        holds_for(texts, super::http1);
    }

    #[test]
    fn json_edit() {
        let value = prop_oneof![
            Just("null".to_owned()),
            Just("1.0".to_owned()),
            Just("-1e400".to_owned()),
            Just("12345678901234567890123".to_owned()),
            Just("\"\\u0061\\n\"".to_owned()),
            Just("\"[\\\"new\\\"]\"".to_owned()),
            "\"[a-z{}:,]{0,4}\"",
        ]
        .prop_recursive(4, 24, 4, |inner| {
            let name = "\"(a|b|\\\\u0061|a new name|é)\"";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[ {} ]", all.join(" ,"))),
                proptest::collection::vec((name, inner), 0..4).prop_map(|all| {
                    format!(
                        "{{{}}}",
                        all.iter().map(|(name, value)| format!("{name} :{value}")).collect::<Vec<_>>().join(", ")
                    )
                }),
            ]
        });
        let object = proptest::collection::vec(("\"(a|b|\\\\u0061|a new name)\"", value), 0..5).prop_map(|all| {
            format!(
                " {{ {} }}\n",
                all.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(",\t")
            )
        });
        let documents = (0_u8..6, object).prop_map(|(choice, object)| format!("{}{object}", char::from(choice)));
        holds_for(documents, super::json_edit);
    }
}
