//! Rows of the log as they are shown, with each key looked up where keys are kept.

use std::collections::HashMap;

use crate::{
    crypto::{Cipher, Secret},
    db::{self, AnyTime, Engine, FromRow, Readers, RequestLogs as L, Row, Source as _, Sql, Timestamp},
    group::GroupId,
    request_log::row::COLUMNS,
};

/// A column of every look at rows: whether there is a body, also where it is not read.
const HAS_REQUEST_BODY: &str = "has_request_body";
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
    /// `None`: no key was used, or it is no longer there.
    pub(crate) key_id: Option<i64>,
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
    /// Empty where it was not asked for.
    pub(crate) request_body: String,
    pub(crate) has_request_body: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) attempt: Option<i64>,
    pub(crate) first_byte_ms: Option<i64>,
    pub(crate) overhead_us: Option<i64>,
    pub(crate) verdict: Option<String>,
    pub(crate) client_key: Option<String>,
    /// What the upstream was asked for, where a redirect changed it.
    pub(crate) sent_model: Option<String>,
    /// What the upstream called the request.
    pub(crate) upstream_request_id: Option<String>,
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
            // Looked up as well.
            key_id: None,
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
            has_request_body: row.get::<Option<i64>>(HAS_REQUEST_BODY)?.unwrap_or_default() != 0,
            request_id,
            attempt: number(L::Attempt)?,
            first_byte_ms: number(L::FirstByteMs)?,
            overhead_us: number(L::OverheadUs)?,
            verdict: text(L::Verdict)?,
            client_key: text(L::ClientKey)?,
            sent_model: text(L::SentModel)?,
            upstream_request_id: text(L::UpstreamRequestId)?,
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

/// Whether entries come with the bodies of their requests, which may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Shown,
    LeftOut,
}

fn select(engine: Engine, bodies: Bodies) -> Sql {
    let is_body = |column: L| column == L::RequestBody && bodies == Bodies::LeftOut;
    let names = COLUMNS.map(|column| if is_body(column) { "'' AS request_body" } else { column.name() });
    let row_id = if engine.is_sqlite() { "rowid, " } else { "" };
    let text = format!(
        "SELECT {row_id}{}, CASE WHEN request_body <> '' THEN 1 ELSE 0 END AS {HAS_REQUEST_BODY} \
         FROM request_logs WHERE {}",
        names.join(", "),
        if engine.is_sqlite() { "rowid" } else { "id" }
    );
    Sql::made(engine, text)
}

/// The entries of these rows, in no order.
pub(super) async fn read(
    readers: &Readers,
    cipher: &Cipher,
    ids: &RowIds,
    bodies: Bodies,
) -> Result<Vec<LoggedEntry>, db::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = select(readers.engine(), bodies);
    match ids {
        RowIds::Numbers(ids) => sql.push_among(ids),
        RowIds::Texts(ids) => sql.push_among(ids),
    };
    let mut entries: Vec<LoggedEntry> = readers.all(sql).await?;
    let known = known_keys(readers, &entries).await?;
    let secret = |(hash, keys): (&String, &Vec<KnownKey>)| {
        let secret = keys.iter().find_map(|key| cipher.read(&key.stored, Some(hash)).secret())?;
        Some((hash.clone(), secret))
    };
    let secrets: HashMap<String, Secret> = known.iter().filter_map(secret).collect();
    for entry in &mut entries {
        let LoggedKey::Masked(stored) = &entry.key else { continue };
        let is_ours = entry.request_id.is_some();
        entry.key_id = known.get(&entry.key_hash).and_then(|keys| id_in(keys, entry.group_id));
        entry.key = match secrets.get(&entry.key_hash) {
            Some(secret) => LoggedKey::Known(secret.clone()),
            None if is_ours => continue,
            None => of_the_original(stored, &entry.key_hash, cipher),
        };
    }
    Ok(entries)
}

/// The same key may be in several groups; and one that was moved is still the one that was used.
fn id_in(keys: &[KnownKey], group_id: GroupId) -> Option<i64> {
    let own = keys.iter().find(|key| key.group_id == group_id);
    own.or(keys.first()).map(|key| key.id)
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

struct KnownKey {
    id: i64,
    group_id: GroupId,
    stored: String,
}

/// Keys that are still there, by their hashes.
async fn known_keys(readers: &Readers, entries: &[LoggedEntry]) -> Result<HashMap<String, Vec<KnownKey>>, db::Error> {
    let hashes = entries.iter().map(|entry| &entry.key_hash).filter(|hash| !hash.is_empty());
    let mut hashes: Vec<String> = hashes.cloned().collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut known: HashMap<String, Vec<KnownKey>> = HashMap::new();
    if hashes.is_empty() {
        return Ok(known);
    }
    let mut sql = Sql::new(readers.engine(), "SELECT key_hash, id, group_id, key_value FROM api_keys WHERE key_hash");
    sql.push_among(&hashes).push(" ORDER BY id");
    for (hash, id, group_id, stored) in readers.all::<(String, i64, GroupId, String)>(sql).await? {
        known.entry(hash).or_default().push(KnownKey { id, group_id, stored });
    }
    Ok(known)
}

/// The entries of these rows of a server as a watcher may see them: no key in clear, and no body. In no order.
pub(in crate::request_log) async fn read_for_watchers(
    readers: &Readers,
    cipher: &Cipher,
    ids: &[String],
) -> Result<Vec<LoggedEntry>, db::Error> {
    let mut sql = select(readers.engine(), Bodies::LeftOut);
    sql.push_among(ids);
    let mut entries: Vec<LoggedEntry> = readers.all(sql).await?;
    let known = known_keys(readers, &entries).await?;
    for entry in &mut entries {
        entry.key_id = known.get(&entry.key_hash).and_then(|keys| id_in(keys, entry.group_id));
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
