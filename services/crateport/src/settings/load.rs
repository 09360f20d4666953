//! Brings flags, environment, file and defaults together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::environment::{self, Environment};
use super::file::{self, FileKeys};
use super::kind::{Kind, Said};
use super::table::Default;
use super::{
    Setting, Settings, SettingsError, Source, TABLE, cross_checks, dists, registries, tables,
};

/// Everything that may say something about settings.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    /// The flags that were given.
    pub(crate) flags: BTreeMap<&'static str, Vec<String>>,
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// The whole environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Where a file is looked for when none is named; the first that exists is read.
    pub(crate) usual_files: Vec<PathBuf>,
}

/// The settings, and how they came about.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What they are.
    pub(crate) settings: Settings,
    /// Each with its text and its source, in the order of the table; then the registries', then the dist origins'.
    pub(crate) rows: Vec<Row>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

/// One line of `config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The setting, or `registries.<id>.<key>` and the like.
    pub(crate) name: String,
    /// Its value, secrets hidden.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// What holds for each setting of the table, unparsed.
#[derive(Debug)]
pub(crate) struct Given(BTreeMap<&'static str, Said>);

/// The usual places of the file: the user's, then the machine's.
pub(crate) fn usual_files() -> Vec<PathBuf> {
    let user = etcetera::choose_base_strategy().ok().map(|directories| directories.config_dir());
    let directories = user.into_iter().chain([PathBuf::from("/etc")]);
    directories.map(|directory| directory.join("crateport/config.toml")).collect()
}

impl Inputs {
    /// What the inputs come to.
    ///
    /// # Errors
    /// The first thing that is wrong, as a sentence.
    pub(crate) fn load(self) -> Result<Loaded, SettingsError> {
        let mut environment = environment::read(self.variables)?;
        let named = self.config.or_else(|| environment.config.take());
        let file = named.or_else(|| self.usual_files.into_iter().find(|path| path.exists()));
        let mut keys = file.as_deref().map_or_else(|| Ok(FileKeys::default()), file::read)?;

        let given = Given::choose(self.flags, &mut environment, &mut keys)?;
        let mut tokens = environment.tokens;
        let (registries, registry_rows) = registries::read(keys.registries, &mut tokens)?;
        let (dists, dist_rows) = dists::read(keys.dists, &mut tokens)?;
        let known = registries.iter().map(|it| (registries::GROUP, it.id.as_str()));
        let known = known.chain(dists.iter().map(|it| (dists::GROUP, it.id.as_str())));
        tables::check_tokens(tokens, known.map(|(group, id)| tables::token_variable(group, id)))?;
        let settings = Settings::parse(&given, registries, dists)?;
        cross_checks::run(&settings)?;
        let rows = given.rows().chain(registry_rows).chain(dist_rows).collect();
        Ok(Loaded { settings, rows, file })
    }
}

impl Given {
    fn choose(
        mut flags: BTreeMap<&'static str, Vec<String>>,
        environment: &mut Environment,
        keys: &mut FileKeys,
    ) -> Result<Self, SettingsError> {
        let mut given = BTreeMap::new();
        for setting in TABLE {
            let flag = flags.remove(setting.name).map(|texts| Said {
                texts,
                is_apart: false,
                source: Source::Flag(setting.name.to_owned()),
            });
            let said = flag
                .or_else(|| environment.settings.remove(setting.name))
                .or_else(|| keys.settings.remove(setting.name));
            let said = said.map_or_else(|| default(setting), Ok)?;
            given.insert(setting.name, said);
        }
        Ok(Self(given))
    }

    /// What was said of `name`, as a value.
    pub(super) fn parse<K: Kind>(&self, name: &'static str) -> Result<K::Value, SettingsError> {
        match self.0.get(name) {
            Some(said) => said.parse::<K>(name),
            None => nothing_said().parse::<K>(name),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        TABLE.iter().filter_map(|setting| {
            let said = self.0.get(setting.name)?;
            Some(Row {
                name: setting.name.to_owned(),
                value: (setting.print)(said),
                source: said.source.clone(),
            })
        })
    }
}

impl Loaded {
    /// The file that was read, if any.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

fn default(setting: &Setting) -> Result<Said, SettingsError> {
    let text = match setting.default {
        Default::Fixed(text) => text.to_owned(),
        Default::Found { find, .. } => {
            find().map_err(|reason| SettingsError::NoDefault { name: setting.name, reason })?
        }
    };
    Ok(Said { texts: vec![text], ..nothing_said() })
}

const fn nothing_said() -> Said {
    Said { texts: Vec::new(), is_apart: false, source: Source::Default }
}

#[cfg(test)]
mod tests;
