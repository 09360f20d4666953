//! The file's tables, one per registry (`[registries.<id>]`) and one per dist origin (`[dist.<id>]`), while they are
//! read.

use std::collections::BTreeMap;
use std::path::Path;

use crateport_types::Secret;

use super::error::Hint;
use super::file::Table;
use super::kind::text::{FilePath, Token};
use super::kind::{Kind, Maybe, Said};
use super::load::Row;
use super::table::variable;
use super::{SettingsError, Source, nearest};

/// One table while it is read.
pub(super) struct Reader<'a> {
    pub(super) group: &'static str,
    pub(super) id: String,
    pub(super) keys: BTreeMap<String, Said>,
    pub(super) rows: &'a mut Vec<Row>,
}

/// The variable that holds the token of a table.
pub(super) fn token_variable(group: &str, id: &str) -> String {
    variable(&format!("{group}-{id}-token"))
}

/// Refuses a token that belongs to no table. `known` are the variables that would.
pub(super) fn check_tokens(
    tokens: BTreeMap<String, Said>,
    known: impl IntoIterator<Item = String>,
) -> Result<(), SettingsError> {
    let Some(name) = tokens.into_keys().next() else { return Ok(()) };
    let hint = nearest::nearest(&name, known).map_or_else(
        || Hint::See("nothing of that id is in the configuration file".to_owned()),
        Hint::Nearest,
    );
    Err(SettingsError::UnknownVariable { name, hint })
}

impl Table {
    /// That a table cannot be used as a whole.
    pub(super) fn bad(&self, group: &str, reason: String) -> SettingsError {
        let name = format!("{group}.{}", self.id);
        SettingsError::BadTable { name, source_of: self.source.clone(), reason }
    }

    /// Refuses keys that nobody knows, and a token that is given twice.
    pub(super) fn check_keys(&self, group: &str, known: &[&str]) -> Result<(), SettingsError> {
        let id = &self.id;
        if let Some((key, said)) = self.keys.iter().find(|(key, _)| !known.contains(&key.as_str()))
        {
            let words = known.iter().map(|word| (*word).to_owned());
            let hint = nearest::nearest(key, words).map_or_else(
                || Hint::See(format!("there can be {}", known.join(", "))),
                |key| Hint::Nearest(format!("{group}.{id}.{key}")),
            );
            let key = format!("{group}.{id}.{key}");
            return Err(SettingsError::UnknownKey { key, source_of: said.source.clone(), hint });
        }
        if self.keys.contains_key("token") && self.keys.contains_key("token-file") {
            let reason = "token and token-file are both set: keep one".to_owned();
            return Err(self.bad(group, reason));
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// What holds when the table does not say.
    pub(super) fn default(&mut self, key: &str, text: &str) {
        if !self.keys.contains_key(key) {
            let (texts, source) = (vec![text.to_owned()], Source::Default);
            self.say(key, Said { texts, is_apart: true, source });
        }
    }

    /// Puts a value in place of what the table says.
    pub(super) fn say(&mut self, key: &str, said: Said) {
        self.keys.insert(key.to_owned(), said);
    }

    /// Takes the value of `key` from the file at `path`, which `path_key` names.
    pub(super) fn say_from_file(
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

    /// What was said of `key`, as a value.
    pub(super) fn parse<K: Kind>(&mut self, key: &str) -> Result<K::Value, SettingsError> {
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
        format!("{}.{}.{key}", self.group, self.id)
    }

    /// The token, from the environment, from a file or as it stands.
    pub(super) fn token(&mut self, token: Option<Said>) -> Result<Option<Secret>, SettingsError> {
        let token_file = self.parse::<Maybe<FilePath>>("token-file")?;
        match (token, token_file) {
            // The environment wins over the file, in whichever form the file has the token.
            (Some(token), _) => self.say("token", token),
            (None, Some(path)) => self.say_from_file("token", "token-file", &path)?,
            (None, None) => {}
        }
        self.parse::<Maybe<Token>>("token")
    }
}
