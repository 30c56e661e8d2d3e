//! Settings that change without a restart.

mod list;
mod update;

use super::Api;

pub(super) use self::{list::list, update::update};
