//! What there is to choose about an S3 store.

use crateport_store::{S3Encryption, UrlStyle};

use super::Word;

/// A region's name.
#[derive(Debug)]
pub(crate) struct Region;

impl Word for Region {
    type Value = String;
    const VALUE_NAME: &'static str = "REGION";
    const ALLOWED: &'static str = "a region such as eu-central-1";

    fn parse_word(text: &str) -> Result<String, String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || !text.bytes().all(legal) {
            return Err("it is no name of a region".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Word for UrlStyle {
    type Value = Self;
    const VALUE_NAME: &'static str = "auto|always|never";
    const ALLOWED: &'static str = "auto, always or never";

    fn parse_word(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Path),
            "never" => Ok(Self::VirtualHost),
            _ => Err("it is not known".to_owned()),
        }
    }
}

impl Word for S3Encryption {
    type Value = Self;
    const VALUE_NAME: &'static str = "bucket|sse-s3|kms:KEY";
    const ALLOWED: &'static str = "bucket (what the bucket does by default), sse-s3 or kms:KEY";

    fn parse_word(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "bucket" => Ok(Self::BucketDefault),
            None if text == "sse-s3" => Ok(Self::SseS3),
            Some(("kms", key)) if !key.is_empty() => Ok(Self::Kms { key: key.to_owned() }),
            _ => Err("it is not known".to_owned()),
        }
    }
}
