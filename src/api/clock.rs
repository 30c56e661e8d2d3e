//! What time it is, and in which zone the operator's clock shows it. A test holds both.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, FixedOffset, Local, Offset as _, Utc};

#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// Never goes back, for whatever must last.
    pub(crate) steady: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// How far the server's local time is from UTC at an instant: zones change it twice a year.
    pub(crate) local_offset: fn(DateTime<Utc>) -> FixedOffset,
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self {
            now: Arc::new(Utc::now),
            steady: Arc::new(Instant::now),
            local_offset: |at| at.with_timezone(&Local).offset().fix(),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    pub(super) fn steady(&self) -> Instant {
        (self.steady)()
    }

    pub(super) fn local(&self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        at.with_timezone(&(self.local_offset)(at))
    }
}
