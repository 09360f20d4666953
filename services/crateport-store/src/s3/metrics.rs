//! What happens on the wire below an operation: the SDK repeats what a server refuses, and only it sees that.

use std::sync::Arc;

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Counts the attempts of requests to S3. Clones share it.
#[derive(Clone, Debug)]
pub struct S3Metrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    get: Attempts,
    head: Attempts,
    put: Attempts,
    list: Attempts,
    delete: Attempts,
}

/// Both are there from the start: what was never 0 does not increase.
#[derive(Debug)]
struct Attempts {
    throttled: IntCounter,
    retries: IntCounter,
}

/// What servers call it when they want fewer requests: S3, those who follow it, and what the SDK knows.
const THROTTLED: [&str; 11] = [
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
];
/// The error that is read is at the start of an answer.
const ERROR_BYTES_MAX: usize = 4096;

impl S3Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    ///
    /// When `registry` has them already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["operation"])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let throttled = counter(
            "crateport_store_throttled_total",
            "Answers of the object store that asked for fewer requests, retries included.",
        )?;
        let retries = counter("crateport_store_retries_total", "Attempts beyond the first.")?;
        let attempts = |operation| Attempts {
            throttled: throttled.with_label_values(&[operation]),
            retries: retries.with_label_values(&[operation]),
        };
        Ok(Self(Arc::new(Counters {
            get: attempts("get"),
            head: attempts("head"),
            put: attempts("put"),
            list: attempts("list"),
            delete: attempts("delete"),
        })))
    }

    fn of(&self, config: &ConfigBag) -> &Attempts {
        let Self(counters) = self;
        let operation = config.load::<Metadata>().map_or("", Metadata::name);
        match operation {
            "HeadObject" | "HeadBucket" => &counters.head,
            "ListObjectsV2" | "ListMultipartUploads" | "ListParts" => &counters.list,
            "DeleteObject" | "DeleteObjects" => &counters.delete,
            "PutObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "CompleteMultipartUpload"
            | "AbortMultipartUpload" => &counters.put,
            _ => &counters.get,
        }
    }
}

impl Intercept for S3Metrics {
    fn name(&self) -> &'static str {
        "S3Metrics"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1) {
            self.of(config).retries.inc();
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(response) = context.response() else { return Ok(()) };
        if is_throttled(response.status().as_u16(), response.body().bytes()) {
            self.of(config).throttled.inc();
        }
        Ok(())
    }
}

/// Whether an answer asks for fewer requests. One to HEAD has no body that could say so.
fn is_throttled(status: u16, body: Option<&[u8]>) -> bool {
    let code = || {
        let body = body.unwrap_or_default();
        let text = String::from_utf8_lossy(body.get(..ERROR_BYTES_MAX).unwrap_or(body));
        let (_, rest) = text.split_once("<Code>")?;
        let (code, _) = rest.split_once("</Code>")?;
        Some(code.trim().to_owned())
    };
    match status {
        429 => true,
        503 if body.is_none_or(<[u8]>::is_empty) => true,
        400.. => code().is_some_and(|code| THROTTLED.contains(&code.as_str())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_asks_for_fewer_requests_counts() {
        let error = |code: &str| format!("<?xml?><Error><Code>{code}</Code><Message/></Error>");
        for (status, body, expected) in [
            (200, Some(error("SlowDown")), false),
            (429, None, true),
            (503, None, true),
            (503, Some(String::new()), true),
            (503, Some(error("SlowDown")), true),
            (503, Some(error("SlowDownWrite")), true),
            (503, Some(error("InternalError")), false),
            (500, Some(error("InternalError")), false),
            (400, Some(error("ThrottlingException")), true),
            (404, Some(error("NoSuchKey")), false),
            (503, Some("no such host".to_owned()), false),
        ] {
            assert_eq!(
                is_throttled(status, body.as_deref().map(str::as_bytes)),
                expected,
                "{status} {body:?}"
            );
        }
    }
}
