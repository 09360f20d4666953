//! What a server can do, found out by doing it: servers that speak S3 differ in what they ignore without a word.

mod fetch;

use std::fmt;
use std::io;

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use bytes::Bytes;
use crateport_types::{Sha256, StoreKey};
use futures_util::future::join_all;

use super::failure::Failure;
use super::{S3Checksums, S3Store, about};
use crate::{Attributes, ObjectStore as _, Payload, PutOptions, Read, StoreError};

/// What a server can do. Everything is found out under [`StoreKey::check`] and deleted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Capabilities {
    /// An object that is not there is told from one that may not be read. Without it no crate is ever found to be
    /// missing, and nothing is filled: give the right to list the bucket.
    pub absence: Finding,
    /// Attributes come back as they were put. Without it upstream is asked without validators after a restart.
    pub metadata: Finding,
    /// A put with a wrong checksum is refused. Without it a wrong byte on the way to the store is noticed later, by
    /// the first reader.
    pub checksums: Finding,
    /// The checksum comes back with the object. Without it each replica reads each object once before it is trusted.
    pub vouching: Finding,
    /// Clients can fetch under signed URLs. Without it everything is streamed.
    pub presigned: Finding,
    /// `If-None-Match: *` keeps a put from replacing an object. Caching does without.
    pub create_if_absent: Finding,
    /// `If-Match` keeps a put from replacing an object that has changed. Caching does without.
    pub replace_if_same: Finding,
    /// Of many who create an object at once, one succeeds. Caching does without.
    pub one_creator: Finding,
}

/// Whether it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It can.
    Yes,
    /// It cannot, and this was seen instead.
    No(String),
}

/// Few enough to be cheap, many enough for a server that looks first and writes later to be caught.
const RACERS: usize = 16;
const BODY: &[u8] = b"written by a check of the store";
/// Long enough for one fetch.
const URL_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);

impl S3Store {
    /// Finds out what the server can do, with some 30 small requests.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, or a plain object cannot be put, read and deleted.
    pub async fn probe(&self) -> Result<S3Capabilities, StoreError> {
        let [key, refused, raced] = [(); 3].map(|()| StoreKey::check(fastrand::u64(..)));
        let found = self.probe_with(&key, &refused, &raced).await;
        let mut deleted = Ok(true);
        for key in [key, refused, raced] {
            deleted = deleted.and(self.delete(&key).await);
        }
        let found = found?;
        deleted?;
        Ok(found)
    }

    async fn probe_with(
        &self,
        key: &StoreKey,
        refused: &StoreKey,
        raced: &StoreKey,
    ) -> Result<S3Capabilities, StoreError> {
        let absence = match self.get(key, Read::whole()).await {
            Ok(None) => Finding::Yes,
            Ok(Some(_)) => Finding::No("there is an object that nobody wrote".to_owned()),
            Err(error) => Finding::No(told(&error)),
        };
        let attributes = Attributes::from([("check".to_owned(), "W/\"ä  b\"".to_owned())]);
        let options =
            PutOptions { checksum: Some(Sha256::of(BODY)), attributes: attributes.clone() };
        self.put(key, Payload::Bytes(Bytes::from_static(BODY)), options).await?;
        let open = self.get(key, Read::whole().with_attributes()).await?;
        let open = open.ok_or_else(|| {
            self.failed("read", key, io::Error::other("what was written is not there"))
        })?;
        let meta = open.meta.clone();
        let bytes = open.collect(2 * BODY.len()).await?;
        if bytes != BODY {
            let error = io::Error::new(io::ErrorKind::InvalidData, "other bytes came back");
            return Err(self.failed("read", key, error));
        }
        Ok(S3Capabilities {
            absence,
            metadata: Finding::that(meta.attributes == attributes, "attributes were lost"),
            checksums: self.probe_checksums(refused).await,
            vouching: Finding::that(meta.checksum.is_some(), "no checksum came back"),
            presigned: self.probe_presigned(key).await,
            create_if_absent: self.probe_condition(key, |put| put.if_none_match("*")).await,
            replace_if_same: self
                .probe_condition(key, |put| put.if_match("\"00000000000000000000000000000000\""))
                .await,
            one_creator: self.probe_race(raced).await,
        })
    }

    async fn probe_checksums(&self, key: &StoreKey) -> Finding {
        if self.0.config.checksums == S3Checksums::Off {
            return Finding::No("checksums are switched off".to_owned());
        }
        let wrong = about::encoded(&Sha256::of(b"something else"));
        match self.raw_put(key).checksum_sha256(wrong).send().await {
            Ok(_) => return Finding::No("an object with a wrong checksum was taken".to_owned()),
            // `BadDigest` on AWS; others have other codes, but all say that the request was wrong.
            Err(error) if error.raw_response().is_some_and(|r| r.status().as_u16() == 400) => {}
            Err(error) => return Finding::No(Failure::of(&error).into_io().to_string()),
        }
        match self.head(key).await {
            Ok(None) => Finding::Yes,
            Ok(Some(_)) => Finding::No("a refused object was kept all the same".to_owned()),
            Err(error) => Finding::No(told(&error)),
        }
    }

    /// Tries a put that must not be done.
    async fn probe_condition(
        &self,
        key: &StoreKey,
        condition: impl FnOnce(PutObjectFluentBuilder) -> PutObjectFluentBuilder,
    ) -> Finding {
        match condition(self.raw_put(key)).send().await {
            Ok(_) => Finding::No("the condition was ignored".to_owned()),
            Err(error) => match Failure::of(&error) {
                Failure::Condition => Finding::Yes,
                failure => Finding::No(failure.into_io().to_string()),
            },
        }
    }

    async fn probe_race(&self, key: &StoreKey) -> Finding {
        let racers = (0..RACERS).map(|_| self.raw_put(key).if_none_match("*").send());
        let ends = join_all(racers).await;
        match ends.iter().filter(|end| end.is_ok()).count() {
            1 => Finding::Yes,
            winners => Finding::No(format!("{winners} of {RACERS} succeeded")),
        }
    }

    async fn probe_presigned(&self, key: &StoreKey) -> Finding {
        let fetched = match self.presign(key, URL_LIFETIME).await {
            Ok(Some(url)) => self.fetch_as_a_client(key, &url).await,
            Ok(None) => Err("the credentials end too soon".to_owned()),
            Err(error) => Err(told(&error)),
        };
        match fetched {
            Ok(bytes) => Finding::that(bytes == BODY, "other bytes came back"),
            Err(text) => Finding::No(text),
        }
    }

    /// A put that is sent once: an answer that was lost must not look like a condition that did not hold.
    fn raw_put(&self, key: &StoreKey) -> PutObjectFluentBuilder {
        let location = self.location();
        let put = self.0.clients.once.put_object().bucket(location.bucket());
        put.key(location.key(key)).body(Bytes::from_static(BODY).into())
    }
}

impl S3Capabilities {
    /// Whether several writers can keep each other from losing changes. Hosting crates needs it, caching does not.
    #[must_use]
    pub fn has_conditional_writes(&self) -> bool {
        [&self.create_if_absent, &self.replace_if_same, &self.one_creator]
            .iter()
            .all(|finding| finding.is_yes())
    }

    /// Each with its name.
    #[must_use]
    pub fn findings(&self) -> [(&'static str, &Finding); 8] {
        [
            ("tells what is absent", &self.absence),
            ("keeps attributes", &self.metadata),
            ("refuses wrong checksums", &self.checksums),
            ("vouches for checksums", &self.vouching),
            ("signed URLs work", &self.presigned),
            ("creates only what is absent", &self.create_if_absent),
            ("replaces only what is unchanged", &self.replace_if_same),
            ("lets one of many create", &self.one_creator),
        ]
    }
}

impl Finding {
    fn that(is_so: bool, otherwise: &str) -> Self {
        if is_so { Self::Yes } else { Self::No(otherwise.to_owned()) }
    }

    /// Whether it can.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No(seen) => write!(f, "no: {seen}"),
        }
    }
}

impl fmt::Display for S3Capabilities {
    /// One line for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, finding)) in self.findings().into_iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{name}: {finding}")?;
        }
        Ok(())
    }
}

/// An error with its cause, on one line.
fn told(error: &StoreError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
