//! Why the settings cannot be used: each a sentence that names the setting, where it was said and what is allowed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::source::Source;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A text that is no value of the setting.
    #[error("{name} ({source_of}) cannot be `{text}`: {reason}; allowed is {allowed}")]
    BadValue {
        /// The setting.
        name: String,
        /// Who said so.
        source_of: Source,
        /// What was said, secrets hidden.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// The default cannot be found out on this machine.
    #[error("{name} must be set: {reason}")]
    NoDefault {
        /// The setting.
        name: &'static str,
        /// Why there is no default here.
        reason: String,
    },
    /// A key that names no setting.
    #[error("`{key}` ({source_of}) is no setting{hint}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        source_of: Source,
        /// What may have been meant.
        hint: Hint,
    },
    /// A variable that names no setting.
    #[error("the environment variable {name} is no setting{hint}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// A variable whose value is not UTF-8.
    #[error("the environment variable {0} is not UTF-8 text")]
    VariableNotText(String),
    /// One setting said twice in one file.
    #[error("`{key}` ({source_of}) is set twice: write it once, with dashes")]
    SetTwice {
        /// The key, with dashes.
        key: String,
        /// The second place.
        source_of: Source,
    },
    /// The file is there but cannot be read, or was named and is not there.
    #[error("the configuration file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{source_of} is not TOML: {message}")]
    NotToml {
        /// Where.
        source_of: Source,
        /// What the parser said.
        message: String,
    },
    /// A table that cannot be used as a whole.
    #[error("{name} ({source_of}) cannot be used: {reason}")]
    BadTable {
        /// As it is written, as in `registries.internal`.
        name: String,
        /// Where.
        source_of: Source,
        /// Why.
        reason: String,
    },
    /// Settings that are right alone and wrong together.
    #[error("{0}")]
    Conflict(String),
}

/// The end of a sentence about a word that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A known word is near.
    Nearest(String),
    /// None is; these are all there are, or where they are listed.
    See(String),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(word) => write!(f, "; did you mean {word}?"),
            Self::See(place) => write!(f, "; {place}"),
        }
    }
}
