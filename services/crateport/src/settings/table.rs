//! What is known of a setting besides its value, and the macro that makes everything from one list.

use super::kind::{Kind, Said};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without `--` and the file's key.
    pub(crate) name: &'static str,
    /// The group in the help.
    pub(crate) heading: &'static str,
    /// One line for people.
    pub(crate) help: &'static str,
    /// What stands for the value in the help.
    pub(crate) value_name: &'static str,
    /// What may be written, as the end of a sentence.
    pub(crate) allowed: &'static str,
    /// What holds when nobody says otherwise.
    pub(crate) default: Default,
    /// Whether it holds several values.
    pub(crate) is_list: bool,
    /// What was said of it, secrets hidden.
    pub(crate) print: fn(&Said) -> String,
}

/// Where a default comes from.
#[derive(Debug)]
pub(crate) enum Default {
    /// The same everywhere; empty for none.
    Fixed(&'static str),
    /// Found out on this machine; `described` stands in the help.
    Found {
        /// Finds it, or says why it cannot.
        find: fn() -> Result<String, String>,
        /// What the help says.
        described: &'static str,
    },
}

impl Setting {
    /// The row for values of kind `K`.
    pub(crate) const fn of<K: Kind>(
        name: &'static str,
        heading: &'static str,
        help: &'static str,
        default: Default,
    ) -> Self {
        Self {
            name,
            heading,
            help,
            value_name: K::VALUE_NAME,
            allowed: K::ALLOWED,
            default,
            is_list: K::IS_LIST,
            print: K::print,
        }
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        variable(self.name)
    }

    /// The default as the help tells it; empty for none.
    pub(crate) const fn default_described(&self) -> &'static str {
        match self.default {
            Default::Fixed(text) => text,
            Default::Found { described, .. } => described,
        }
    }
}

/// The environment variable for a flag or key.
pub(super) fn variable(name: &str) -> String {
    format!("CRATEPORT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Makes `Settings`, its reader and `TABLE` from groups of `field "name": Kind = default, "help";`.
macro_rules! settings {
    ($($heading:literal {
        $($field:ident $name:literal: $kind:ty = $default:tt, $help:literal;)+
    })+) => {
        /// Every setting, parsed.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            $($(
                #[doc = $help]
                pub(crate) $field: <$kind as $crate::settings::kind::Kind>::Value,
            )+)+
            /// The registries, `crates-io` first, then by id; those that are not enabled too.
            pub(crate) registries: Vec<RegistrySettings>,
            /// The dist origins, `rustup` first, then by id; those that are not enabled too.
            pub(crate) dists: Vec<DistSettings>,
        }

        /// Every setting that is a flag, an environment variable and a key of the file.
        pub(crate) static TABLE: &[Setting] = &[
            $($(
                Setting::of::<$kind>(
                    $name,
                    $heading,
                    $help,
                    $crate::settings::table::default!($default),
                ),
            )+)+
        ];

        impl Settings {
            fn parse(
                given: &$crate::settings::load::Given,
                registries: Vec<RegistrySettings>,
                dists: Vec<DistSettings>,
            ) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($($field: given.parse::<$kind>($name)?,)+)+
                    registries,
                    dists,
                })
            }
        }

        #[cfg(test)]
        const FIELDS: &[&str] = &[$($(stringify!($field),)+)+];
    };
}

macro_rules! default {
    (none) => {
        $crate::settings::table::Default::Fixed("")
    };
    ($text:literal) => {
        $crate::settings::table::Default::Fixed($text)
    };
    (($find:path, $described:literal)) => {
        $crate::settings::table::Default::Found { find: $find, described: $described }
    };
}

pub(super) use {default, settings};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{FIELDS, TABLE};

    #[test]
    fn names_are_fields_with_dashes_and_none_stands_twice() {
        let names: HashSet<_> = TABLE.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for (setting, field) in TABLE.iter().zip(FIELDS) {
            assert_eq!(setting.name, field.replace('_', "-"));
            assert!(!setting.help.ends_with('.'), "{}", setting.name);
        }
    }
}
