//! The rows of a span of time read for figures: all of them, or, where there are too many, a sample that is spread evenly
//! over the span. Whoever asks sees each row once and hears at the end how many rows each of them stands for.
//!
//! A file is read by row ids (`file.rs`), a server's table by times (`server.rs`).

mod file;
mod row;
mod server;

use std::time::Duration;

use chrono::{DateTime, Utc};

pub(in crate::request_log) use self::row::{Detail, Looked};
use super::{Filter, PAGE_TIME, Search, SearchError};
use crate::db::{AnyTime, Source as _, Sql, Timestamp};

/// How much a look reads.
#[derive(Debug, Clone, Copy)]
pub(in crate::request_log) struct Amount {
    /// Up to so many rows are all read.
    pub(in crate::request_log) rows_all_max: usize,
    /// Of more, about so many.
    pub(in crate::request_log) rows_sampled: usize,
    /// In a file: a sample that has gone over the whole span, and found few matches there, goes on for so long.
    pub(in crate::request_log) growth_time_max: Duration,
}

/// What a look found, beside the rows themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::request_log) struct Extent {
    /// Rows that matched and were seen.
    pub(in crate::request_log) rows_examined: usize,
    /// How many rows each of them stands for; 1: all were seen.
    pub(in crate::request_log) scale: f64,
}

impl Extent {
    const NOTHING: Self = Self { rows_examined: 0, scale: 1.0 };

    pub(in crate::request_log) fn is_estimate(self) -> bool {
        self.scale > 1.0
    }

    /// So many were counted among the rows that were seen: how many that are in all.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of rows are far below 2^53 and never negative"
    )]
    pub(in crate::request_log) fn scaled(self, count: u64) -> u64 {
        (count as f64 * self.scale).round() as u64
    }
}

impl Search {
    /// Shows the rows that match within the filter's own times, which must both be given, in no order.
    ///
    /// # Errors
    /// Besides those of the database: [`SearchError::TooLong`] where there is no place, or a server takes too long.
    pub(in crate::request_log) async fn look_at(
        &self,
        filter: &Filter,
        amount: Amount,
        detail: Detail,
        show: &mut (dyn FnMut(&Looked<'_>) + Send),
    ) -> Result<Extent, SearchError> {
        let place = tokio::time::timeout(PAGE_TIME, self.shared.places.acquire()).await;
        let _place = place.map_err(|_| SearchError::TooLong)?;
        if self.shared.database.engine().is_sqlite() {
            self.look_into_file(filter, amount, detail, show).await
        } else {
            self.look_into_server(filter, amount, detail, show).await
        }
    }

    /// When the oldest entry that is kept was over; `None`: there is none, or nobody can read its time.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn oldest_entry_at(&self) -> Result<Option<DateTime<Utc>>, SearchError> {
        let database = &self.shared.database;
        let sql = Sql::new(database.engine(), "SELECT min(timestamp) FROM request_logs");
        let oldest: Option<AnyTime> = database.readers().value(sql).await?;
        Ok(oldest.and_then(|time| time.0.ok()).map(|Timestamp(at)| at))
    }
}

/// Numbers from 0 so that any beginning of them is spread evenly over all: 0, 8, 4, 12, 2, 10 …
fn spread(count: usize) -> impl Iterator<Item = usize> {
    let places = count.next_power_of_two();
    let bits = places.trailing_zeros();
    (0..places)
        .map(move |number| if bits == 0 { 0 } else { number.reverse_bits() >> (usize::BITS - bits) })
        .filter(move |number| *number < count)
}

/// A number that looks like chance and is the same each time: what comes at regular intervals is met no more often for it.
fn scattered(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_beginning_is_spread_over_all() {
        let order = |count| spread(count).collect::<Vec<_>>();
        assert_eq!(order(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(order(5), [0, 4, 2, 1, 3]);
        assert_eq!((order(1), order(0)), (vec![0], vec![]));
        for count in 1..70 {
            let mut all = order(count);
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_counted_in_a_sample_stands_for_all() {
        let extent = Extent { rows_examined: 10, scale: 2.5 };
        assert_eq!((extent.scaled(0), extent.scaled(3), extent.is_estimate()), (0, 8, true));
        assert!(!Extent::NOTHING.is_estimate());
    }
}
