//! Rows of the log as they are shown, with each key looked up where keys are kept.

use std::collections::HashMap;

use sqlx::{FromRow, Row as _, SqlitePool, sqlite::SqliteRow};

use crate::{
    crypto::{Cipher, Secret},
    db::{self, RequestLogs as L, Timestamp},
    group::GroupId,
};

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

/// In the order of the list of columns in [`read`].
impl FromRow<'_, SqliteRow> for LoggedEntry {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        // Unchecked: some columns take values of any type, and one odd row must not hide its page.
        let text = |column: L| row.try_get_unchecked::<Option<String>, _>(column.name());
        let number = |column: L| row.try_get_unchecked::<Option<i64>, _>(column.name());
        let filled = |column| Ok::<_, sqlx::Error>(text(column)?.unwrap_or_default());
        let counted = |column| Ok::<_, sqlx::Error>(number(column)?.unwrap_or_default());
        let request_id = text(L::RequestId)?;
        let stored_key = filled(L::KeyValue)?;
        let key_hash = filled(L::KeyHash)?;
        Ok(Self {
            row_id: Some(row.try_get("rowid")?),
            id: filled(L::Id)?,
            timestamp: Timestamp::parse_stored(&filled(L::Timestamp)?),
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
            is_success: counted(L::IsSuccess)? != 0,
            source_ip: filled(L::SourceIp)?,
            status_code: counted(L::StatusCode)?,
            request_path: filled(L::RequestPath)?,
            duration_ms: counted(L::Duration)?,
            error_message: filled(L::ErrorMessage)?,
            user_agent: filled(L::UserAgent)?,
            request_type: filled(L::RequestType)?,
            upstream_addr: filled(L::UpstreamAddr)?,
            is_stream: counted(L::IsStream)? != 0,
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

/// The entries of these rows, in no order.
pub(super) async fn read(
    readers: &SqlitePool,
    cipher: &Cipher,
    row_ids: &[i64],
) -> Result<Vec<LoggedEntry>, db::Error> {
    if row_ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries: Vec<LoggedEntry> =
        sqlx::query_as("SELECT rowid, * FROM request_logs WHERE rowid IN (SELECT value FROM json_each(?))")
            .bind(serde_json::Value::from(row_ids).to_string())
            .fetch_all(readers)
            .await?;
    let known = known_keys(readers, cipher, &entries).await?;
    for entry in &mut entries {
        let LoggedKey::Masked(stored) = &entry.key else { continue };
        let is_ours = entry.request_id.is_some();
        entry.key = match known.get(&entry.key_hash) {
            Some(secret) => LoggedKey::Known(secret.clone()),
            None if is_ours => continue,
            None => cipher.decrypt(stored).map_or(LoggedKey::Unreadable, LoggedKey::Known),
        };
    }
    Ok(entries)
}

/// Keys that are still there, by their hashes.
async fn known_keys(
    readers: &SqlitePool,
    cipher: &Cipher,
    entries: &[LoggedEntry],
) -> Result<HashMap<String, Secret>, db::Error> {
    let mut hashes: Vec<&str> = entries.iter().map(|entry| &*entry.key_hash).filter(|hash| !hash.is_empty()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let stored: Vec<(String, String)> =
        sqlx::query_as("SELECT key_hash, key_value FROM api_keys WHERE key_hash IN (SELECT value FROM json_each(?))")
            .bind(serde_json::Value::from(hashes).to_string())
            .fetch_all(readers)
            .await?;
    let readable = stored.into_iter().filter_map(|(hash, text)| Some((hash, cipher.decrypt(&text).ok()?)));
    Ok(readable.collect())
}
