//! Texts with rules: paths, URLs, names, tokens.

use std::net::SocketAddr;
use std::path::PathBuf;

use crateport_telemetry::logging::{InvalidLogFilter, LogFilter};
use crateport_types::{BaseUrl, InvalidBaseUrl, Secret};
use crateport_upstream::{DistUrl, IndexUrl, InvalidDistUrl, InvalidIndexUrl};
use url::Url;

use super::Word;
use super::listen::parse_address;

/// A path; a relative one is meant from the working directory.
#[derive(Debug)]
pub(crate) struct FilePath;

/// A URL that begins with http:// or https://.
#[derive(Debug)]
pub(crate) struct HttpUrl;

/// The address of the ops listener.
#[derive(Debug)]
pub(crate) struct OpsAddress;

/// A replica's name.
#[derive(Debug)]
pub(crate) struct Replica;

/// A mail address or a URL, for the User-Agent.
#[derive(Debug)]
pub(crate) struct Contact;

/// A registry's token.
#[derive(Debug)]
pub(crate) struct Token;

/// `true` or `false`.
#[derive(Debug)]
pub(crate) struct Switch;

/// Longest replica name: a DNS label's length.
pub(in crate::settings) const REPLICA_LENGTH_MAX: usize = 63;

const CONTACT_LENGTH_MAX: usize = 200;

/// What a replica's name may hold, so that it fits headers, labels and file names.
pub(in crate::settings) const fn is_replica_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl Word for FilePath {
    type Value = PathBuf;
    const VALUE_NAME: &'static str = "PATH";
    const ALLOWED: &'static str = "a path";

    fn parse_word(text: &str) -> Result<PathBuf, String> {
        if text.starts_with("~/") {
            return Err("no shell replaces the ~ here, so write the path out".to_owned());
        }
        Ok(PathBuf::from(text))
    }
}

impl Word for HttpUrl {
    type Value = Url;
    const VALUE_NAME: &'static str = "URL";
    const ALLOWED: &'static str = "a URL such as http://collector.example:4318";

    fn parse_word(text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it does not begin with http:// or https://".to_owned());
        }
        Ok(url)
    }
}

impl Word for IndexUrl {
    type Value = Self;
    const VALUE_NAME: &'static str = "INDEX";
    const ALLOWED: &'static str = "a sparse index such as sparse+https://crates.example.com/index/";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: InvalidIndexUrl| error.to_string())
    }
}

impl Word for DistUrl {
    type Value = Self;
    const VALUE_NAME: &'static str = "URL";
    const ALLOWED: &'static str = "a URL such as https://toolchains.example.com";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: InvalidDistUrl| error.to_string())
    }
}

impl Word for OpsAddress {
    type Value = SocketAddr;
    const VALUE_NAME: &'static str = "ADDRESS";
    const ALLOWED: &'static str = "IP:PORT such as 127.0.0.1:8081";

    fn parse_word(text: &str) -> Result<SocketAddr, String> {
        parse_address(text)
    }
}

impl Word for BaseUrl {
    type Value = Self;
    const VALUE_NAME: &'static str = "URL";
    const ALLOWED: &'static str = "a URL such as https://crates.example.com";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| match error {
            InvalidBaseUrl::NotAUrl(_) => "it is no URL".to_owned(),
            InvalidBaseUrl::Scheme | InvalidBaseUrl::Extra => format!("it {error}"),
        })
    }
}

impl Word for LogFilter {
    type Value = Self;
    const VALUE_NAME: &'static str = "FILTER";
    const ALLOWED: &'static str =
        "error, warn, info, debug, trace or off, and module=level, parted by commas";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: InvalidLogFilter| error.to_string())
    }
}

impl Word for Replica {
    type Value = String;
    const VALUE_NAME: &'static str = "NAME";
    const ALLOWED: &'static str = "a name of letters, digits, `-`, `_` and `.`";

    fn parse_word(text: &str) -> Result<String, String> {
        if text.len() > REPLICA_LENGTH_MAX {
            return Err(format!("it is longer than {REPLICA_LENGTH_MAX}"));
        }
        if !text.bytes().all(is_replica_byte) {
            return Err("it holds something else".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Word for Contact {
    type Value = String;
    const VALUE_NAME: &'static str = "TEXT";
    const ALLOWED: &'static str = "a mail address or a URL";

    fn parse_word(text: &str) -> Result<String, String> {
        // It stands in the comment of a User-Agent (RFC 9110, 10.1.5), which parentheses would end.
        let legal = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'(' | b')' | b'\\');
        if text.len() > CONTACT_LENGTH_MAX || !text.bytes().all(legal) {
            return Err(format!(
                "it is longer than {CONTACT_LENGTH_MAX} or not plain ASCII without parentheses"
            ));
        }
        Ok(text.to_owned())
    }
}

impl Word for Token {
    type Value = Secret;
    const VALUE_NAME: &'static str = "TOKEN";
    const ALLOWED: &'static str = "printable ASCII";

    fn parse_word(text: &str) -> Result<Secret, String> {
        let legal = |byte: u8| matches!(byte, b' '..=b'~');
        if !text.bytes().all(legal) {
            return Err("it holds something that no header can".to_owned());
        }
        Ok(Secret::new(text))
    }

    fn show(_text: &str) -> String {
        "***".to_owned()
    }
}

impl Word for Switch {
    type Value = bool;
    const VALUE_NAME: &'static str = "true|false";
    const ALLOWED: &'static str = "true or false";

    fn parse_word(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "it is neither".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_cannot_end_the_comment_it_stands_in() {
        assert!(Contact::parse_word("ops@example.com").is_ok());
        for text in ["a) evil/1.0 (", "a\nb", "ä", &"a".repeat(201)] {
            assert!(Contact::parse_word(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        assert_eq!(Token::show("hunter2"), "***");
        assert!(Token::parse_word("a\nb").is_err());
    }
}
