//! What every request of a group gets before it leaves, be it traffic or the test of a key: the key, the upstream's own
//! credential, the header rules.

use std::net::IpAddr;

use http::{HeaderMap, header};

use super::{
    Group, Key,
    header_rules::{Variables, apply_rules},
};
use crate::upstream::{Address, SendError};

impl Group {
    /// `path` is the whole one of the target, base path included: it decides how Gemini wants its key.
    ///
    /// # Errors
    /// [`SendError::Unsendable`] for a key or a rule's value that no header can carry.
    pub(crate) fn sign(
        &self,
        headers: &mut HeaderMap,
        address: &Address,
        path: &str,
        key: &Key,
        client: IpAddr,
    ) -> Result<(), SendError> {
        self.channel.sign(path, headers, &key.secret).map_err(|_| SendError::UnsendableKey)?;
        if let Some(authorization) = &address.basic_authorization
            && !headers.contains_key(header::AUTHORIZATION)
        {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let variables = Variables { client, group: &self.name, key: &key.secret };
        apply_rules(headers, &self.header_rules, &variables).map_err(|error| SendError::Unsendable(error.to_string()))
    }
}
