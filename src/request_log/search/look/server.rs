//! A server's table looked into: by slices of time that are spread over the span, each short enough that together they
//! hold a sample.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Amount, Detail, Extent, Looked,
    row::{Owned, columns},
    scattered,
};
use crate::{
    db::{Source as _, Timestamp},
    request_log::search::{
        Filter, PAGE_TIME, Search, SearchError,
        server_queries::{self as queries, Condition, Slice},
        servers::known_time,
    },
};

/// Parts of the span that each have a slice.
const SLICES: usize = 64;
/// Share of the span that the first count looks at.
const FIRST_SHARE: f64 = 1.0 / 1_024.0;
/// By what the next count's share grows where the one before found next to nothing.
const SHARE_GROWTH: f64 = 16.0;
/// Rows that say enough about how many there are in all.
const COUNT_ENOUGH: i64 = 100;
/// Counts until the share is taken as it is.
const COUNTS_MAX: usize = 4;
/// A slice is never shorter: MySQL's times are no finer, and entries come in lots.
const SLICE_MILLISECONDS_MIN: i64 = 10;

impl Search {
    pub(super) async fn look_into_server(
        &self,
        filter: &Filter,
        amount: Amount,
        detail: Detail,
        show: &mut (dyn FnMut(&Looked<'_>) + Send),
    ) -> Result<Extent, SearchError> {
        let Some(plan) = self.plan_for_server(filter).await? else { return Ok(Extent::NOTHING) };
        let readers = self.shared.database.readers();
        let columns = columns(readers.engine(), detail);
        let most = i64::try_from(amount.rows_all_max).unwrap_or(i64::MAX);
        let count = queries::count(readers, &plan.conditions, most + 1, PAGE_TIME).await?;
        let slices = match (count > most, filter.start_time, filter.end_time) {
            (true, Some(from), Some(to)) => {
                let (from, to) = (known_time(from).0, known_time(to).0);
                Some(self.slices(&plan.conditions, (from, to), amount).await?)
            }
            _ => None,
        };
        let (slices, scale) = slices.unzip();
        let sql = queries::read(readers.engine(), &columns, &plan.conditions, slices.as_deref(), most);
        let rows: Vec<Owned> = readers.all(sql.once().within(PAGE_TIME)).await?;
        let mut rows_examined = 0;
        for looked in rows.iter().filter_map(Owned::looked) {
            rows_examined += 1;
            show(&looked);
        }
        Ok(Extent { rows_examined, scale: scale.unwrap_or(1.0) })
    }

    /// Slices that hold about as many rows as a sample has, and what each row in them stands for.
    async fn slices(
        &self,
        conditions: &[Condition],
        span: (DateTime<Utc>, DateTime<Utc>),
        amount: Amount,
    ) -> Result<(Vec<Slice>, f64), SearchError> {
        let readers = self.shared.database.readers();
        let most = i64::try_from(amount.rows_all_max).unwrap_or(i64::MAX);
        let wanted = number(i64::try_from(amount.rows_sampled).unwrap_or(i64::MAX));
        // There are more than could all be read, so this share has enough.
        let share_max = wanted / number(most.max(1));
        let mut share = FIRST_SHARE.min(share_max);
        for _ in 0..COUNTS_MAX {
            let (slices, _) = cut(span, share);
            let count = queries::count_slices(readers, conditions, &slices, most + 1, PAGE_TIME).await?;
            let fitting = if count < COUNT_ENOUGH { share * SHARE_GROWTH } else { share * wanted / number(count) };
            share = fitting.min(share_max);
            if count >= COUNT_ENOUGH && count <= most {
                break;
            }
        }
        Ok(cut(span, share))
    }
}

/// Of each part of the span a slice, at a place that looks like chance; and the span's length by that of the slices.
fn cut((from, to): (DateTime<Utc>, DateTime<Utc>), share: f64) -> (Vec<Slice>, f64) {
    let parts = i64::try_from(SLICES).unwrap_or(1);
    let whole = (to - from).num_milliseconds().max(1);
    let part = (whole / parts).max(1);
    #[expect(clippy::cast_possible_truncation, reason = "a share of a span is shorter than the span")]
    let length = ((number(part) * share) as i64).max(SLICE_MILLISECONDS_MIN).min(part);
    let at = |milliseconds: i64| Timestamp(from + TimeDelta::milliseconds(milliseconds));
    let slice = |number: i64| {
        let room = (part - length + 1).unsigned_abs();
        let begin = number * part + i64::try_from(scattered(number.unsigned_abs()) % room).unwrap_or(0);
        Slice { from: at(begin), to: at(begin + length) }
    };
    ((0..parts).map(slice).collect(), (number(whole) / number(length * parts)).max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows and milliseconds are far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_spread_over_the_span_and_lie_apart() {
        let from = Timestamp::parse_stored("2026-11-22 10:00:00+00:00").unwrap().0;
        let to = from + TimeDelta::hours(24);
        let (slices, scale) = cut((from, to), 0.1);
        assert_eq!(slices.len(), SLICES);
        assert!((9.9..10.1).contains(&scale), "{scale}");
        assert!(slices[0].from.0 >= from && slices[SLICES - 1].to.0 <= to);
        for pair in slices.windows(2) {
            assert!(pair[0].to <= pair[1].from, "{pair:?}");
        }
        let (slices, _) = cut((from, from + TimeDelta::milliseconds(3)), 0.1);
        assert!(slices.iter().all(|slice| slice.from < slice.to));
    }
}
