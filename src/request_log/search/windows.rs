//! A file searched: from the newest row down in windows of row ids.
//!
//! Row ids ascend as entries are written, and every index of SQLite ends in the row id. So a search goes down from the
//! newest row in windows of row ids, along the index of its rarest filter, and stops as soon as it has what was asked for:
//! it never sorts what it does not show.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::{Duration, Instant},
};

use super::{
    Bodies, Cursor, Filter, Found, LoggedEntry, PAGE_TIME, Page, RowIds, Search, SearchError, Shared, Start, Total,
    queries::{self, Scan},
    rows,
    terms::{self, Range, Term},
};

/// How far a search goes before it looks at the clock, and for how long it goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Row ids that the first look goes through.
    pub(super) first_window_rows: i64,
    /// Where there was nothing in one window, the next may be full of rows to be compared.
    pub(super) window_rows_max: i64,
    /// Time for one step of a search by cursor: what was not looked at by then is left for the next step.
    pub(super) step_time: Duration,
    /// How long newest entries are looked at for a text in an error before the index of all errors is read.
    pub(super) glance_time: Duration,
    /// Matches are counted up to this many; a page beyond is found all the same.
    pub(super) counted_max: usize,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        first_window_rows: 8_192,
        window_rows_max: 262_144,
        step_time: Duration::from_millis(60),
        glance_time: Duration::from_millis(15),
        counted_max: 10_000,
    };

    /// As large as fits into the time of a look, going by the last one.
    fn next_window(&self, window: i64, took: Duration) -> i64 {
        let growth = WINDOW_TIME.as_micros() / took.as_micros().max(1);
        let growth = i64::try_from(growth).unwrap_or(i64::MAX).min(WINDOW_GROWTH_MAX);
        let next = if growth == 0 { window / 2 } else { window.saturating_mul(growth) };
        next.clamp(self.first_window_rows, self.window_rows_max)
    }
}

/// By what a look may grow over the one before.
const WINDOW_GROWTH_MAX: i64 = 8;
/// How long one look should take: no reader is held for long, and the end of a search's time is noticed.
const WINDOW_TIME: Duration = Duration::from_millis(25);
/// What counting may add to a page's time.
const COUNT_TIME: Duration = Duration::from_millis(40);
/// Entries that a filter's index is asked for, to find out how rare what it finds is.
const PROBED_MAX: i64 = 20_000;
/// So many rows are counted anew for each page.
const ROWS_COUNTED_AT_ONCE_MAX: i64 = 50_000;
/// How long the number of gaps among row ids is believed.
const GAPS_TIME: Duration = Duration::from_secs(60);

/// Row ids between the first and the last that no row has. There are none unless rows were deleted by hand or out of
/// their order, so that counting all rows is not worth the time of each page.
pub(super) struct Gaps {
    begin: Instant,
    count: AtomicI64,
    /// Milliseconds since `begin`; -1: never.
    counted_at: AtomicI64,
    is_counting: AtomicBool,
}

impl Gaps {
    pub(super) fn unknown() -> Self {
        Self {
            begin: Instant::now(),
            count: AtomicI64::new(0),
            counted_at: AtomicI64::new(-1),
            is_counting: AtomicBool::new(false),
        }
    }
}

/// A filter made ready: its terms with the one to go along, and the row ids that can match.
pub(super) struct Plan {
    pub(super) scan: Scan,
    /// Another way, worth a try where `scan` reads all of its index: newest first, for what is found soon.
    pub(super) glance: Option<Scan>,
    pub(super) range: Range,
    is_unfiltered: bool,
}

struct Looked {
    row_ids: Vec<i64>,
    /// No row below this one was looked at.
    down_to: i64,
}

impl Search {
    pub(super) async fn page_of_file(&self, filter: &Filter, start: Start, page: Page) -> Result<Found, SearchError> {
        let Some(mut plan) = self.plan(filter).await? else { return Ok(Found::nothing(&start)) };
        match start {
            Start::Below(cursor) => {
                let below = match cursor {
                    Some(Cursor::Row(row_id)) => Some(row_id),
                    _ => None,
                };
                plan.range.last = below.map_or(plan.range.last, |row_id| plan.range.last.min(row_id - 1));
                self.step(&plan, page).await
            }
            Start::Offset(offset) if plan.is_unfiltered => self.unfiltered(&plan, offset, page).await,
            Start::Offset(offset) => match usize::try_from(offset) {
                Ok(offset) if offset <= self.shared.limits.counted_max => self.counted(&plan, offset, page).await,
                _ => self.deep(&plan, offset, page).await,
            },
        }
    }

    pub(super) async fn newest_of_each_key_in_file(&self, filter: &Filter) -> Result<Vec<i64>, SearchError> {
        let Some(plan) = self.plan(filter).await? else { return Ok(Vec::new()) };
        Ok(queries::newest_of_each_key(self.shared.database.readers(), &plan.scan, plan.range).await?)
    }

    /// `None`: nothing can match.
    pub(super) async fn plan(&self, filter: &Filter) -> Result<Option<Plan>, SearchError> {
        let Shared { database, cipher, .. } = &*self.shared;
        let readers = database.readers();
        let Some(mut range) = queries::whole_range(readers).await? else { return Ok(None) };
        let are_times_plain = database.are_times_utc();
        let Some(terms) = terms::of(filter, cipher, are_times_plain, readers).await? else { return Ok(None) };
        if let Some(from) = filter.start_time {
            let Some(first) = queries::first_at(readers, terms::text_from(from, are_times_plain)).await? else {
                return Ok(None);
            };
            range.first = range.first.max(first);
        }
        if let Some(to) = filter.end_time {
            let Some(last) = queries::last_at(readers, terms::text_to(to, are_times_plain)).await? else {
                return Ok(None);
            };
            range.last = range.last.min(last);
        }
        let is_unfiltered = terms.is_empty();
        let scan = self.along_the_rarest(terms, range).await?;
        let glance = scan.reads_whole_index().then(|| Scan::along_failures(scan.terms.clone()));
        Ok(Some(Plan { scan, glance, range, is_unfiltered }))
    }

    /// Which of the terms that have an index finds the fewest rows.
    async fn along_the_rarest(&self, terms: Vec<Term>, range: Range) -> Result<Scan, SearchError> {
        let readers = self.shared.database.readers();
        let indexed: Vec<usize> = (0..terms.len()).filter(|at| terms[*at].index.is_some()).collect();
        let mut rarest = indexed.first().map(|at| (PROBED_MAX + 1, *at));
        if indexed.len() > 1 {
            for at in indexed {
                // To find out how rare a text in an error is, all errors would have to be read.
                let is_read_whole = terms[at].index.is_some_and(|index| index.is_read_whole);
                let count = if is_read_whole {
                    PROBED_MAX
                } else {
                    queries::probe(readers, &terms[at], range, PROBED_MAX).await?
                };
                rarest = rarest.filter(|(fewest, _)| *fewest <= count).or(Some((count, at)));
            }
        }
        Ok(Scan { terms, along: rarest.map(|(_, at)| at) })
    }

    /// By cursor: as much as there is time for.
    async fn step(&self, plan: &Plan, page: Page) -> Result<Found, SearchError> {
        let size = page.size;
        let looked = self.look(plan, size + 1, size + 1, self.shared.limits.step_time).await?;
        let is_more = looked.row_ids.len() > size;
        let shown = &looked.row_ids[..looked.row_ids.len().min(size)];
        let next = match shown.last() {
            Some(last) if is_more => Some(Cursor::Row(*last)),
            // Nothing down to here; below it nobody has looked yet.
            _ => (looked.down_to > plan.range.first).then_some(Cursor::Row(looked.down_to)),
        };
        Ok(Found { entries: self.newest_first(shown, page.bodies).await?, total: None, next })
    }

    async fn counted(&self, plan: &Plan, offset: usize, page: Page) -> Result<Found, SearchError> {
        let size = page.size;
        let counted_max = self.shared.limits.counted_max;
        let enough = offset + size + 1;
        let looked = self.look(plan, enough, enough.max(counted_max + 1), PAGE_TIME).await?;
        let is_complete = looked.down_to <= plan.range.first;
        if !is_complete && looked.row_ids.len() < enough {
            return Err(SearchError::TooLong);
        }
        let all = &looked.row_ids;
        let shown = &all[all.len().min(offset)..all.len().min(offset + size)];
        // Where there is more, the number says so, since a console offers as many pages as it tells.
        let count = if is_complete { all.len() } else { all.len().min(counted_max.max(enough)) };
        Ok(Found {
            entries: self.newest_first(shown, page.bodies).await?,
            total: Some(Total { count: count as u64, is_exact: is_complete }),
            next: shown.last().filter(|_| all.len() > offset + size).map(|row_id| Cursor::Row(*row_id)),
        })
    }

    /// A page far down: what is before it is only counted, window by window.
    async fn deep(&self, plan: &Plan, offset: u64, page: Page) -> Result<Found, SearchError> {
        let Shared { database, limits, .. } = &*self.shared;
        let begin = Instant::now();
        let mut before = 0;
        let mut last = plan.range.last;
        let mut window = if plan.scan.reads_whole_index() { i64::MAX } else { limits.first_window_rows };
        while last >= plan.range.first {
            let first = plan.range.first.max(last.saturating_sub(window).saturating_add(1));
            let looked_since = Instant::now();
            let count = queries::count(database.readers(), &plan.scan, Range { first, last }).await?;
            if before + count > offset {
                return self.page_below(plan, last, offset - before, (before, page)).await;
            }
            before += count;
            last = first - 1;
            window = limits.next_window(window, looked_since.elapsed());
            if begin.elapsed() > PAGE_TIME {
                return Err(SearchError::TooLong);
            }
        }
        let total = Some(Total { count: before, is_exact: true });
        Ok(Found { entries: Vec::new(), total, next: None })
    }

    /// The page behind so many matches from a row on down; so many are above that row.
    async fn page_below(
        &self,
        plan: &Plan,
        last: i64,
        offset: u64,
        (before, page): (u64, Page),
    ) -> Result<Found, SearchError> {
        let size = page.size;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let enough = offset.saturating_add(size + 1);
        let range = Range { last, ..plan.range };
        let looked = self.look_along(&plan.scan, range, enough, enough, PAGE_TIME).await?;
        let is_complete = looked.down_to <= plan.range.first;
        if !is_complete && looked.row_ids.len() < enough {
            return Err(SearchError::TooLong);
        }
        let all = &looked.row_ids;
        let shown = &all[all.len().min(offset)..all.len().min(offset + size)];
        Ok(Found {
            entries: self.newest_first(shown, page.bodies).await?,
            total: Some(Total { count: before + all.len() as u64, is_exact: is_complete }),
            next: shown.last().filter(|_| all.len() > offset + size).map(|row_id| Cursor::Row(*row_id)),
        })
    }

    async fn unfiltered(&self, plan: &Plan, offset: u64, page: Page) -> Result<Found, SearchError> {
        let size = page.size;
        let ids = plan.range.len();
        let gaps = self.gaps(ids).await?;
        let count = ids.saturating_sub(gaps.unwrap_or(0)).max(0).unsigned_abs();
        let total = Some(Total { count, is_exact: gaps.is_some() });
        let below = i64::try_from(offset).ok().filter(|offset| *offset < ids);
        let Some(offset) = below else { return Ok(Found { entries: Vec::new(), total, next: None }) };
        let readers = self.shared.database.readers();
        let row_ids = if gaps.unwrap_or(0) == 0 {
            let range = Range { last: plan.range.last - offset, ..plan.range };
            queries::window(readers, &plan.scan, range, 0, size + 1).await?
        } else {
            queries::window(readers, &plan.scan, plan.range, offset.unsigned_abs(), size + 1).await?
        };
        let shown = &row_ids[..row_ids.len().min(size)];
        let next = shown.last().filter(|_| row_ids.len() > size).map(|row_id| Cursor::Row(*row_id));
        Ok(Found { entries: self.newest_first(shown, page.bodies).await?, total, next })
    }

    /// Goes down from the newest row until it has `enough` and, while little time has passed, `most` matches.
    async fn look(&self, plan: &Plan, enough: usize, most: usize, time: Duration) -> Result<Looked, SearchError> {
        if let Some(glance) = &plan.glance {
            let looked = self.look_along(glance, plan.range, enough, most, self.shared.limits.glance_time).await?;
            if looked.row_ids.len() >= enough {
                return Ok(looked);
            }
        }
        self.look_along(&plan.scan, plan.range, enough, most, time).await
    }

    async fn look_along(
        &self,
        scan: &Scan,
        range: Range,
        enough: usize,
        most: usize,
        time: Duration,
    ) -> Result<Looked, SearchError> {
        let Shared { database, limits, .. } = &*self.shared;
        let begin = Instant::now();
        let mut row_ids: Vec<i64> = Vec::new();
        let mut last = range.last;
        let mut window = if scan.reads_whole_index() { i64::MAX } else { limits.first_window_rows };
        while last >= range.first && row_ids.len() < most {
            let first = range.first.max(last.saturating_sub(window).saturating_add(1));
            let looked_since = Instant::now();
            let wanted = most - row_ids.len();
            let lot = queries::window(database.readers(), scan, Range { first, last }, 0, wanted).await?;
            last = match lot.last() {
                Some(row_id) if lot.len() == wanted => *row_id - 1,
                _ => first - 1,
            };
            row_ids.extend(lot);
            window = limits.next_window(window, looked_since.elapsed());
            // Once at least, so that each step is one.
            let limit = if row_ids.len() >= enough { COUNT_TIME } else { time };
            if begin.elapsed() > limit {
                break;
            }
        }
        Ok(Looked { row_ids, down_to: last + 1 })
    }

    async fn newest_first(&self, row_ids: &[i64], bodies: Bodies) -> Result<Vec<LoggedEntry>, SearchError> {
        let readers = self.shared.database.readers();
        let mut entries = rows::read(readers, &self.shared.cipher, &RowIds::Numbers(row_ids.to_vec()), bodies).await?;
        // The original writes the entries of a minute in any order.
        entries.sort_by(|a, b| b.timestamp.cmp(&a.timestamp).then(b.row_id.cmp(&a.row_id)));
        Ok(entries)
    }

    /// `None`: they are being counted for the first time. Only few rows are counted while somebody waits.
    async fn gaps(&self, ids: i64) -> Result<Option<i64>, SearchError> {
        let Shared { database, gaps, .. } = &*self.shared;
        let now = i64::try_from(gaps.begin.elapsed().as_millis()).unwrap_or(i64::MAX);
        let counted_at = gaps.counted_at.load(Ordering::Acquire);
        let is_known = counted_at >= 0;
        if ids <= ROWS_COUNTED_AT_ONCE_MAX {
            return Ok(Some(queries::gaps(database.readers()).await?));
        }
        let is_old = !is_known || u128::from((now - counted_at).unsigned_abs()) > GAPS_TIME.as_millis();
        if is_old && !gaps.is_counting.swap(true, Ordering::Relaxed) {
            // All rows are counted, which takes longer than a page may.
            let this = self.clone();
            tokio::spawn(async move {
                let gaps = &this.shared.gaps;
                match queries::gaps(this.shared.database.readers()).await {
                    Ok(count) => {
                        gaps.count.store(count, Ordering::Relaxed);
                        gaps.counted_at.store(now, Ordering::Release);
                    }
                    Err(error) => tracing::warn!(%error, "The rows of the request log cannot be counted"),
                }
                gaps.is_counting.store(false, Ordering::Relaxed);
            });
        }
        Ok(is_known.then(|| gaps.count.load(Ordering::Relaxed)))
    }
}
