//! GET /api/logs/export: the keys of the entries that match, each with its newest one, as a file.

use std::fmt::Write as _;

use http::header::CONTENT_DISPOSITION;

use super::{Api, Wanted, filter, key_text};
use crate::{
    api::{
        answer::{Content, Sent},
        download::{self, push_csv_field},
        query::Query,
        refusal::Refusal,
    },
    request_log::LoggedEntry,
};

const ROWS_PER_LOT: usize = 1_000;
const HEADING: &str = "key_value,group_name,status_code\n";

pub(in crate::api) struct KeysFile;

impl Content for KeysFile {
    const TYPE: &'static str = "text/csv; charset=utf-8";
    const DESCRIPTION: &'static str = "A heading, and a line for each key: its text, the group, the status";
}

pub(in crate::api) async fn export(api: Api, query: Query<Wanted>) -> Result<Sent<KeysFile>, Refusal> {
    // All that can go wrong with the search does so before the first byte.
    let ids = api.log_search.newest_of_each_key(&filter(&query)?).await?;
    let search = api.log_search.clone();
    let body = download::body("export of the request log", |writer| async move {
        writer.send(HEADING).await?;
        for lot in ids.lots(ROWS_PER_LOT) {
            writer.send(lines(&search.entries(&lot).await?)).await?;
        }
        Ok(())
    });
    let name = format!("log_keys_export_{}.csv", api.clock.local(api.clock.now()).format("%Y%m%d%H%M%S"));
    Ok(Sent::new(([(CONTENT_DISPOSITION, format!("attachment; filename={name}"))], body)))
}

fn lines(entries: &[LoggedEntry]) -> String {
    let mut text = String::new();
    for entry in entries {
        push_csv_field(&mut text, &key_text(&entry.key, false));
        text.push(',');
        push_csv_field(&mut text, &entry.group_name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, ",{}", entry.status_code);
    }
    text
}
