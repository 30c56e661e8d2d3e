//! Paging by number: what may be asked for, and the shape of a page.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    document::{Shape, shape::integer},
    query::Query,
};

const SIZE_DEFAULT: u64 = 15;
pub(super) const SIZE_MAX: u32 = 1_000;

/// The wanted page; what is missing, nonsense or out of bounds is put right rather than refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) number: u64,
    pub(crate) size: u64,
}

impl Page {
    fn of(query: &Query) -> Self {
        let whole = |name| query.first(name).and_then(|text| text.parse::<i64>().ok());
        let positive = |name| whole(name).and_then(|value| u64::try_from(value).ok()).filter(|&value| value > 0);
        Self {
            number: positive("page").unwrap_or(1),
            size: positive("page_size").unwrap_or(SIZE_DEFAULT).min(SIZE_MAX.into()),
        }
    }

    /// Numbers below 1 are put right too, but nobody should send them.
    pub(crate) fn shape() -> Shape {
        Shape::default().optional("page", integer(1, i64::MAX), "Which page, from 1 (the default)").optional(
            "page_size",
            integer(1, SIZE_MAX.into()),
            "Items on a page; 15 unless given, 1000 at most",
        )
    }

    /// Rows before this page, as far as a database can count.
    pub(crate) fn offset(self) -> u64 {
        (self.number - 1).saturating_mul(self.size).min(i64::MAX.unsigned_abs())
    }

    pub(crate) fn of_items<T>(self, items: Vec<T>, total_items: u64) -> Paged<T> {
        let total_pages = total_items.div_ceil(self.size);
        Paged { items, pagination: Pagination { page: self.number, page_size: self.size, total_items, total_pages } }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&Query::of(&parts.uri)))
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Paged<T> {
    items: Vec<T>,
    pagination: Pagination,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pagination {
    /// Which page this is, from 1.
    page: u64,
    page_size: u64,
    /// Items on all pages together.
    total_items: u64,
    total_pages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, number: u64, size: u64) {
        let uri = format!("/x?{query}").parse().unwrap();
        assert_eq!(Page::of(&Query::of(&uri)), Page { number, size });
    }

    #[test]
    fn nonsense_is_put_right() {
        check("", 1, 15);
        check("page=3&page_size=20", 3, 20);
        check("page=0&page_size=0", 1, 15);
        check("page=-1&page_size=-5", 1, 15);
        check("page=x&page_size=1.5", 1, 15);
        check("page_size=1001", 1, 1_000);
        check("page=99999999999999999999", 1, 15);
    }

    #[test]
    fn the_largest_page_number_does_not_overflow() {
        let page = Page { number: i64::MAX.unsigned_abs(), size: 1_000 };
        assert_eq!(page.offset(), i64::MAX.unsigned_abs());
    }

    #[test]
    fn the_last_page_may_be_short() {
        let shown = |items: u64| {
            let page = Page { number: 1, size: 15 }.of_items(Vec::<u8>::new(), items);
            page.pagination.total_pages
        };
        assert_eq!([shown(0), shown(1), shown(15), shown(16)], [0, 1, 1, 2]);
    }
}
