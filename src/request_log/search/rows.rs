//! Rows of the log as they are shown, with each key looked up where keys are kept.

use std::collections::HashMap;

use crate::{
    crypto::{Cipher, Secret},
    db::{self, AnyTime, FromRow, Readers, RequestLogs as L, Row, Source as _, Sql, Timestamp},
    group::GroupId,
    request_log::row::COLUMNS,
};

/// In every masked form.
const MASK: &str = "****";
/// What a migration of keys leaves in the place of one that nothing could read.
const UNREADABLE: &str = "failed-to-decrypt";

/// An entry as it is stored, whoever wrote it. What a row of the original, or of an old version, lacks is `None` or empty.
#[derive(Debug)]
pub(crate) struct LoggedEntry {
    /// Higher than that of each entry that was written before; `None`: it is still to be written.
    pub(crate) row_id: Option<i64>,
    pub(crate) id: String,
    /// The end of the attempt; `None`: what is stored is no time.
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) group_id: GroupId,
    pub(crate) group_name: String,
    pub(crate) parent_group_id: GroupId,
    pub(crate) parent_group_name: String,
    pub(crate) key: LoggedKey,
    pub(crate) key_hash: String,
    pub(crate) model: String,
    pub(crate) is_success: bool,
    pub(crate) source_ip: String,
    pub(crate) status_code: i64,
    pub(crate) request_path: String,
    pub(crate) duration_ms: i64,
    pub(crate) error_message: String,
    pub(crate) user_agent: String,
    pub(crate) request_type: String,
    pub(crate) upstream_addr: String,
    pub(crate) is_stream: bool,
    pub(crate) request_body: String,
    pub(crate) request_id: Option<String>,
    pub(crate) attempt: Option<i64>,
    pub(crate) first_byte_ms: Option<i64>,
    pub(crate) overhead_us: Option<i64>,
    pub(crate) verdict: Option<String>,
    pub(crate) client_key: Option<String>,
}

/// The key that an attempt used.
#[derive(Debug)]
pub(crate) enum LoggedKey {
    None,
    /// One that we hold.
    Known(Secret),
    /// One that was deleted since: our rows keep its ends only.
    Masked(String),
    /// A row of the original whose key cannot be decrypted with the present `ENCRYPTION_KEY`.
    Unreadable,
}

impl FromRow for LoggedEntry {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        // Some columns of SQLite take values of any type, and one odd row must not hide its page.
        let text = |column: L| row.get::<Option<String>>(column.name());
        let number = |column: L| row.get::<Option<i64>>(column.name());
        let flag = |column: L| Ok::<_, db::Error>(row.get::<Option<bool>>(column.name())?.unwrap_or_default());
        let filled = |column| Ok::<_, db::Error>(text(column)?.unwrap_or_default());
        let counted = |column| Ok::<_, db::Error>(number(column)?.unwrap_or_default());
        let time: Option<AnyTime> = row.get(L::Timestamp.name())?;
        let request_id = text(L::RequestId)?;
        let stored_key = filled(L::KeyValue)?;
        let key_hash = filled(L::KeyHash)?;
        Ok(Self {
            row_id: if let Row::Sqlite(_) = row { Some(row.get("rowid")?) } else { None },
            id: filled(L::Id)?,
            timestamp: time.and_then(|time| time.0.ok()),
            group_id: counted(L::GroupId)?,
            group_name: filled(L::GroupName)?,
            parent_group_id: counted(L::ParentGroupId)?,
            parent_group_name: filled(L::ParentGroupName)?,
            // Looked up afterwards.
            key: if stored_key.is_empty() && key_hash.is_empty() {
                LoggedKey::None
            } else {
                LoggedKey::Masked(stored_key)
            },
            key_hash,
            model: filled(L::Model)?,
            is_success: flag(L::IsSuccess)?,
            source_ip: filled(L::SourceIp)?,
            status_code: counted(L::StatusCode)?,
            request_path: filled(L::RequestPath)?,
            duration_ms: counted(L::Duration)?,
            error_message: filled(L::ErrorMessage)?,
            user_agent: filled(L::UserAgent)?,
            request_type: filled(L::RequestType)?,
            upstream_addr: filled(L::UpstreamAddr)?,
            is_stream: flag(L::IsStream)?,
            request_body: filled(L::RequestBody)?,
            request_id,
            attempt: number(L::Attempt)?,
            first_byte_ms: number(L::FirstByteMs)?,
            overhead_us: number(L::OverheadUs)?,
            verdict: text(L::Verdict)?,
            client_key: text(L::ClientKey)?,
        })
    }
}

/// Which rows are meant.
#[derive(Debug, Clone)]
pub(crate) enum RowIds {
    /// Of a file.
    Numbers(Vec<i64>),
    /// On a server, which has no numbers for rows.
    Texts(Vec<String>),
}

impl RowIds {
    /// So many at once, in their order.
    pub(crate) fn lots(&self, size: usize) -> Vec<Self> {
        match self {
            Self::Numbers(ids) => ids.chunks(size).map(|lot| Self::Numbers(lot.to_vec())).collect(),
            Self::Texts(ids) => ids.chunks(size).map(|lot| Self::Texts(lot.to_vec())).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Numbers(ids) => ids.is_empty(),
            Self::Texts(ids) => ids.is_empty(),
        }
    }

    /// Brings entries into the order of their ids here.
    pub(super) fn sort(&self, entries: &mut [LoggedEntry]) {
        match self {
            Self::Numbers(ids) => {
                let place: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
                entries.sort_by_key(|entry| entry.row_id.and_then(|row_id| place.get(&row_id).copied()));
            }
            Self::Texts(ids) => {
                let place: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (&**id, place)).collect();
                entries.sort_by_key(|entry| place.get(&*entry.id).copied());
            }
        }
    }
}

/// The entries of these rows, in no order.
pub(super) async fn read(readers: &Readers, cipher: &Cipher, ids: &RowIds) -> Result<Vec<LoggedEntry>, db::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries: Vec<LoggedEntry> = match ids {
        RowIds::Numbers(ids) => {
            let mut sql = Sql::new(readers.engine(), "SELECT rowid, * FROM request_logs WHERE rowid");
            sql.push_among(ids);
            readers.all(sql).await?
        }
        RowIds::Texts(ids) => {
            let mut sql = Sql::new(readers.engine(), "SELECT * FROM request_logs WHERE id");
            sql.push_among(ids);
            readers.all(sql).await?
        }
    };
    let known = known_keys(readers, cipher, &entries).await?;
    for entry in &mut entries {
        let LoggedKey::Masked(stored) = &entry.key else { continue };
        let is_ours = entry.request_id.is_some();
        entry.key = match known.get(&entry.key_hash) {
            Some(secret) => LoggedKey::Known(secret.clone()),
            None if is_ours => continue,
            None => of_the_original(stored, &entry.key_hash, cipher),
        };
    }
    Ok(entries)
}

/// What a row of the original says of its key, unless a migration has converted it.
fn of_the_original(stored: &str, hash: &str, cipher: &Cipher) -> LoggedKey {
    if stored.contains(MASK) {
        return LoggedKey::Masked(stored.to_owned());
    }
    if stored == UNREADABLE {
        return LoggedKey::Unreadable;
    }
    cipher.read(stored, Some(hash)).secret().map_or(LoggedKey::Unreadable, LoggedKey::Known)
}

/// Keys that are still there, by their hashes.
async fn known_keys(
    readers: &Readers,
    cipher: &Cipher,
    entries: &[LoggedEntry],
) -> Result<HashMap<String, Secret>, db::Error> {
    let hashes = entries.iter().map(|entry| &entry.key_hash).filter(|hash| !hash.is_empty());
    let mut hashes: Vec<String> = hashes.cloned().collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut sql = Sql::new(readers.engine(), "SELECT key_hash, key_value FROM api_keys WHERE key_hash");
    sql.push_among(&hashes);
    let stored: Vec<(String, String)> = readers.all(sql).await?;
    let readable = stored.into_iter().filter_map(|(hash, text)| {
        let secret = cipher.read(&text, Some(&hash)).secret()?;
        Some((hash, secret))
    });
    Ok(readable.collect())
}

/// The entries of these rows of a server as a watcher may see them: no key in clear, and no body. In no order.
pub(in crate::request_log) async fn read_for_watchers(
    readers: &Readers,
    cipher: &Cipher,
    ids: &[String],
) -> Result<Vec<LoggedEntry>, db::Error> {
    let names = COLUMNS.map(|column| if column == L::RequestBody { "'' AS request_body" } else { column.name() });
    let text = format!("SELECT {} FROM request_logs WHERE id", names.join(","));
    let mut sql = Sql::made(readers.engine(), text);
    sql.push_among(ids);
    let mut entries: Vec<LoggedEntry> = readers.all(sql).await?;
    for entry in &mut entries {
        // The original stores the key itself.
        if let (LoggedKey::Masked(stored), None) = (&entry.key, &entry.request_id) {
            entry.key = match of_the_original(stored, &entry.key_hash, cipher) {
                LoggedKey::Known(secret) => LoggedKey::Masked(secret.masked()),
                other => other,
            };
        }
    }
    Ok(entries)
}
