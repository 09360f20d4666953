//! Reads the configuration file: TOML, whose keys are the settings' names, and one table per registry
//! and per dist origin.
//!
//! It keeps the line of each key, so that a complaint and `config` can point at it. What a value means is decided by
//! the setting's kind, as for flags and variables.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::kind::Said;
use super::{SettingsError, Source, TABLE, dists, nearest, registries};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct FileKeys {
    /// By the setting's name.
    pub(super) settings: BTreeMap<String, Said>,
    /// The `[registries.<id>]` tables.
    pub(super) registries: Vec<Table>,
    /// The `[dist.<id>]` tables.
    pub(super) dists: Vec<Table>,
}

/// One `[registries.<id>]` or `[dist.<id>]` table, unparsed.
#[derive(Debug)]
pub(super) struct Table {
    /// As it is written.
    pub(super) id: String,
    /// Where it begins.
    pub(super) source: Source,
    /// By the key, with dashes.
    pub(super) keys: BTreeMap<String, Said>,
}

/// A file's text, for lines and raw values.
struct Text<'a> {
    path: Arc<Path>,
    text: &'a str,
}

/// The groups of tables, and what one may look like.
const REGISTRIES: (&str, &str) =
    (registries::GROUP, "one table per registry, as in [registries.internal]");
const DISTS: (&str, &str) = (dists::GROUP, "one table per dist origin, as in [dist.toolchains]");

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<FileKeys, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::Unreadable { path: path.to_owned(), error })?;
    Text { path: path.into(), text: &text }.parse()
}

impl Text<'_> {
    fn parse(&self) -> Result<FileKeys, SettingsError> {
        let document = DeTable::parse(self.text).map_err(|error| SettingsError::NotToml {
            source_of: self.place(&error.span().unwrap_or_default()),
            message: error.message().replace('\n', ", "),
        })?;
        let mut keys = FileKeys::default();
        for (key, value) in document.get_ref() {
            let place = self.place(&key.span());
            let name = key.get_ref().replace('_', "-");
            if name == REGISTRIES.0 {
                keys.registries = self.tables(REGISTRIES, value.get_ref(), &place)?;
                continue;
            }
            if name == DISTS.0 {
                keys.dists = self.tables(DISTS, value.get_ref(), &place)?;
                continue;
            }
            let Some(setting) = TABLE.iter().find(|setting| setting.name == name) else {
                let known = TABLE.iter().map(|setting| setting.name.to_owned());
                let hint = nearest::hint(
                    &name,
                    known.chain([REGISTRIES.0.to_owned(), DISTS.0.to_owned()]),
                );
                let key = key.get_ref().clone().into_owned();
                return Err(SettingsError::UnknownKey { key, source_of: place, hint });
            };
            let Some((texts, is_apart)) = self.texts(value.get_ref(), &value.span()) else {
                return Err(wrong_shape(&name, place, setting.allowed));
            };
            insert(&mut keys.settings, name, Said { texts, is_apart, source: place })?;
        }
        Ok(keys)
    }

    fn tables(
        &self,
        (group, tables_allowed): (&str, &'static str),
        value: &DeValue<'_>,
        place: &Source,
    ) -> Result<Vec<Table>, SettingsError> {
        let DeValue::Table(tables) = value else {
            return Err(wrong_shape(group, place.clone(), tables_allowed));
        };
        let mut found = Vec::new();
        for (id, table) in tables {
            let (id, source) = (id.get_ref().clone().into_owned(), self.place(&id.span()));
            let DeValue::Table(table) = table.get_ref() else {
                return Err(wrong_shape(&format!("{group}.{id}"), source, tables_allowed));
            };
            let mut keys = BTreeMap::new();
            for (key, value) in table {
                let source = self.place(&key.span());
                let name = key.get_ref().replace('_', "-");
                let Some((texts, is_apart)) = self.texts(value.get_ref(), &value.span()) else {
                    let name = format!("{group}.{id}.{name}");
                    return Err(wrong_shape(&name, source, "a text, a number or a list of texts"));
                };
                insert(&mut keys, name, Said { texts, is_apart, source })?;
            }
            found.push(Table { id, source, keys });
        }
        Ok(found)
    }

    /// The texts of a value and whether they stand apart; `None` for tables and lists of lists.
    fn texts(&self, value: &DeValue<'_>, span: &Range<usize>) -> Option<(Vec<String>, bool)> {
        match value {
            DeValue::Array(items) => {
                let item_text = |item: &toml::Spanned<DeValue<'_>>| {
                    self.scalar_text(item.get_ref(), &item.span())
                };
                Some((items.iter().map(item_text).collect::<Option<_>>()?, true))
            }
            scalar => Some((vec![self.scalar_text(scalar, span)?], false)),
        }
    }

    fn scalar_text(&self, value: &DeValue<'_>, span: &Range<usize>) -> Option<String> {
        match value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            // A number is read by the setting's kind, from what was written.
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => self.text.get(span.clone()).map(|text| text.replace('_', "")),
            DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    fn place(&self, span: &Range<usize>) -> Source {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        Source::File { path: self.path.clone(), line: before.matches('\n').count() + 1 }
    }
}

fn insert(
    keys: &mut BTreeMap<String, Said>,
    name: String,
    said: Said,
) -> Result<(), SettingsError> {
    let source_of = said.source.clone();
    match keys.insert(name.clone(), said) {
        Some(_) => Err(SettingsError::SetTwice { key: name, source_of }),
        None => Ok(()),
    }
}

fn wrong_shape(name: &str, source_of: Source, allowed: &'static str) -> SettingsError {
    SettingsError::BadValue {
        name: name.to_owned(),
        source_of,
        text: "…".to_owned(),
        reason: "it has the wrong shape".to_owned(),
        allowed,
    }
}
