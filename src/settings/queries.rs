//! Settings in the database: first values, reading, saving.

use std::{collections::HashMap, net::Ipv6Addr};

use rand::distr::{Alphanumeric, SampleString};
use sea_query::{Expr, OnConflict, Query, SimpleExpr};

use super::{Change, Setting, Settings, TABLE, Value};
use crate::{
    crypto::{self, Secret},
    db::{self, Change as Writing, Changed, Database, Source, Sql, SystemSettings, Timestamp},
};

const GENERATED_KEY_CHARACTERS: usize = 48;
/// Of a digest: enough that no two versions are alike by chance.
const VERSION_BYTES: usize = 16;

/// Writes a first value for each setting that the database does not have yet; what is there stays.
pub(crate) async fn seed(
    database: &Database,
    host: &str,
    port: u16,
    initial_proxy_keys: Option<&Secret>,
) -> Result<(), db::Error> {
    let mut transaction = database.begin_change().await?;
    let present = stored(&mut *transaction).await?;
    for setting in TABLE.iter().filter(|setting| !present.contains_key(setting.key)) {
        let value = match setting.key {
            "app_url" => Value::Text(url_from_address(host, port)),
            // Never the management key: whoever may use the proxy would be an administrator.
            "proxy_keys" => {
                Value::Text(initial_proxy_keys.map_or_else(generate_proxy_key, |keys| keys.expose().to_owned()))
            }
            _ => setting.default(),
        };
        upsert(&mut transaction, setting, &value).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The settings in effect: stored ones where they can be used, defaults elsewhere.
pub(crate) async fn load_from(source: impl Source) -> Result<Settings, db::Error> {
    let stored = stored(source).await?;
    let mut settings = Settings::default();
    for setting in TABLE {
        let Some(text) = stored.get(setting.key) else { continue };
        let warning = match setting.parse_stored(text) {
            Ok((value, warning)) => {
                let refused = setting.write(&mut settings, &value).err();
                let is_default = setting.current(&settings) == setting.default();
                refused.map(|reason| if is_default { with_default(setting, &reason) } else { reason }).or(warning)
            }
            Err(reason) => Some(with_default(setting, &reason)),
        };
        if let Some(warning) = warning {
            tracing::warn!(
                setting.key = setting.key,
                "The stored value of {} is not usable as it is: {warning}",
                setting.key
            );
        }
    }
    Ok(settings)
}

fn with_default(setting: &Setting, reason: &str) -> String {
    format!("{reason}; the default {:?} is in effect", setting.default().to_string())
}

/// Why settings are not saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("the settings were changed meanwhile")]
    Outdated,
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// Saves checked values, all or none. With a check of their version (that of [`version`]), only where that holds: nobody
/// else changes them in between.
pub(crate) async fn save(
    database: &Database,
    changes: &[Change],
    is_expected: Option<&(dyn Fn(&str) -> bool + Send + Sync)>,
) -> Result<(), SaveError> {
    let mut transaction = database.begin_change().await?;
    if let Some(is_expected) = is_expected
        && !is_expected(&version(&load_from(&mut *transaction).await?))
    {
        return Err(SaveError::Outdated);
    }
    for (setting, value) in changes {
        upsert(&mut transaction, setting, value).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A text that is another one whenever a setting has another value.
pub(crate) fn version(settings: &Settings) -> String {
    let values = TABLE.iter().map(|setting| (setting.key, setting.current(settings).to_json()));
    let text: String = values.map(|(key, value)| format!("{key}={value}\n")).collect();
    hex::encode(&crypto::digest(&text)[..VERSION_BYTES])
}

/// The address that clients can use where nothing else is configured.
pub(crate) fn url_from_address(host: &str, port: u16) -> String {
    let host = match host.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" => "localhost".to_owned(),
        host if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]"),
        host => host.to_owned(),
    };
    format!("http://{host}:{port}")
}

fn generate_proxy_key() -> String {
    format!("sk-{}", Alphanumeric.sample_string(&mut rand::rng(), GENERATED_KEY_CHARACTERS))
}

async fn stored(source: impl Source) -> Result<HashMap<String, String>, db::Error> {
    let mut select = Query::select();
    select.columns([SystemSettings::SettingKey, SystemSettings::SettingValue]).from(SystemSettings::Table);
    let sql = Sql::built(source.engine(), &select);
    Ok(source.all::<(String, String)>(sql).await?.into_iter().collect())
}

async fn upsert(transaction: &mut Writing, setting: &Setting, value: &Value) -> Result<(), db::Error> {
    let now = Timestamp::now();
    let row: [SimpleExpr; 5] = [
        Expr::value(setting.key),
        Expr::value(value.to_string()),
        Expr::value(setting.description_key()),
        Expr::value(now),
        Expr::value(now),
    ];
    let mut insert = Query::insert();
    insert
        .into_table(SystemSettings::Table)
        .columns([
            SystemSettings::SettingKey,
            SystemSettings::SettingValue,
            SystemSettings::Description,
            SystemSettings::CreatedAt,
            SystemSettings::UpdatedAt,
        ])
        .values_panic(row)
        .on_conflict(
            OnConflict::column(SystemSettings::SettingKey)
                .update_columns([SystemSettings::SettingValue, SystemSettings::UpdatedAt])
                .to_owned(),
        );
    transaction.note(Changed::Configuration);
    let sql = Sql::built(transaction.engine(), &insert);
    transaction.execute(sql).await?;
    Ok(())
}
