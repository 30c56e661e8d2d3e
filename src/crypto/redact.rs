//! Keys taken out of texts that others wrote: an upstream's error message may repeat the key that it refused.

use super::Secret;

/// The text with every occurrence of the key masked, also where it is percent-encoded or escaped as in JSON, wholly or
/// in parts.
pub(crate) fn redact(text: &str, key: &Secret) -> String {
    let wanted = key.expose().as_bytes();
    let Some(&first) = wanted.first() else { return text.to_owned() };
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    // An occurrence starts with the key's first byte or with the sign of an escape, so both ends are between characters.
    while let Some(offset) = memchr::memchr3(first, b'%', b'\\', &text.as_bytes()[copied..]) {
        let start = copied + offset;
        let rest = &text.as_bytes()[start..];
        let length = if rest.starts_with(wanted) { Some(wanted.len()) } else { length_of_escaped(rest, wanted) };
        let end = start + length.unwrap_or_else(|| text[start..].chars().next().map_or(1, char::len_utf8));
        redacted.push_str(&text[copied..start]);
        if length.is_some() {
            redacted.push_str(&key.masked());
        } else {
            redacted.push_str(&text[start..end]);
        }
        copied = end;
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// How many bytes at the beginning of `text` spell `wanted`, if they do.
fn length_of_escaped(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut position = 0;
    for &byte in wanted {
        let (spelled, length) = unescaped(&text[position..])?;
        let is_space_of_a_form = spelled == b'+' && byte == b' ';
        if spelled != byte && !is_space_of_a_form {
            return None;
        }
        position += length;
    }
    Some(position)
}

/// The byte that a text begins with, `%2F`, `\/` and `\u002F` read as what they stand for, and the length of its
/// spelling.
fn unescaped(text: &[u8]) -> Option<(u8, usize)> {
    let hexadecimal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let escape = match text {
        [b'%', high, low, ..] => hexadecimal(&[*high, *low]).map(|byte| (byte, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => hexadecimal(&[*high, *low]).map(|byte| (byte, 6)),
        [b'\\', escaped @ (b'/' | b'"' | b'\\'), ..] => Some((*escaped, 2)),
        _ => None,
    };
    escape.or_else(|| Some((*text.first()?, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-a/b+c=d e%25&é1234";

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text, &Secret::new(KEY)), expected);
    }

    #[test]
    fn a_key_is_masked_however_it_is_spelled() {
        let masked = Secret::new(KEY).masked();
        for spelling in [
            KEY,
            "sk-a%2Fb%2Bc%3Dd%20e%2525%26%C3%A91234",
            "sk-a%2fb+c=d+e%2525%26%c3%a91234",
            "%73k-a/b+c=d e%2525&é1234",
            "sk-a\\/b+c=d e%2525&é1234",
            "\\u0073k-a\\u002fb+c=d e%2525\\u0026é1234",
        ] {
            check(&format!("é{spelling}, and again {spelling}%"), &format!("é{masked}, and again {masked}%"));
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "sk-a", "s%", "%", "\\", "\\u00", "%zz%C3é\\u00zz", "sk-a/b+c=d e%25&é123"] {
            check(text, text);
        }
        assert_eq!(redact("text", &Secret::new("")), "text");
        assert_eq!(redact("éa è", &Secret::new("è1")), "éa è");
    }

    #[test]
    fn a_short_key_leaves_nothing() {
        let redacted = redact("key abc is wrong", &Secret::new("abc"));
        assert!(!redacted.contains("abc") && redacted.starts_with("key ") && redacted.ends_with(" is wrong"));
    }

    proptest::proptest! {
        #[test]
        fn the_key_is_never_left(before in "[a-c%é\\\\]{0,6}", key in "[a-cé]{1,4}", after in "[a-c%é\\\\]{0,6}") {
            let key = Secret::new(key);
            let redacted = redact(&format!("{before}{}{after}", key.expose()), &key);
            proptest::prop_assert!(redacted.contains(&key.masked()));
            if !key.masked().contains(key.expose()) {
                proptest::prop_assert!(!redacted.contains(key.expose()));
            }
        }
    }
}
