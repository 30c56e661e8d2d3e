//! GET /api/keys/export: the keys of a group as a text file, one a line, sent as they are read.

use http::header::CONTENT_DISPOSITION;

use super::{
    Api,
    list::{STATUSES, group_id, status},
};
use crate::{
    api::{
        answer::{Content, Sent},
        document::{
            Shape,
            shape::{id, one_of},
        },
        download,
        query::{Parameters, Query},
        refusal::Refusal,
    },
    crypto::Secret,
    group,
    keypool::KeyStatus,
};

/// Keys that are read at once.
const KEYS_PER_LOT: usize = 1_000;
const ALL: &str = "all";

pub(in crate::api) struct Wanted;

impl Parameters for Wanted {
    fn shape() -> Shape {
        Shape::default().needed("group_id", id(), "Whose keys").optional(
            "status",
            one_of(&STATUSES),
            "Only those; all unless given",
        )
    }
}

pub(in crate::api) struct KeysFile;

impl Content for KeysFile {
    const TYPE: &'static str = "text/plain; charset=utf-8";
    const DESCRIPTION: &'static str = "The keys in clear, one a line; those that cannot be decrypted are left out";
}

pub(in crate::api) async fn export(api: Api, query: Query<Wanted>) -> Result<Sent<KeysFile>, Refusal> {
    let group_id = group_id(&query)?;
    let status = status(&query)?;
    let group = group::queries::find(api.database.readers(), group_id).await?;
    // Before the answer begins, so that a database that is away is told as such.
    let mut lot = api.key_pools.lot(group_id, status, 0, KEYS_PER_LOT).await?;
    let file_name = format!("keys-{}-{}.txt", group.name, status.map_or(ALL, KeyStatus::name));
    let body = download::body("export of keys", |writer| async move {
        while let Some((last_id, _)) = lot.last() {
            let last_id = *last_id;
            let lines = lines(&lot);
            if !lines.is_empty() {
                writer.send(lines).await?;
            }
            lot = api.key_pools.lot(group_id, status, last_id, KEYS_PER_LOT).await?;
        }
        Ok(())
    });
    Ok(Sent::new(([(CONTENT_DISPOSITION, format!("attachment; filename={file_name}"))], body)))
}

/// Keys that cannot be decrypted are left out.
fn lines(lot: &[(i64, Option<Secret>)]) -> String {
    let mut lines = String::new();
    for secret in lot.iter().filter_map(|(_, secret)| secret.as_ref()) {
        lines.push_str(secret.expose());
        lines.push('\n');
    }
    lines
}
