//! The registries: `crates-io`, which is there by default, and the file's `[registries.<id>]` tables.

use std::collections::BTreeMap;
use std::time::Duration;

use crateport_types::{CRATES_IO, InvalidRegistryId, RegistryId, Secret};
use crateport_upstream::{AllowEntry, HostName, IndexUrl};

use super::file::Table;
use super::kind::number::Ttl;
use super::kind::text::Switch;
use super::kind::{List, Maybe, One, Said, Word};
use super::load::Row;
use super::tables::{Reader, token_variable};
use super::{SettingsError, Source};

/// One registry, parsed.
#[derive(Clone, Debug)]
pub(crate) struct RegistrySettings {
    /// Its id in URLs, keys and labels.
    pub(crate) id: RegistryId,
    /// Its index, with a slash at the end.
    pub(crate) index: IndexUrl,
    /// What proves to its hosts that Crateport may ask.
    pub(crate) token: Option<Secret>,
    /// Instead of the setting for all.
    pub(crate) index_ttl: Option<Duration>,
    /// Instead of the setting for all.
    pub(crate) absent_ttl: Option<Duration>,
    /// Its own further hosts, which may get the token.
    pub(crate) hosts: Vec<HostName>,
    /// What its redirects and downloads may lead to although it is private.
    pub(crate) allow: Vec<AllowEntry>,
    /// Whether it is served.
    pub(crate) is_enabled: bool,
}

/// What the file's tables are called.
pub(super) const GROUP: &str = "registries";

const KEYS: [&str; 8] =
    ["index", "token", "token-file", "index-ttl", "absent-ttl", "hosts", "allow", "enabled"];

/// All registries, `crates-io` first, and their lines for `config`.
pub(super) fn read(
    mut tables: Vec<Table>,
    tokens: &mut BTreeMap<String, Said>,
) -> Result<(Vec<RegistrySettings>, Vec<Row>), SettingsError> {
    if !tables.iter().any(|table| table.id == CRATES_IO) {
        let (id, source) = (CRATES_IO.to_owned(), Source::Default);
        tables.push(Table { id, source, keys: BTreeMap::new() });
    }
    tables.sort_by(|a, b| (a.id != CRATES_IO, &a.id).cmp(&(b.id != CRATES_IO, &b.id)));
    let (mut registries, mut rows): (Vec<RegistrySettings>, _) = (Vec::new(), Vec::new());
    for table in tables {
        let token = tokens.remove(&token_variable(GROUP, &table.id));
        registries.push(read_one(table, token, &mut rows)?);
    }
    Ok((registries, rows))
}

fn read_one(
    table: Table,
    token: Option<Said>,
    rows: &mut Vec<Row>,
) -> Result<RegistrySettings, SettingsError> {
    let id = check_shape(&table)?;
    let mut reader = Reader { group: GROUP, id: table.id, keys: table.keys, rows };
    reader.default("index", tame_index::CRATES_IO_HTTP_INDEX);
    reader.default("enabled", "true");
    let token = reader.token(token)?;
    Ok(RegistrySettings {
        id,
        index: reader.parse::<One<IndexUrl>>("index")?,
        token,
        index_ttl: reader.parse::<Maybe<Ttl>>("index-ttl")?,
        absent_ttl: reader.parse::<Maybe<Ttl>>("absent-ttl")?,
        hosts: reader.parse::<List<HostName>>("hosts")?,
        allow: reader.parse::<List<AllowEntry>>("allow")?,
        is_enabled: reader.parse::<One<Switch>>("enabled")?,
    })
}

/// What can be wrong with a table before its values are read.
fn check_shape(table: &Table) -> Result<RegistryId, SettingsError> {
    let bad = |reason: String| table.bad(GROUP, reason);
    let id = table.id.parse().map_err(|error: InvalidRegistryId| bad(error.to_string()))?;
    table.check_keys(GROUP, &KEYS)?;
    if !table.keys.contains_key("index") && table.id != CRATES_IO {
        return Err(bad(format!("it has no index; needed is {}", IndexUrl::ALLOWED)));
    }
    Ok(id)
}
