//! Settings that choose one of a few things: where objects are kept, who coordinates, how crates are delivered.

use std::fmt;
use std::path::PathBuf;

use crateport_cache::DeliveryMode;
use crateport_coord::{InvalidRedisConfig, RedisAddress};
use crateport_store::S3Location;
use crateport_telemetry::logging::LogFormat;

use super::{Word, hide_password};

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    /// Files under an absolute directory.
    Fs(PathBuf),
    /// A part of a bucket.
    S3(S3Location),
}

/// How replicas agree who fetches what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coordination {
    /// Within one process.
    Local,
    /// Through Redis.
    Redis(RedisAddress),
}

impl Word for StoreLocation {
    type Value = Self;
    const VALUE_NAME: &'static str = "STORE";
    const ALLOWED: &'static str = "fs:DIRECTORY or s3://BUCKET/PREFIX";

    fn parse_word(text: &str) -> Result<Self, String> {
        if text.starts_with("s3:") {
            let location = text.parse::<S3Location>();
            return location.map(Self::S3).map_err(|error| format!("it {error}"));
        }
        let directory = text.strip_prefix("fs:").ok_or("it begins with neither fs: nor s3:")?;
        if directory.starts_with('~') {
            return Err("no shell replaces the ~ here, so write the directory out".to_owned());
        }
        if directory.is_empty() || directory.starts_with("//") {
            return Err("it names no directory".to_owned());
        }
        std::path::absolute(directory).map(Self::Fs).map_err(|error| error.to_string())
    }

    fn show(text: &str) -> String {
        Self::parse_word(text).map_or_else(|_| hide_password(text), |location| location.to_string())
    }
}

impl Word for Coordination {
    type Value = Self;
    const VALUE_NAME: &'static str = "COORD";
    const ALLOWED: &'static str = "local, or an address such as redis://HOST:PORT (or rediss://, \
                                   redis+cluster://HOST,HOST, redis+sentinel://HOST,HOST/MASTER)";

    fn parse_word(text: &str) -> Result<Self, String> {
        if text == "local" {
            return Ok(Self::Local);
        }
        text.parse().map(Self::Redis).map_err(|error: InvalidRedisConfig| error.to_string())
    }
}

impl Word for DeliveryMode {
    type Value = Self;
    const VALUE_NAME: &'static str = "auto|stream|redirect";
    const ALLOWED: &'static str = "auto, stream or redirect";

    fn parse_word(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "stream" => Ok(Self::Stream),
            "redirect" => Ok(Self::Redirect),
            _ => Err("it is not known".to_owned()),
        }
    }
}

impl Word for LogFormat {
    type Value = Self;
    const VALUE_NAME: &'static str = "text|json";
    const ALLOWED: &'static str = "text or json";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is not known".to_owned())
    }
}

impl fmt::Display for Coordination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fs(directory) => write!(f, "fs:{}", directory.display()),
            Self::S3(location) => location.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_directory_made_absolute_or_a_part_of_a_bucket() {
        let Ok(StoreLocation::Fs(directory)) = StoreLocation::parse_word("fs:a/b") else {
            panic!()
        };
        assert!(directory.is_absolute() && directory.ends_with("a/b"));
        for text in ["s3://bucket", "s3://bucket/a/prefix"] {
            assert_eq!(StoreLocation::parse_word(text).unwrap().to_string(), text);
        }
        for text in ["", "fs:", "fs:~/a", "fs://a", "/a", "s3:bucket", "s3://", "gs://bucket"] {
            assert!(StoreLocation::parse_word(text).is_err(), "{text}");
        }
    }
}
