//! The kinds of values: how a text becomes one, and what to say when it does not.
//!
//! A [`Word`] is one value; [`One`], [`Maybe`] and [`List`] say how many of them a setting holds.

pub(super) mod choice;
pub(super) mod host;
pub(super) mod listen;
pub(super) mod number;
pub(super) mod redis;
pub(super) mod s3;
pub(super) mod text;

use std::marker::PhantomData;

use super::error::SettingsError;
use super::source::Source;

/// One value as it is written.
pub(crate) trait Word {
    /// What it becomes.
    type Value: Clone + std::fmt::Debug;
    /// What stands for it in the help.
    const VALUE_NAME: &'static str;
    /// What may be written, as the end of a sentence: `a duration such as 60s`.
    const ALLOWED: &'static str;

    /// Reads it, or says what is wrong, as in "it has no unit".
    fn parse_word(text: &str) -> Result<Self::Value, String>;

    /// The text as it may be printed.
    fn show(text: &str) -> String {
        hide_password(text)
    }

    /// Whether `part`, after a comma, still belongs to the value before it.
    fn continues(_part: &str) -> bool {
        false
    }
}

/// What a setting holds.
pub(crate) trait Kind {
    /// What it becomes.
    type Value: Clone + std::fmt::Debug;
    /// See [`Word::VALUE_NAME`].
    const VALUE_NAME: &'static str;
    /// See [`Word::ALLOWED`].
    const ALLOWED: &'static str;
    /// Whether it holds several.
    const IS_LIST: bool;

    /// Reads all its texts.
    fn parse(texts: &[String]) -> Result<Self::Value, Refused>;

    /// See [`Word::show`].
    fn show(text: &str) -> String;

    /// Takes a text with commas apart, if several values may stand in it.
    fn split(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    /// Takes apart all that was said.
    fn texts(said: &Said) -> Vec<String> {
        if said.is_apart {
            return said.texts.clone();
        }
        said.texts.iter().flat_map(|text| Self::split(text)).collect()
    }

    /// All that was said, as it may be printed.
    fn print(said: &Said) -> String {
        let texts = Self::texts(said);
        let shown: Vec<_> = texts.iter().filter(|text| !is_none(text)).collect();
        if shown.is_empty() {
            return "none".to_owned();
        }
        shown.into_iter().map(|text| Self::show(text)).collect::<Vec<_>>().join(", ")
    }
}

/// What was said of a setting, and where.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The words, as they were written.
    pub(crate) texts: Vec<String>,
    /// Whether each text is one value already, as in a TOML array.
    pub(crate) is_apart: bool,
    /// Where.
    pub(crate) source: Source,
}

/// A text that is no value, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) text: String,
    pub(crate) reason: String,
}

/// Exactly one.
#[derive(Debug)]
pub(crate) struct One<W>(PhantomData<W>);

/// One or none; the empty text and `none` mean none.
#[derive(Debug)]
pub(crate) struct Maybe<W>(PhantomData<W>);

/// Any number; the empty text and `none` mean none.
#[derive(Debug)]
pub(crate) struct List<W>(PhantomData<W>);

impl<W: Word> Kind for One<W> {
    type Value = W::Value;
    const VALUE_NAME: &'static str = W::VALUE_NAME;
    const ALLOWED: &'static str = W::ALLOWED;
    const IS_LIST: bool = false;

    fn parse(texts: &[String]) -> Result<Self::Value, Refused> {
        match texts {
            [text] if !text.is_empty() => read::<W>(text),
            [] | [_] => Err(Refused::new("", "it is empty")),
            [first, ..] => Err(Refused::new(&W::show(first), "it holds one value, not several")),
        }
    }

    fn show(text: &str) -> String {
        W::show(text)
    }
}

impl<W: Word> Kind for Maybe<W> {
    type Value = Option<W::Value>;
    const VALUE_NAME: &'static str = W::VALUE_NAME;
    const ALLOWED: &'static str = W::ALLOWED;
    const IS_LIST: bool = false;

    fn parse(texts: &[String]) -> Result<Self::Value, Refused> {
        if texts.iter().all(|text| is_none(text)) {
            return Ok(None);
        }
        One::<W>::parse(texts).map(Some)
    }

    fn show(text: &str) -> String {
        W::show(text)
    }
}

impl<W: Word> Kind for List<W> {
    type Value = Vec<W::Value>;
    const VALUE_NAME: &'static str = W::VALUE_NAME;
    const ALLOWED: &'static str = W::ALLOWED;
    const IS_LIST: bool = true;

    fn parse(texts: &[String]) -> Result<Self::Value, Refused> {
        texts.iter().filter(|text| !is_none(text)).map(|text| read::<W>(text)).collect()
    }

    fn show(text: &str) -> String {
        W::show(text)
    }

    fn split(text: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for part in text.split(',').map(str::trim) {
            match texts.last_mut() {
                Some(previous) if W::continues(part) => {
                    previous.push(',');
                    previous.push_str(part);
                }
                _ => texts.push(part.to_owned()),
            }
        }
        texts
    }
}

impl Said {
    /// What it means for the setting `name`.
    pub(super) fn parse<K: Kind>(&self, name: &str) -> Result<K::Value, SettingsError> {
        K::parse(&K::texts(self)).map_err(|refused| SettingsError::BadValue {
            name: name.to_owned(),
            source_of: self.source.clone(),
            text: refused.text,
            reason: refused.reason,
            allowed: K::ALLOWED,
        })
    }
}

impl Refused {
    fn new(text: &str, reason: &str) -> Self {
        Self { text: text.to_owned(), reason: reason.to_owned() }
    }
}

/// Whether a text says that there is no value.
pub(super) fn is_none(text: &str) -> bool {
    text.is_empty() || text == "none"
}

fn read<W: Word>(text: &str) -> Result<W::Value, Refused> {
    W::parse_word(text).map_err(|reason| Refused { text: W::show(text), reason })
}

/// A URL without its user name and password; anything else as it is.
fn hide_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{tail}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::listen::ListenAddress;
    use super::text::FilePath;
    use super::*;

    #[test]
    fn a_comma_parts_values_but_not_a_listener_from_its_files() {
        for (text, expected) in [
            ("0.0.0.0:1", &["0.0.0.0:1"][..]),
            ("0.0.0.0:1, [::]:2,cert=a,key=b", &["0.0.0.0:1", "[::]:2,cert=a,key=b"]),
        ] {
            assert_eq!(List::<ListenAddress>::split(text), expected);
        }
        assert_eq!(One::<FilePath>::split("a,b"), ["a,b"]);
    }

    #[test]
    fn empty_and_none_mean_none() {
        for texts in [vec![], vec![String::new()], vec!["none".to_owned()]] {
            assert_eq!(Maybe::<FilePath>::parse(&texts).unwrap(), None);
            assert!(List::<FilePath>::parse(&texts).unwrap().is_empty());
        }
    }

    #[test]
    fn a_password_in_a_url_is_hidden() {
        for (text, expected) in [
            ("redis://:hunter2@redis:6379/0", "redis://***@redis:6379/0"),
            ("https://a.example/@b", "https://a.example/@b"),
            ("60s", "60s"),
        ] {
            assert_eq!(hide_password(text), expected);
        }
    }
}
