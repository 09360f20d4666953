//! What there is to choose about an S3 store, and every limit it keeps.

use std::time::{Duration, SystemTime};

use crateport_types::Secret;
use url::Url;

use super::location::S3Location;
use super::metrics::S3Metrics;

/// The settings of an [`crate::S3Store`].
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Where the objects are.
    pub location: S3Location,
    /// The region; else the one of the AWS environment or profile, and `us-east-1` for servers other than AWS.
    pub region: Option<String>,
    /// The server, if it is not AWS itself; else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or that of the profile.
    pub endpoint: Option<Url>,
    /// The same server under the name by which clients reach it; signed URLs bear it.
    pub public_endpoint: Option<Url>,
    /// Where the bucket stands in URLs.
    pub url_style: UrlStyle,
    /// How objects are encrypted at rest.
    pub encryption: S3Encryption,
    /// Whether objects are written and read with S3's own SHA-256 checksums.
    pub checksums: S3Checksums,
    /// Who we are to the server.
    pub credentials: S3Credentials,
    /// How long things may take.
    pub timeouts: S3Timeouts,
    /// The most times one request is sent.
    pub attempts_max: u32,
    /// The most requests under way at once; a body that is read counts until its end.
    pub requests_max: usize,
    /// The largest object that is put in one request. Only such an object has a checksum that S3 computes itself of
    /// the whole. crates.io takes crates of up to 10 MiB, so these are one request each.
    pub put_size_single_max_bytes: u64,
    /// What larger ones are cut into; S3 takes no less than 5 MiB, and no more than 10,000 parts.
    pub part_size_bytes: u64,
    /// The most parts of one object under way at once.
    pub parts_in_flight_max: usize,
    /// The most signed URLs that are kept for the next who asks.
    pub presigned_max: u64,
    /// What counts the attempts of requests, if anything does.
    pub metrics: Option<S3Metrics>,
}

/// Where the bucket stands in URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrlStyle {
    /// In the path for a server other than AWS, in the host name for AWS.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`.
    VirtualHost,
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum S3Encryption {
    /// As the bucket says.
    #[default]
    BucketDefault,
    /// With keys of S3 (`AES256`).
    SseS3,
    /// With a key of KMS: its id, alias or ARN.
    Kms {
        /// Which.
        key: String,
    },
}

/// Whether objects are written and read with S3's own SHA-256 checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum S3Checksums {
    /// The store refuses a wrong byte, and vouches for what it holds.
    #[default]
    Sha256,
    /// For servers that refuse the headers; objects are then checked by whoever reads them first.
    Off,
}

/// Who we are to the server.
#[derive(Clone, Debug, Default)]
pub enum S3Credentials {
    /// As AWS tools find them: environment, profile, web identity, container (ECS, Pod Identity), IMDSv2.
    #[default]
    AwsChain,
    /// These.
    Static {
        /// The access key's id.
        access_key: String,
        /// Its secret.
        secret_key: Secret,
        /// With temporary credentials.
        session_token: Option<Secret>,
        /// When temporary credentials end.
        expires: Option<SystemTime>,
    },
}

/// How long things may take. The SDK itself sets hardly any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S3Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the sent request to the head of its answer.
    pub head: Duration,
    /// One attempt, to the head of its answer.
    pub attempt: Duration,
    /// All attempts together, and the wait for a turn.
    pub operation: Duration,
    /// Between two pieces of a body that is read.
    pub body_idle: Duration,
    /// One attempt at a request that brings many bytes.
    pub upload_attempt: Duration,
    /// All attempts at such a request.
    pub upload_operation: Duration,
    /// Until credentials are there.
    pub credentials: Duration,
}

impl S3Config {
    /// The store at `location` with every setting at its default.
    #[must_use]
    pub fn new(location: S3Location) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            location,
            region: None,
            endpoint: None,
            public_endpoint: None,
            url_style: UrlStyle::default(),
            encryption: S3Encryption::default(),
            checksums: S3Checksums::default(),
            credentials: S3Credentials::default(),
            timeouts: S3Timeouts::default(),
            attempts_max: 3,
            requests_max: 512,
            put_size_single_max_bytes: 16 * MIB,
            part_size_bytes: 8 * MIB,
            parts_in_flight_max: 2,
            presigned_max: 10_000,
            metrics: None,
        }
    }
}

impl Default for S3Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            head: Duration::from_secs(5),
            attempt: Duration::from_secs(6),
            operation: Duration::from_secs(15),
            body_idle: Duration::from_secs(10),
            upload_attempt: Duration::from_secs(60),
            upload_operation: Duration::from_secs(180),
            credentials: Duration::from_secs(5),
        }
    }
}
