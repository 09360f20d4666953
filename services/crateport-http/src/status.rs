//! The status table: what a client is told when there is no answer.
//!
//! cargo takes 404 as "does not exist" and retries 5xx and 429, so nothing but upstream's own word may become a 404,
//! and nothing that may pass may become another 4xx. Bodies name no internals and no address.

use std::time::Duration;

use crateport_cache::ServeError;
use crateport_types::{Reason, ResourceKind};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;

/// cargo waits no longer than this, whatever it is asked.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// The status of each error.
pub(crate) fn status(error: &ServeError) -> StatusCode {
    match error {
        ServeError::UnknownRegistry { .. }
        | ServeError::Absent { .. }
        | ServeError::NotOffered { .. } => StatusCode::NOT_FOUND,
        ServeError::Unavailable { failure, .. } => match failure.reason {
            Reason::TooLarge | Reason::UpstreamForbidden => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

/// The whole answer to an error.
pub(crate) fn response(error: &ServeError, resource: ResourceKind) -> Response<Body> {
    let status = status(error);
    let sentence = match error {
        // The detail names hosts and paths: it is for the log. The reason is for the one who asks about it.
        ServeError::Unavailable { what, failure } => {
            format!("{what} cannot be had now: {}", failure.reason.as_str())
        }
        error => error.to_string(),
    };
    let mut response = refusal(status, resource, &sentence);
    if let ServeError::Unavailable { failure, .. } = error
        && status == StatusCode::SERVICE_UNAVAILABLE
    {
        response.headers_mut().insert(RETRY_AFTER, retry_after(failure.retry_after));
    }
    response
}

/// A status with one sentence, in the form that a client of this resource can show.
pub(crate) fn refusal(
    status: StatusCode,
    resource: ResourceKind,
    sentence: &str,
) -> Response<Body> {
    let (content_type, body) = match resource {
        // The form of the web API's errors (the cargo book, "Web API"), which cargo prints.
        ResourceKind::Search => {
            ("application/json", format!("{{\"errors\":[{{\"detail\":{}}}]}}", json(sentence)))
        }
        _ => ("text/plain; charset=utf-8", format!("{sentence}\n")),
    };
    let mut response = Response::new(Body::whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Too much at once.
pub(crate) fn overloaded(resource: ResourceKind) -> Response<Body> {
    let sentence = "too many requests are in flight here; try again in a moment";
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, resource, sentence);
    response.headers_mut().insert(RETRY_AFTER, retry_after(Duration::from_secs(1)));
    response
}

/// Only reading is possible here.
pub(crate) fn method_not_allowed(resource: ResourceKind) -> Response<Body> {
    let sentence =
        "only GET and HEAD are answered here: this is a cache; publish to the registry itself";
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, resource, sentence);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn retry_after(wait: Duration) -> HeaderValue {
    let wait = wait.clamp(Duration::from_secs(1), RETRY_AFTER_MAX);
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(reason: Reason, retry_after: Duration) -> ServeError {
        let failure = crateport_cache::Failure {
            reason,
            detail: "it is down".into(),
            retry_after,
            upstream_status: None,
        };
        ServeError::Unavailable { what: "crate a 1.0.0".into(), failure }
    }

    #[test]
    fn each_error_has_the_status_that_cargo_needs() {
        let second = Duration::from_secs(1);
        let absent =
            |reason| ServeError::Absent { what: "a".into(), reason, upstream_status: None };
        for (error, expected) in [
            (ServeError::UnknownRegistry { id: "x".into() }, 404),
            (ServeError::NotOffered { what: "search".into(), detail: "no api".into() }, 404),
            (absent(Reason::UpstreamAbsent), 404),
            (absent(Reason::RememberedAbsent), 404),
            (absent(Reason::NotInIndex), 404),
            (unavailable(Reason::UpstreamConnect, second), 503),
            (unavailable(Reason::UpstreamTimeout, second), 503),
            (unavailable(Reason::UpstreamCut, second), 503),
            (unavailable(Reason::UpstreamStatus, second), 503),
            (unavailable(Reason::UpstreamRateLimited, second), 503),
            (unavailable(Reason::UpstreamInvalid, second), 503),
            (unavailable(Reason::UpstreamCircuitOpen, second), 503),
            (unavailable(Reason::ChecksumMismatch, second), 503),
            (unavailable(Reason::StoreFailed, second), 503),
            (unavailable(Reason::Overloaded, second), 503),
            (unavailable(Reason::TooLarge, second), 502),
            (unavailable(Reason::UpstreamForbidden, second), 502),
        ] {
            assert_eq!(
                response(&error, ResourceKind::Krate).status().as_u16(),
                expected,
                "{error}"
            );
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_between_one_and_ten() {
        for (wait_ms, expected) in
            [(0, "1"), (200, "1"), (1000, "1"), (1200, "2"), (9_500, "10"), (60_000, "10")]
        {
            let error = unavailable(Reason::UpstreamConnect, Duration::from_millis(wait_ms));
            assert_eq!(response(&error, ResourceKind::Index).headers()[RETRY_AFTER], expected);
        }
    }

    #[tokio::test]
    async fn an_error_of_the_web_api_is_one_that_cargo_prints() {
        let error = ServeError::NotOffered { what: "search".into(), detail: "no \"api\"".into() };
        let body = response(&error, ResourceKind::Search).into_body();
        let bytes = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        assert_eq!(bytes, r#"{"errors":[{"detail":"search is not offered: no \"api\""}]}"#);
    }
}
