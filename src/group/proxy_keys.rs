//! The credentials that open a group.

use std::collections::HashSet;

use crate::crypto;

/// A set of credentials, held as digests: looking one up takes the same time whatever it has in common with a right one.
pub(crate) struct ProxyKeys {
    digests: HashSet<[u8; 32]>,
}

impl ProxyKeys {
    /// Reads a comma-separated list; blanks around entries, and empty entries, do not count.
    pub(crate) fn parse(list: &str) -> Self {
        let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
        Self { digests: keys.map(crypto::digest).collect() }
    }

    pub(crate) fn contains(&self, digest: &[u8; 32]) -> bool {
        self.digests.contains(digest)
    }
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
        assert!(ProxyKeys::parse(" , ").digests.is_empty());
    }
}
