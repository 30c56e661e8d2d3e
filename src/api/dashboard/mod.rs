//! The page that an operator sees first.

mod chart;
mod encryption_status;
mod stats;
mod warnings;

use super::Api;

pub(super) use self::{chart::chart, encryption_status::encryption_status, stats::stats};
