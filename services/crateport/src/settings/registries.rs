//! The registries: `crates-io`, which is there by default, and the file's `[registries.<id>]` tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crateport_types::{CRATES_IO, InvalidRegistryId, RegistryId, Secret};
use crateport_upstream::{AllowEntry, HostName, IndexUrl};

use super::error::Hint;
use super::file::RegistryTable;
use super::kind::number::Ttl;
use super::kind::text::{FilePath, Switch, Token};
use super::kind::{Kind, List, Maybe, One, Said, Word};
use super::load::Row;
use super::table::variable;
use super::{SettingsError, Source, nearest};

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

const KEYS: [&str; 8] =
    ["index", "token", "token-file", "index-ttl", "absent-ttl", "hosts", "allow", "enabled"];

/// One registry's table while it is read.
struct Reader<'a> {
    id: String,
    keys: BTreeMap<String, Said>,
    rows: &'a mut Vec<Row>,
}

/// All registries, `crates-io` first, and their lines for `config`.
pub(super) fn read(
    mut tables: Vec<RegistryTable>,
    mut tokens: BTreeMap<String, Said>,
) -> Result<(Vec<RegistrySettings>, Vec<Row>), SettingsError> {
    if !tables.iter().any(|table| table.id == CRATES_IO) {
        let (id, source) = (CRATES_IO.to_owned(), Source::Default);
        tables.push(RegistryTable { id, source, keys: BTreeMap::new() });
    }
    tables.sort_by(|a, b| (a.id != CRATES_IO, &a.id).cmp(&(b.id != CRATES_IO, &b.id)));
    let (mut registries, mut rows): (Vec<RegistrySettings>, _) = (Vec::new(), Vec::new());
    for table in tables {
        let token = tokens.remove(&token_variable(&table.id));
        registries.push(read_one(table, token, &mut rows)?);
    }
    if let Some(name) = tokens.into_keys().next() {
        let known: Vec<String> =
            registries.iter().map(|registry| token_variable(registry.id.as_str())).collect();
        let hint = nearest::nearest(&name, known).map_or_else(
            || Hint::See("no such registry is in the configuration file".to_owned()),
            Hint::Nearest,
        );
        return Err(SettingsError::UnknownVariable { name, hint });
    }
    Ok((registries, rows))
}

fn read_one(
    table: RegistryTable,
    token: Option<Said>,
    rows: &mut Vec<Row>,
) -> Result<RegistrySettings, SettingsError> {
    let id = check_shape(&table)?;
    let mut reader = Reader { id: table.id, keys: table.keys, rows };
    reader.default("index", tame_index::CRATES_IO_HTTP_INDEX);
    reader.default("enabled", "true");
    let token_file = reader.parse::<Maybe<FilePath>>("token-file")?;
    match (token, token_file) {
        // The environment wins over the file, in whichever form the file has the token.
        (Some(token), _) => reader.say("token", token),
        (None, Some(path)) => reader.say_from_file("token", "token-file", &path)?,
        (None, None) => {}
    }
    Ok(RegistrySettings {
        id,
        index: reader.parse::<One<IndexUrl>>("index")?,
        token: reader.parse::<Maybe<Token>>("token")?,
        index_ttl: reader.parse::<Maybe<Ttl>>("index-ttl")?,
        absent_ttl: reader.parse::<Maybe<Ttl>>("absent-ttl")?,
        hosts: reader.parse::<List<HostName>>("hosts")?,
        allow: reader.parse::<List<AllowEntry>>("allow")?,
        is_enabled: reader.parse::<One<Switch>>("enabled")?,
    })
}

/// What can be wrong with a table before its values are read.
fn check_shape(table: &RegistryTable) -> Result<RegistryId, SettingsError> {
    let bad = |reason: String| SettingsError::BadRegistry {
        id: table.id.clone(),
        source_of: table.source.clone(),
        reason,
    };
    let id = table.id.parse().map_err(|error: InvalidRegistryId| bad(error.to_string()))?;
    if let Some((key, said)) = table.keys.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        let hint = nearest::nearest(key, KEYS.map(str::to_owned)).map_or_else(
            || Hint::See(format!("a registry has {}", KEYS.join(", "))),
            |key| Hint::Nearest(format!("registries.{id}.{key}")),
        );
        let key = format!("registries.{id}.{key}");
        return Err(SettingsError::UnknownKey { key, source_of: said.source.clone(), hint });
    }
    if table.keys.contains_key("token") && table.keys.contains_key("token-file") {
        return Err(bad("token and token-file are both set: keep one".to_owned()));
    }
    if !table.keys.contains_key("index") && table.id != CRATES_IO {
        return Err(bad(format!("it has no index; needed is {}", IndexUrl::ALLOWED)));
    }
    Ok(id)
}

impl Reader<'_> {
    fn default(&mut self, key: &str, text: &str) {
        if !self.keys.contains_key(key) {
            let (texts, source) = (vec![text.to_owned()], Source::Default);
            self.say(key, Said { texts, is_apart: true, source });
        }
    }

    fn say(&mut self, key: &str, said: Said) {
        self.keys.insert(key.to_owned(), said);
    }

    /// Takes the value of `key` from the file at `path`, which `path_key` names.
    fn say_from_file(
        &mut self,
        key: &str,
        path_key: &str,
        path: &Path,
    ) -> Result<(), SettingsError> {
        let source = self.keys.get(path_key).map_or(Source::Default, |said| said.source.clone());
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::BadValue {
            name: self.name(path_key),
            source_of: source.clone(),
            text: path.display().to_string(),
            reason: error.to_string(),
            allowed: "a readable file that holds the token",
        })?;
        let texts = vec![text.trim().to_owned()];
        self.say(key, Said { texts, is_apart: true, source });
        Ok(())
    }

    fn parse<K: Kind>(&mut self, key: &str) -> Result<K::Value, SettingsError> {
        let name = self.name(key);
        let Some(said) = self.keys.get(key) else {
            let nothing = Said { texts: Vec::new(), is_apart: true, source: Source::Default };
            return nothing.parse::<K>(&name);
        };
        let value = said.parse::<K>(&name)?;
        self.rows.push(Row { name, value: K::print(said), source: said.source.clone() });
        Ok(value)
    }

    fn name(&self, key: &str) -> String {
        format!("registries.{}.{key}", self.id)
    }
}

/// The variable that holds a registry's token.
fn token_variable(id: &str) -> String {
    variable(&format!("registries-{id}-token"))
}
