//! Members of aggregate groups: standard groups that share requests by weight.

mod add;
mod list;
mod parents;
mod remove;
mod set_weight;

use super::Api;

pub(in crate::api) use self::{add::add, list::list, parents::parents, remove::remove, set_weight::set_weight};
