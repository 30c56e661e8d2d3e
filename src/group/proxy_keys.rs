//! The credentials that open a group.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::crypto::{self, Secret};

/// A set of credentials, held as digests: looking one up takes the same time whatever it has in common with a right one.
#[derive(Clone)]
pub(crate) struct ProxyKeys {
    labels: HashMap<[u8; 32], Arc<str>>,
}

impl ProxyKeys {
    /// Reads a comma-separated list of one group; blanks around entries, and empty entries, do not count.
    pub(crate) fn parse(list: &str) -> Self {
        Self::labelled(list, "#")
    }

    /// The same for the list that holds for every group.
    pub(crate) fn parse_global(list: &str) -> Self {
        Self::labelled(list, "global #")
    }

    fn labelled(list: &str, place: &str) -> Self {
        let mut labels = HashMap::new();
        let mut given = HashSet::new();
        let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
        for (index, key) in keys.enumerate() {
            let place = format!("{place}{}", index + 1);
            // Keys that look alike are told apart by their places.
            let label: Arc<str> = match masked(key) {
                None => place.into(),
                Some(masked) if given.contains(&masked) => format!("{masked} {place}").into(),
                Some(masked) => masked.into(),
            };
            given.insert(label.to_string());
            labels.entry(crypto::digest(key)).or_insert(label);
        }
        Self { labels }
    }

    pub(crate) fn contains(&self, digest: &[u8; 32]) -> bool {
        self.labels.contains_key(digest)
    }

    /// By what its owner recognises a key of this list, and nobody can use it: its masked form, such as `sk-a****9f0e`,
    /// or the place in the list of one that is too short to show anything of, such as `#2` or `global #2`. At most 64
    /// characters; `None`: the list has no such key.
    pub(crate) fn label(&self, digest: &[u8; 32]) -> Option<&Arc<str>> {
        self.labels.get(digest)
    }
}

/// `None`: nothing of it can be shown.
fn masked(key: &str) -> Option<String> {
    let masked = Secret::new(key).masked();
    let shows_something = masked.chars().any(|c| c != '*');
    (shows_something && !masked.chars().any(char::is_control)).then_some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_leniently_and_compared_exactly() {
        let keys = ProxyKeys::parse(" sk-a, ,sk-b,,");
        let opens = |key: &str| keys.contains(&crypto::digest(key));
        assert!(opens("sk-a") && opens("sk-b"));
        assert!(!opens("") && !opens("sk-c") && !opens(" sk-a"));
        assert!(ProxyKeys::parse(" , ").labels.is_empty());
    }

    #[test]
    fn a_label_tells_keys_apart_and_betrays_none() {
        #[track_caller]
        fn check(keys: &ProxyKeys, key: &str, label: Option<&str>) {
            assert_eq!(keys.label(&crypto::digest(key)).map(|label| &**label), label, "{key}");
        }
        let list = "sk-alice-0123456789f0e,,bob, sk-a-other-long-key-9f0e ,0123\u{7}456789abcdef,bob,carol";
        let own = ProxyKeys::parse(list);
        check(&own, "sk-alice-0123456789f0e", Some("sk-a****9f0e"));
        check(&own, "bob", Some("#2"));
        check(&own, "sk-a-other-long-key-9f0e", Some("sk-a****9f0e #3"));
        check(&own, "0123\u{7}456789abcdef", Some("0123****cdef"));
        check(&own, "carol", Some("#6"));
        check(&own, "dave", None);
        let global = ProxyKeys::parse_global("\u{1}-a-key-with-an-odd-beginning,bob,sk-a-long-key-that-is-9f0e");
        check(&global, "\u{1}-a-key-with-an-odd-beginning", Some("global #1"));
        check(&global, "bob", Some("global #2"));
        check(&global, "sk-a-long-key-that-is-9f0e", Some("sk-a****9f0e"));
    }
}
