//! The database: whether it answers, what its tables lack, what its rows hold that is out of the ordinary.

use super::{findings::Findings, queries};
use crate::{
    cluster,
    db::{self, Database, Outlook},
    rekey,
};

/// Names of groups that are told.
const NAMES_MAX: usize = 10;

/// Returns what a start would do about the tables.
pub(super) async fn examine(
    database: &Database,
    is_slave: bool,
    findings: &mut Findings,
) -> Result<Outlook, db::Error> {
    let version = queries::version(database.readers()).await?;
    let name = database.engine().name();
    findings.ok("database", format!("{name} {} answers", version.trim_start_matches(name).trim_start()));
    let outlook = database.outlook().await?;
    if let Some(version) = outlook.schema_version.filter(|_| outlook.is_of_a_later_release()) {
        findings.problem(
            "schema",
            format!(
                "a later release wrote schema {version}, this one knows schemas up to {}; a start is refused",
                outlook.schema_version_here
            ),
        );
    } else if outlook.is_empty() {
        findings.note("schema", "the database is empty; a start makes all tables");
    } else if outlook.is_complete() {
        findings.ok("schema", "all tables, columns and indexes are there");
    } else {
        if outlook.schema_version.is_none() {
            findings.note(
                "schema",
                "this is a database of the original; a start adds what is missing, and the original still starts on it",
            );
        }
        let missing = [
            ("tables", outlook.missing_tables.join(", ")),
            ("columns", outlook.missing_columns.join(", ")),
            ("indexes", outlook.missing_indexes.join(", ")),
        ];
        for (kind, names) in missing.into_iter().filter(|(_, names)| !names.is_empty()) {
            findings.note("schema", format!("a start adds the {kind} {names}"));
        }
        if !outlook.dropped_columns.is_empty() {
            findings.note(
                "schema",
                format!("a start drops the columns {}, as the original does", outlook.dropped_columns.join(", ")),
            );
        }
    }
    if is_slave && outlook.schema_version != Some(outlook.schema_version_here) {
        findings
            .problem("schema", "IS_SLAVE is true, and a slave waits until a node without it has prepared the tables");
    }
    Ok(outlook)
}

pub(super) async fn examine_rows(
    database: &Database,
    outlook: &Outlook,
    findings: &mut Findings,
) -> Result<(), db::Error> {
    let readers = database.readers();
    let has = |table: &str| !outlook.missing_tables.contains(&table);
    let has_column = |column: &str| !outlook.missing_columns.iter().any(|missing| missing == column);
    let mut counts = Vec::new();
    for (table, what) in [
        ("groups", "groups"),
        ("api_keys", "keys"),
        ("request_logs", "log entries"),
        ("group_hourly_stats", "hourly rows"),
    ] {
        if has(table) {
            counts.push(format!("{} {what}", queries::count(readers, table).await?));
        }
    }
    findings.ok("rows", counts.join(", "));
    if has("request_logs") && database.engine().is_sqlite() {
        let count = queries::local_times(readers).await?;
        if count > 0 {
            let more = if count >= queries::COUNTED_MAX { " or more" } else { "" };
            findings.note("rows", format!("{count}{more} log entries have times of another zone than UTC; they are read right, and rewritten in the background"));
        }
    }
    if has("groups") && has("api_keys") {
        let orphans = queries::orphaned_keys(readers).await?;
        if orphans > 0 {
            findings
                .note("rows", format!("{orphans} keys belong to groups that are gone; they stay, and serve nobody"));
        }
    }
    if has("api_keys") && has_column("api_keys.key_hash") {
        let duplicates = queries::duplicates(readers).await?;
        if duplicates > 0 {
            findings.note("rows", format!("{duplicates} keys are stored more than once in their group"));
        }
        let unhashed = queries::keys_without_hash(readers).await?;
        if unhashed > 0 {
            findings.note("rows", format!("{unhashed} keys have no hash; a start gives them one"));
        }
    }
    if has("groups") {
        examine_json(database, &has_column, findings).await?;
    }
    Ok(())
}

async fn examine_json(
    database: &Database,
    has_column: &dyn Fn(&str) -> bool,
    findings: &mut Findings,
) -> Result<(), db::Error> {
    let mut broken = Vec::new();
    for (column, shape) in queries::JSON_COLUMNS {
        if !has_column(&format!("groups.{column}")) {
            continue;
        }
        for (name, text) in queries::json_of_groups(database.readers(), column).await? {
            if !shape.fits(text.as_deref()) {
                broken.push(format!("{column} of {name}"));
            }
        }
    }
    if !broken.is_empty() {
        let more = if broken.len() > NAMES_MAX { ", …" } else { "" };
        broken.truncate(NAMES_MAX);
        findings.problem(
            "groups",
            format!("JSON that cannot be read: {}{more}; save these groups anew", broken.join(", ")),
        );
    }
    Ok(())
}

/// Returns whether nodes run. Says what a migration left behind, too.
pub(super) async fn examine_nodes(database: &Database, findings: &mut Findings) -> Result<bool, db::Error> {
    if let Some(rows) = rekey::left_by_the_original(database).await? {
        findings.problem(
            "keys",
            format!(
                "the table temp_migration was left by a migrate-keys of the original that broke off; it holds {rows} keys, \
                 perhaps in clear: a run of migrate-keys removes it, and so does DROP TABLE temp_migration"
            ),
        );
    }
    let alive: Vec<String> = cluster::nodes_seen(database)
        .await?
        .into_iter()
        .filter(|node| node.is_alive)
        .map(|node| format!("{} ({}, release {})", node.address, node.role, node.release))
        .collect();
    if !alive.is_empty() {
        findings.note("cluster", format!("nodes that run: {}", alive.join(", ")));
    }
    Ok(!alive.is_empty())
}
