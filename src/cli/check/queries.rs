//! All SQL of the examination; it only looks.

use serde_json::Value;

use crate::db::{self, Engine, JsonText, Readers, Source as _, Sql};

/// What may be many is counted up to here.
pub(super) const COUNTED_MAX: i64 = 100_000;

/// What a JSON column must hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    List,
    /// Or NULL, either JSON's or SQL's.
    ListOrNull,
    ObjectOrNull,
}

pub(super) const JSON_COLUMNS: [(&str, Shape); 5] = [
    ("upstreams", Shape::List),
    ("param_overrides", Shape::ObjectOrNull),
    ("config", Shape::ObjectOrNull),
    ("header_rules", Shape::ListOrNull),
    ("model_redirect_rules", Shape::ObjectOrNull),
];

impl Shape {
    pub(super) fn fits(self, text: Option<&str>) -> bool {
        let value = text.filter(|text| !text.is_empty()).map_or(Ok(Value::Null), serde_json::from_str);
        matches!(
            (self, value),
            (Self::List | Self::ListOrNull, Ok(Value::Array(_)))
                | (Self::ObjectOrNull, Ok(Value::Object(_)))
                | (Self::ListOrNull | Self::ObjectOrNull, Ok(Value::Null))
        )
    }
}

pub(super) async fn version(readers: &Readers) -> Result<String, db::Error> {
    let text = if readers.engine().is_sqlite() { "SELECT sqlite_version()" } else { "SELECT version()" };
    readers.value(Sql::new(readers.engine(), text)).await
}

pub(super) async fn count(readers: &Readers, table: &str) -> Result<i64, db::Error> {
    let engine = readers.engine();
    readers.value(Sql::made(engine, format!("SELECT count(*) FROM {}", engine.quoted(table)))).await
}

pub(super) async fn local_times(readers: &Readers) -> Result<i64, db::Error> {
    let text = "SELECT count(*) FROM (SELECT 1 FROM request_logs WHERE timestamp NOT LIKE '%+00:00' LIMIT ?)";
    readers.value(Sql::new(readers.engine(), text).bind(COUNTED_MAX)).await
}

pub(super) async fn orphaned_keys(readers: &Readers) -> Result<i64, db::Error> {
    let engine = readers.engine();
    let groups = engine.quoted("groups");
    let text = format!("SELECT count(*) FROM api_keys WHERE group_id NOT IN (SELECT id FROM {groups})");
    readers.value(Sql::made(engine, text)).await
}

/// Rows beyond the first of each key.
pub(super) async fn duplicates(readers: &Readers) -> Result<i64, db::Error> {
    let engine = readers.engine();
    let text = format!(
        "SELECT coalesce({}, 0) FROM (SELECT count(*) - 1 AS more FROM api_keys WHERE key_hash <> '' \
         GROUP BY group_id, key_hash HAVING count(*) > 1) AS doubled",
        engine.sum("more")
    );
    readers.value(Sql::made(engine, text)).await
}

pub(super) async fn keys_without_hash(readers: &Readers) -> Result<i64, db::Error> {
    let text = "SELECT count(*) FROM api_keys WHERE (key_hash IS NULL OR key_hash = '') AND key_value <> ''";
    readers.value(Sql::new(readers.engine(), text)).await
}

/// Names of groups, each with the text in a JSON column.
pub(super) async fn json_of_groups(
    readers: &Readers,
    column: &str,
) -> Result<Vec<(String, Option<String>)>, db::Error> {
    let engine: Engine = readers.engine();
    let text = format!("SELECT name, {} FROM {} ORDER BY id", engine.quoted(column), engine.quoted("groups"));
    let rows: Vec<(String, Option<JsonText>)> = readers.all(Sql::made(engine, text)).await?;
    Ok(rows.into_iter().map(|(name, json)| (name, json.map(|json| json.0))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_must_have_the_shape_that_the_original_reads() {
        for (shape, text, fits) in [
            (Shape::List, Some("[]"), true),
            (Shape::List, Some("null"), false),
            (Shape::List, None, false),
            (Shape::ListOrNull, None, true),
            (Shape::ListOrNull, Some("null"), true),
            (Shape::ListOrNull, Some("{}"), false),
            (Shape::ObjectOrNull, Some(r#"{"a": 1}"#), true),
            (Shape::ObjectOrNull, Some("1"), false),
            (Shape::ObjectOrNull, Some("{\"a\": "), false),
        ] {
            assert_eq!(shape.fits(text), fits, "{shape:?} {text:?}");
        }
    }
}
