//! The SDK's clients: one for what is quick, one for what brings many bytes, one that only signs. They share
//! credentials, region and address, and differ in how long they wait and by what name they know the server.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::future;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, IdentityCache, ProvideCredentials, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedInterceptor,
    StalledStreamProtectionConfig,
};
use url::Url;

use super::config::{S3Config, S3Credentials, S3Timeouts, UrlStyle};

pub(super) struct Clients {
    /// For what is small.
    pub(super) quick: Client,
    /// For what brings many bytes.
    pub(super) upload: Client,
    /// For what is sent at most once.
    pub(super) once: Client,
    /// Only signs, with the name by which clients reach the server.
    pub(super) presigner: Client,
    pub(super) credentials: WatchedCredentials,
    /// The store's root as clients see it.
    pub(super) base_url: Url,
}

/// Credentials that tell when they end.
#[derive(Clone, Debug)]
pub(super) struct WatchedCredentials {
    inner: SharedCredentialsProvider,
    expires: Arc<RwLock<Option<SystemTime>>>,
}

/// The region of servers that have none.
const REGION_ELSEWHERE: &str = "us-east-1";
/// The first pause before another attempt; each next one may be twice as long, and any is cut by chance.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Credentials are renewed this long before they end, so that what is signed with them lives on for a while.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(120);

impl Clients {
    pub(super) async fn new(config: &S3Config) -> io::Result<Self> {
        let chosen = match &config.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => endpoint_of_the_environment()?,
        };
        let shared = load(config, chosen.as_ref()).await?;
        let endpoint = match (chosen, shared.endpoint_url()) {
            (None, Some(text)) => Some(parsed("the AWS profile's endpoint_url", text)?),
            (chosen, _) => chosen,
        };
        let credentials = credentials(config, &shared)?;
        let builder = aws_sdk_s3::config::Builder::from(&shared)
            .credentials_provider(credentials.clone())
            .identity_cache(
                IdentityCache::lazy()
                    .load_timeout(config.timeouts.credentials)
                    .buffer_time(RENEWED_BEFORE_END)
                    .build(),
            )
            // Every put brings its own checksum in a header. What the SDK would add is refused by many servers.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Bodies that stall are noticed by the one who reads them, and uploads have their attempt's limit.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let mut builder = builder;
        if let Some(metrics) = &config.metrics {
            builder.push_interceptor(SharedInterceptor::new(metrics.clone()));
        }
        let inside = at(builder.clone(), endpoint.as_ref(), config.url_style);
        let outside_endpoint = config.public_endpoint.as_ref().or(endpoint.as_ref());
        let outside = at(builder, outside_endpoint, config.url_style);
        let retry = RetryConfig::standard()
            .with_max_attempts(config.attempts_max.max(1))
            .with_initial_backoff(BACKOFF_FIRST)
            .with_max_backoff(BACKOFF_MAX);
        let client = |builder: Builder, retry: RetryConfig, timeouts: TimeoutConfig| {
            Client::from_conf(builder.retry_config(retry).timeout_config(timeouts).build())
        };
        let (quick, upload) = (quick(&config.timeouts), upload(&config.timeouts));
        Ok(Self {
            once: client(inside.clone(), RetryConfig::disabled(), quick.clone()),
            upload: client(inside.clone(), retry.clone(), upload),
            quick: client(inside, retry, quick.clone()),
            presigner: client(outside, RetryConfig::disabled(), quick),
            credentials,
            base_url: base_url(config, &shared, outside_endpoint).await?,
        })
    }
}

fn at(builder: Builder, endpoint: Option<&Url>, style: UrlStyle) -> Builder {
    let builder = builder.force_path_style(is_path_style(endpoint, style));
    match endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint.as_str().trim_end_matches('/')),
        None => builder,
    }
}

fn is_path_style(endpoint: Option<&Url>, style: UrlStyle) -> bool {
    match style {
        UrlStyle::Auto => endpoint.is_some(),
        UrlStyle::Path => true,
        UrlStyle::VirtualHost => false,
    }
}

fn quick(timeouts: &S3Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.head)
        .operation_attempt_timeout(timeouts.attempt)
        .operation_timeout(timeouts.operation)
        .build()
}

/// Here the head of the answer comes after all bytes have gone.
fn upload(timeouts: &S3Timeouts) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.upload_attempt)
        .operation_attempt_timeout(timeouts.upload_attempt)
        .operation_timeout(timeouts.upload_operation)
        .build()
}

/// The names that AWS's own tools know; the first that is set counts.
fn endpoint_of_the_environment() -> io::Result<Option<Url>> {
    let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let Some((name, text)) =
        names.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)))
    else {
        return Ok(None);
    };
    parsed(name, &text).map(Some)
}

fn parsed(name: &str, text: &str) -> io::Result<Url> {
    text.parse().map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no URL: {error}"))
    })
}

/// What the AWS environment and profile say. Reading them asks nobody; only the region of a machine at AWS, when no
/// other is set, is asked for.
async fn load(config: &S3Config, endpoint: Option<&Url>) -> io::Result<SdkConfig> {
    let chosen = RegionProviderChain::first_try(config.region.clone().map(Region::new));
    let region = match endpoint {
        None => chosen.or_default_provider(),
        Some(_) => chosen
            .or_else(aws_config::environment::EnvironmentVariableRegionProvider::new())
            .or_else(aws_config::profile::ProfileFileRegionProvider::new())
            .or_else(Region::new(REGION_ELSEWHERE)),
    };
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region);
    if let S3Credentials::Static { access_key, secret_key, session_token, expires } =
        &config.credentials
    {
        let mut credentials = Credentials::builder()
            .access_key_id(access_key)
            .secret_access_key(secret_key.reveal())
            .provider_name("configured");
        credentials
            .set_session_token(session_token.as_ref().map(|token| token.reveal().to_owned()));
        credentials.set_expiry(*expires);
        loader = loader.credentials_provider(credentials.build());
    }
    let deadline = config.timeouts.operation;
    let loaded = tokio::time::timeout(deadline, loader.load()).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "the AWS environment did not answer in time")
    })?;
    if loaded.region().is_none() {
        let text = "no region is set, and none is in the AWS environment or profile";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(loaded)
}

fn credentials(config: &S3Config, shared: &SdkConfig) -> io::Result<WatchedCredentials> {
    let inner = shared
        .credentials_provider()
        .ok_or_else(|| io::Error::other("there is no source of AWS credentials"))?;
    let expires = match &config.credentials {
        S3Credentials::Static { expires, .. } => *expires,
        S3Credentials::AwsChain => None,
    };
    Ok(WatchedCredentials { inner, expires: Arc::new(RwLock::new(expires)) })
}

/// The URL that the SDK itself would use, so that it is right in every partition and style.
async fn base_url(
    config: &S3Config,
    shared: &SdkConfig,
    endpoint: Option<&Url>,
) -> io::Result<Url> {
    let params = Params::builder()
        .bucket(config.location.bucket())
        .set_region(shared.region().map(ToString::to_string))
        .set_endpoint(endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()))
        .force_path_style(is_path_style(endpoint, config.url_style))
        .build()
        .map_err(io::Error::other)?;
    let resolved =
        DefaultResolver::new().resolve_endpoint(&params).await.map_err(io::Error::other)?;
    let root = format!("{}/{}", resolved.url().trim_end_matches('/'), config.location.prefix());
    Url::parse(&format!("{}/", root.trim_end_matches('/'))).map_err(io::Error::other)
}

impl WatchedCredentials {
    /// When those that were handed out last end, if they do.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        *self.expires.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProvideCredentials for WatchedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let credentials = self.inner.provide_credentials().await?;
            *self.expires.write().unwrap_or_else(PoisonError::into_inner) = credentials.expiry();
            Ok(credentials)
        })
    }
}
