//! Why a change of groups is refused, without a word of HTTP or of any language.

use crate::db;

/// A rule that a wanted change breaks: the key of its message, and what the message mentions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {arguments:?}")]
pub(crate) struct Invalid {
    pub(crate) fault: Fault,
    pub(crate) key: &'static str,
    pub(crate) arguments: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A value breaks a rule.
    Validation,
    /// The request makes no sense for this group.
    BadRequest,
    /// What is meant does not exist.
    NotFound,
    /// It was changed since the caller saw it.
    Outdated,
}

impl Invalid {
    pub(super) fn value(key: &'static str) -> Self {
        Self { fault: Fault::Validation, key, arguments: Vec::new() }
    }

    pub(super) fn request(key: &'static str) -> Self {
        Self { fault: Fault::BadRequest, ..Self::value(key) }
    }

    pub(super) fn absent(key: &'static str) -> Self {
        Self { fault: Fault::NotFound, ..Self::value(key) }
    }

    pub(super) fn outdated(key: &'static str) -> Self {
        Self { fault: Fault::Outdated, ..Self::value(key) }
    }

    pub(super) fn with(mut self, name: &'static str, argument: impl ToString) -> Self {
        self.arguments.push((name, argument.to_string()));
        self
    }
}

/// What can come out of a change instead of its result. A name or a membership that exists already is a
/// [`db::Error::Duplicate`], a group that does not is a [`db::Error::NotFound`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Database(#[from] db::Error),
}
