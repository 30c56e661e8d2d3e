//! Whether a key serves, and if not, why: as it is stored, and as it is now.

use super::Failure;
use crate::db::Timestamp;

/// As it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    Active,
    /// Taken out by its failures.
    Invalid,
    /// Taken out by hand: nothing but the operator's hand brings it back. The original, which does not know it, uses
    /// active keys alone.
    Disabled,
}

impl KeyStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Invalid => "invalid",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Invalid, Self::Disabled].into_iter().find(|status| status.name() == name)
    }
}

/// As it is now, on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyState {
    Active,
    /// It waits out a limit, and serves only where no other key is ready.
    Resting,
    Invalid,
    Disabled,
    /// It is stored as active, but cannot be decrypted, or no header can carry it.
    Unreadable,
}

impl KeyState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Resting => "resting",
            Self::Invalid => "invalid",
            Self::Disabled => "disabled",
            Self::Unreadable => "unreadable",
        }
    }

    /// A status that we do not know is no active one.
    pub(super) fn of(status: &str, is_usable: bool, is_resting: bool) -> Self {
        match KeyStatus::parse(status) {
            Some(KeyStatus::Active) if !is_usable => Self::Unreadable,
            Some(KeyStatus::Active) if is_resting => Self::Resting,
            Some(KeyStatus::Active) => Self::Active,
            Some(KeyStatus::Disabled) => Self::Disabled,
            Some(KeyStatus::Invalid) | None => Self::Invalid,
        }
    }
}

/// Which keys, by their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statuses {
    All,
    Only(KeyStatus),
    AllBut(KeyStatus),
}

impl From<Option<KeyStatus>> for Statuses {
    fn from(status: Option<KeyStatus>) -> Self {
        status.map_or(Self::All, Self::Only)
    }
}

/// Which keys a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateFilter {
    Stored(KeyStatus),
    /// Those of the active ones that wait out a limit, on this node.
    Resting,
}

impl StateFilter {
    pub(crate) const NAMES: [&str; 4] =
        [KeyStatus::Active.name(), KeyStatus::Invalid.name(), KeyStatus::Disabled.name(), KeyState::Resting.name()];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == KeyState::Resting.name() {
            return Some(Self::Resting);
        }
        KeyStatus::parse(name).map(Self::Stored)
    }

    pub(super) fn status(self) -> KeyStatus {
        match self {
            Self::Stored(status) => status,
            Self::Resting => KeyStatus::Active,
        }
    }
}

/// The last failure of a key, and when it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastFailure {
    pub(crate) failure: Failure,
    pub(crate) at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_key_rests_or_cannot_be_read() {
        for is_usable in [true, false] {
            for is_resting in [true, false] {
                assert_eq!(KeyState::of("invalid", is_usable, is_resting), KeyState::Invalid);
                assert_eq!(KeyState::of("disabled", is_usable, is_resting), KeyState::Disabled);
                assert_eq!(KeyState::of("of tomorrow", is_usable, is_resting), KeyState::Invalid);
            }
            assert_eq!(KeyState::of("active", false, is_usable), KeyState::Unreadable);
        }
        assert_eq!(KeyState::of("active", true, true), KeyState::Resting);
        assert_eq!(KeyState::of("active", true, false), KeyState::Active);
    }
}
