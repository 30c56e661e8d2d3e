//! A row of whichever engine there is, and how its columns are read.

use sqlx::{ColumnIndex, Row as _, TypeInfo as _, mysql::MySqlRow, postgres::PgRow, sqlite::SqliteRow};

use super::{Error, Timestamp, connect::Zone};

#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow, Zone),
    PostgreSql(PgRow),
}

/// A column by its name, or by its number from 0.
pub(crate) trait Place: ColumnIndex<SqliteRow> + ColumnIndex<MySqlRow> + ColumnIndex<PgRow> {}

impl<T: ColumnIndex<SqliteRow> + ColumnIndex<MySqlRow> + ColumnIndex<PgRow>> Place for T {}

/// A value that can be read out of a row.
pub(crate) trait Column: Sized {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error>;
}

/// What a whole row becomes.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, Error>;
}

/// The text of a JSON column.
pub(crate) struct JsonText(pub(crate) String);

/// A time, or the text in its place that is none: columns of SQLite take anything.
pub(crate) struct AnyTime(pub(crate) Result<Timestamp, String>);

impl Row {
    pub(crate) fn get<T: Column>(&self, place: impl Place) -> Result<T, Error> {
        Ok(T::of(self, place)?)
    }
}

// Unchecked: MySQL's ids are unsigned, SQLite's columns hold what was written into them, and the kinds of numbers that
// functions give differ from engine to engine. What cannot be read is an error all the same.
macro_rules! columns {
    ($($kind:ty),+ $(,)?) => {$(
        impl Column for $kind {
            fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get_unchecked(place),
                    Row::MySql(row, _) => row.try_get_unchecked(place),
                    Row::PostgreSql(row) => row.try_get_unchecked(place),
                }
            }
        }
    )+};
}

columns!(bool, String, Option<bool>, Option<String>);

impl Column for Option<i64> {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        match row {
            Row::Sqlite(row) => row.try_get_unchecked(place),
            // What MySQL has widened to a decimal number is a text, and its bytes must not be taken for a number.
            Row::MySql(row, _) if is_decimal(&row.try_get_raw(&place)?) => {
                let text = row.try_get_unchecked::<Option<String>, _>(place)?;
                text.map(|text| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))).transpose()
            }
            Row::MySql(row, _) => row.try_get_unchecked(place),
            Row::PostgreSql(row) => row.try_get_unchecked(place),
        }
    }
}

fn is_decimal(value: &sqlx::mysql::MySqlValueRef<'_>) -> bool {
    sqlx::ValueRef::type_info(value).name() == "DECIMAL"
}

impl Column for i64 {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        Option::<Self>::of(row, place)?.ok_or_else(|| sqlx::Error::Decode("a number is missing".into()))
    }
}

impl Column for Option<Timestamp> {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        Ok(match row {
            Row::Sqlite(row) => row.try_get_unchecked::<Option<Timestamp>, _>(place)?,
            Row::MySql(row, zone) => row
                .try_get_unchecked::<Option<chrono::NaiveDateTime>, _>(place)?
                .map(|wall| Timestamp(zone.from_wall(wall))),
            Row::PostgreSql(row) => row.try_get::<Option<chrono::DateTime<chrono::Utc>>, _>(place)?.map(Timestamp),
        })
    }
}

impl Column for Timestamp {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        Option::<Self>::of(row, place)?.ok_or_else(|| sqlx::Error::Decode("a time is missing".into()))
    }
}

impl Column for Option<AnyTime> {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        let Row::Sqlite(row) = row else {
            return Ok(Option::<Timestamp>::of(row, place)?.map(|time| AnyTime(Ok(time))));
        };
        let text = row.try_get_unchecked::<Option<String>, _>(place)?;
        Ok(text.map(|text| AnyTime(Timestamp::parse_stored(&text).ok_or(text))))
    }
}

impl Column for Option<JsonText> {
    fn of(row: &Row, place: impl Place) -> Result<Self, sqlx::Error> {
        let Row::PostgreSql(row) = row else {
            // These columns of SQLite have numeric affinity, so whatever looks like a number is stored as one.
            return Ok(Option::<String>::of(row, place)?.map(JsonText));
        };
        let json = row.try_get::<Option<sqlx::types::Json<Box<serde_json::value::RawValue>>>, _>(place)?;
        Ok(json.map(|json| JsonText(json.0.get().to_owned())))
    }
}

impl<A: Column> FromRow for (A,) {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok((row.get(0)?,))
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:literal),+))+) => {$(
        impl<$($name: Column),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(($(row.get::<$name>($at)?,)+))
            }
        }
    )+};
}

tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
}
