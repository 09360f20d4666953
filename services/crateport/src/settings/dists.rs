//! The dist origins: `rustup`, which is there by default, and the file's `[dist.<id>]` tables.

use std::collections::BTreeMap;
use std::time::Duration;

use crateport_types::{DistId, InvalidDistId, RUSTUP, Secret};
use crateport_upstream::{AllowEntry, DistUrl, HostName};

use super::file::Table;
use super::kind::number::Ttl;
use super::kind::text::Switch;
use super::kind::{List, Maybe, One, Said, Word};
use super::load::Row;
use super::tables::{Reader, token_variable};
use super::{SettingsError, Source, defaults};

/// One dist origin, parsed.
#[derive(Clone, Debug)]
pub(crate) struct DistSettings {
    /// Its id in URLs, keys and labels.
    pub(crate) id: DistId,
    /// Its root, with a slash at the end.
    pub(crate) url: DistUrl,
    /// What proves to its hosts that Crateport may ask.
    pub(crate) token: Option<Secret>,
    /// Instead of the setting for all.
    pub(crate) ttl: Option<Duration>,
    /// Instead of the setting for all.
    pub(crate) absent_ttl: Option<Duration>,
    /// Its own further hosts, which may get the token.
    pub(crate) hosts: Vec<HostName>,
    /// What its redirects may lead to although it is private.
    pub(crate) allow: Vec<AllowEntry>,
    /// Whether it is served.
    pub(crate) is_enabled: bool,
}

/// What the file's tables are called.
pub(super) const GROUP: &str = "dist";

const KEYS: [&str; 8] =
    ["url", "token", "token-file", "ttl", "absent-ttl", "hosts", "allow", "enabled"];

/// All dist origins, `rustup` first, and their lines for `config`.
pub(super) fn read(
    mut tables: Vec<Table>,
    tokens: &mut BTreeMap<String, Said>,
) -> Result<(Vec<DistSettings>, Vec<Row>), SettingsError> {
    if !tables.iter().any(|table| table.id == RUSTUP) {
        let (id, source) = (RUSTUP.to_owned(), Source::Default);
        tables.push(Table { id, source, keys: BTreeMap::new() });
    }
    tables.sort_by(|a, b| (a.id != RUSTUP, &a.id).cmp(&(b.id != RUSTUP, &b.id)));
    let (mut dists, mut rows) = (Vec::new(), Vec::new());
    for table in tables {
        let token = tokens.remove(&token_variable(GROUP, &table.id));
        dists.push(read_one(table, token, &mut rows)?);
    }
    Ok((dists, rows))
}

fn read_one(
    table: Table,
    token: Option<Said>,
    rows: &mut Vec<Row>,
) -> Result<DistSettings, SettingsError> {
    let bad = |reason: String| table.bad(GROUP, reason);
    let id: DistId = table.id.parse().map_err(|error: InvalidDistId| bad(error.to_string()))?;
    table.check_keys(GROUP, &KEYS)?;
    if !table.keys.contains_key("url") && table.id != RUSTUP {
        return Err(bad(format!("it has no url; needed is {}", DistUrl::ALLOWED)));
    }
    let mut reader = Reader { group: GROUP, id: table.id, keys: table.keys, rows };
    reader.default("url", defaults::RUST_DIST);
    reader.default("enabled", "true");
    let token = reader.token(token)?;
    Ok(DistSettings {
        id,
        url: reader.parse::<One<DistUrl>>("url")?,
        token,
        ttl: reader.parse::<Maybe<Ttl>>("ttl")?,
        absent_ttl: reader.parse::<Maybe<Ttl>>("absent-ttl")?,
        hosts: reader.parse::<List<HostName>>("hosts")?,
        allow: reader.parse::<List<AllowEntry>>("allow")?,
        is_enabled: reader.parse::<One<Switch>>("enabled")?,
    })
}
