//! From the HTTP client's errors to ours.

use std::error::Error;

use crateport_types::RedactedUrl;
use url::Url;

use crate::UpstreamError;
use crate::resolve::AddressesRefused;

/// What it means that a request to `url`, called `host` in errors, ended in `error` before headers came.
pub(crate) fn before_headers(url: &Url, host: &str, error: &reqwest::Error) -> UpstreamError {
    let host = host.to_owned();
    if let Some(refused) = find::<AddressesRefused>(error) {
        let detail = refused.to_string();
        return UpstreamError::Forbidden { url: RedactedUrl(url).to_string(), detail };
    }
    if error.is_connect() {
        let detail = if error.is_timeout() { "no connection in time".into() } else { root(error) };
        return UpstreamError::Connect { host, detail };
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return UpstreamError::Invalid { host, detail: format!("not HTTP: {}", root(error)) };
    }
    UpstreamError::Cut { host, detail: root(error) }
}

/// What it means that a body ended in `error`.
pub(crate) fn in_body(host: &str, error: &reqwest::Error) -> UpstreamError {
    UpstreamError::Cut { host: host.to_owned(), detail: root(error) }
}

/// The innermost cause: the errors around it repeat the URL, which may hold a signature.
fn root(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = None;
    let mut next = error.source();
    while let Some(error) = next {
        innermost = Some(error);
        next = error.source();
    }
    innermost.map_or_else(|| "the request could not be sent".to_owned(), ToString::to_string)
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
