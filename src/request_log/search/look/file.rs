//! A file looked into: by an index where that finds few rows, else by blocks of row ids.

use std::time::{Duration, Instant};

use super::{
    Amount, Detail, Extent, Looked,
    row::{Second, Written, columns},
    scattered, spread,
};
use crate::{
    db::{Engine, Source as _, Sql},
    request_log::search::{
        Filter, PAGE_TIME, Search, SearchError,
        queries::{self, Scan},
        terms::Range,
    },
};

/// Row ids that lie together and are read as one: they share pages of the file.
const BLOCK_ROWS: i64 = 100;
/// Blocks of one statement: what is read between two looks at the clock.
const BLOCKS_PER_STATEMENT: usize = 25;
/// Row ids of one statement where all are read.
const WINDOW_ROWS: i64 = 4_096;
/// Parts of the row ids of which each is read along an index by a statement of its own.
const PARTS: usize = 16;
/// Rows that an index finds and that are counted, before it is taken for one that finds too many.
const FOUND_MAX: i64 = 300_000;
/// Rows that an index finds lie scattered over the file: so many of them are read, at most.
const ROWS_ALONG_MAX: i64 = 20_000;
/// A sample goes on while it has fewer matches than this, and has time.
const MATCHES_ENOUGH: usize = 5_000;
/// Times that each part of the span is sampled, at most.
const ROUNDS_MAX: u64 = 16;

/// How a plan's rows are read.
enum Way {
    /// All row ids, window by window.
    Whole,
    /// Along the index of the scan, every so-and-so-many-th of what it finds.
    Along { each: i64 },
    /// Blocks here and there.
    Blocks,
}

/// Rows that are being looked at.
struct Looking<'a> {
    search: &'a Search,
    columns: String,
    begin: Instant,
    second: Second,
    rows_examined: usize,
    show: &'a mut (dyn FnMut(&Looked<'_>) + Send),
}

impl Search {
    pub(super) async fn look_into_file(
        &self,
        filter: &Filter,
        amount: Amount,
        detail: Detail,
        show: &mut (dyn FnMut(&Looked<'_>) + Send),
    ) -> Result<Extent, SearchError> {
        let begin = Instant::now();
        let Some(plan) = self.plan(filter).await? else { return Ok(Extent::NOTHING) };
        let scan = match plan.glance {
            // Its own index is worth reading as a whole only.
            Some(along_failures) => along_failures,
            None => plan.scan,
        };
        let range = plan.range;
        if range.len() <= 0 {
            return Ok(Extent::NOTHING);
        }
        let way = self.way(&scan, range, amount).await?;
        let mut looking = Looking {
            search: self,
            columns: columns(Engine::Sqlite, detail),
            begin,
            second: Second::default(),
            rows_examined: 0,
            show,
        };
        let scale = match way {
            Way::Whole => {
                looking.whole(&scan, range).await?;
                1.0
            }
            Way::Along { each } => looking.along(&scan, range, each).await?,
            Way::Blocks => looking.blocks(&scan, range, amount).await?,
        };
        Ok(Extent { rows_examined: looking.rows_examined, scale })
    }

    async fn way(&self, scan: &Scan, range: Range, amount: Amount) -> Result<Way, SearchError> {
        let most = i64::try_from(amount.rows_all_max).unwrap_or(i64::MAX);
        if range.len() <= most.saturating_add(2 * queries::EDGE_SLACK_ROWS) {
            return Ok(Way::Whole);
        }
        let Some(at) = scan.along else { return Ok(Way::Blocks) };
        let found = queries::probe(self.shared.database.readers(), &scan.terms[at], range, FOUND_MAX).await?;
        if found > FOUND_MAX {
            return Ok(Way::Blocks);
        }
        let read_max = ROWS_ALONG_MAX.min(most);
        Ok(Way::Along { each: if found <= read_max { 1 } else { 2 * found / read_max } })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^53")]
impl Looking<'_> {
    async fn whole(&mut self, scan: &Scan, range: Range) -> Result<(), SearchError> {
        let mut first = range.first;
        while first <= range.last {
            let part = Range { first, last: range.last.min(first + WINDOW_ROWS - 1) };
            self.read(queries::read_all(&self.columns, scan, part)).await?;
            first += WINDOW_ROWS;
        }
        Ok(())
    }

    async fn along(&mut self, scan: &Scan, range: Range, each: i64) -> Result<f64, SearchError> {
        let width = range.len() / i64::try_from(PARTS).unwrap_or(1) + 1;
        let mut first = range.first;
        while first <= range.last {
            let part = Range { first, last: range.last.min(first + width - 1) };
            self.read(queries::read_along(&self.columns, scan, part, each)).await?;
            first += width;
        }
        Ok(each as f64)
    }

    async fn blocks(&mut self, scan: &Scan, range: Range, amount: Amount) -> Result<f64, SearchError> {
        let strata = (amount.rows_sampled / usize::try_from(BLOCK_ROWS).unwrap_or(1)).max(1);
        let width = range.len() / i64::try_from(strata).unwrap_or(1);
        // As many blocks as fit into each part of the range, one after the other, so that none is read twice.
        let blocks = width.unsigned_abs() / BLOCK_ROWS.unsigned_abs();
        let mut looked = 0;
        'rounds: for round in 0..ROUNDS_MAX.min(blocks.max(1)) {
            let order: Vec<usize> = spread(strata).collect();
            for lot in order.chunks(BLOCKS_PER_STATEMENT) {
                let begins: Vec<i64> = lot
                    .iter()
                    .map(|stratum| {
                        let place = (scattered(*stratum as u64) + round) % blocks.max(1);
                        let stratum = i64::try_from(*stratum).unwrap_or(0);
                        range.first + stratum * width + i64::try_from(place).unwrap_or(0) * BLOCK_ROWS
                    })
                    .collect();
                self.read(queries::read_blocks(&self.columns, scan, range, &begins, BLOCK_ROWS)).await?;
                looked += i64::try_from(begins.len()).unwrap_or(0) * BLOCK_ROWS;
                // The first round goes over the whole span, however long it takes: what was left out would look like a
                // time without requests.
                if round > 0 && self.begin.elapsed() >= amount.growth_time_max {
                    break 'rounds;
                }
            }
            if self.rows_examined >= MATCHES_ENOUGH || self.begin.elapsed() >= amount.growth_time_max {
                break;
            }
        }
        Ok((range.len() as f64 / looked.max(1) as f64).max(1.0))
    }

    async fn read(&mut self, statement: Sql) -> Result<(), SearchError> {
        if self.begin.elapsed() >= PAGE_TIME {
            return Err(SearchError::TooLong);
        }
        let text: String = self.search.shared.database.readers().value(statement.once()).await?;
        let rows: Vec<Written<'_>> =
            serde_json::from_str(&text).map_err(|error| crate::db::Error::Other(error.into()))?;
        for row in &rows {
            if let Some(looked) = row.looked(&mut self.second) {
                self.rows_examined += 1;
                (self.show)(&looked);
            }
        }
        Ok(())
    }
}

impl Amount {
    pub(in crate::request_log) const fn new(rows_all_max: usize, rows_sampled: usize) -> Self {
        Self { rows_all_max, rows_sampled, growth_time_max: Duration::from_millis(130) }
    }
}
