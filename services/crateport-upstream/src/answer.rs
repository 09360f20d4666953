//! What the head of an answer means. No I/O.

use std::time::{Duration, SystemTime};

use crateport_types::{ResourceKind, Validators};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, DATE, ETAG, LAST_MODIFIED, LOCATION, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, StatusCode, Version};

use crate::request::Request;
use crate::{UpstreamError, UpstreamLimits};

/// The head of an answer and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) host: &'a str,
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
}

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ask there instead; perhaps relative.
    Redirect(String),
    /// 304.
    Unchanged,
    /// 404, 410 or 451.
    Absent,
    /// A body follows.
    Body(Coding),
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Not at all; its size, if it was told.
    Identity(Option<u64>),
    /// gzip.
    Gzip,
}

/// What `head` means as the answer to `request`.
///
/// # Errors
///
/// For every answer that is neither success, absence nor a redirect.
pub(crate) fn judge(
    head: Head<'_>,
    request: &Request,
    limits: &UpstreamLimits,
) -> Result<Verdict, UpstreamError> {
    let invalid = |detail: &str| {
        Err(UpstreamError::Invalid { host: head.host.to_owned(), detail: detail.to_owned() })
    };
    match head.status.as_u16() {
        200 => body(head, request).map(Verdict::Body),
        304 if request.conditional => Ok(Verdict::Unchanged),
        304 => invalid("304 to a request without a condition"),
        404 | 410 | 451 => Ok(Verdict::Absent),
        301 | 302 | 303 | 307 | 308 => match text(head.headers, &LOCATION) {
            Some(location) => Ok(Verdict::Redirect(location.to_owned())),
            None => invalid("a redirect without a location"),
        },
        429 => Err(UpstreamError::RateLimited {
            host: head.host.to_owned(),
            retry_after: retry_after(head.headers, SystemTime::now())
                .unwrap_or(limits.cool_off_default)
                .min(limits.cool_off_max),
        }),
        status @ 400..=599 => Err(UpstreamError::Status {
            host: head.host.to_owned(),
            status,
            retry_after: retry_after(head.headers, SystemTime::now()),
        }),
        status => invalid(&format!("the status {status}")),
    }
}

/// What to ask with the next time, verbatim; an empty tag counts as none.
pub(crate) fn validators(headers: &HeaderMap) -> Validators {
    let kept = |name| text(headers, name).filter(|text| !text.is_empty()).map(Into::into);
    Validators { etag: kept(&ETAG), last_modified: kept(&LAST_MODIFIED) }
}

/// Upstream's clock.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, &DATE)?).ok()
}

fn body(head: Head<'_>, request: &Request) -> Result<Coding, UpstreamError> {
    let invalid = |detail: String| UpstreamError::Invalid { host: head.host.to_owned(), detail };
    let encoding = text(head.headers, &CONTENT_ENCODING).unwrap_or_default().trim();
    let encoded = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
    if encoded && matches!(request.kind, ResourceKind::Krate | ResourceKind::Dist) {
        // It was asked for as it is, and its checksum is that of the file.
        let kind = request.kind.as_str();
        return Err(invalid(format!("a {kind} file with the content encoding `{encoding}`")));
    }
    if encoded {
        let gzip = ["gzip", "x-gzip"].iter().any(|name| encoding.eq_ignore_ascii_case(name));
        return if gzip {
            Ok(Coding::Gzip)
        } else {
            Err(invalid(format!("the content encoding `{encoding}`")))
        };
    }
    let size = text(head.headers, &CONTENT_LENGTH).and_then(|text| text.trim().parse().ok());
    let chunked = head.headers.contains_key(TRANSFER_ENCODING);
    if size.is_none() && !chunked && head.version < Version::HTTP_2 && !request.is_provable {
        // Such a body ends when its connection does, and a cut one looks the same. Only a checksum tells them
        // apart.
        return Err(invalid(
            "neither a length nor chunks, so a cut could not be noticed".to_owned(),
        ));
    }
    match (size, request.size_bytes_max) {
        (Some(size), Some(size_bytes_max)) if size > size_bytes_max => {
            Err(UpstreamError::TooLarge { size_bytes_max })
        }
        _ => Ok(Coding::Identity(size)),
    }
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn judged(
        kind: ResourceKind,
        conditional: bool,
        status: u16,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Verdict, UpstreamError> {
        let request = Request {
            kind,
            url: "https://a.example/".parse().unwrap(),
            headers: HeaderMap::new(),
            conditional,
            size_bytes_max: (kind != ResourceKind::Krate).then_some(100),
            is_provable: kind == ResourceKind::Krate,
        };
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        let head = Head { host: "a", version: Version::HTTP_11, status, headers: &headers };
        judge(head, &request, &UpstreamLimits::default())
    }

    #[test]
    fn only_404_410_and_451_mean_absence_and_only_200_has_a_body() {
        for status in 200..600 {
            for conditional in [true, false] {
                let headers = [("content-length", "1"), ("location", "/x")];
                let verdict = judged(ResourceKind::Index, conditional, status, &headers);
                match status {
                    200 => assert_eq!(verdict.unwrap(), Verdict::Body(Coding::Identity(Some(1)))),
                    301 | 302 | 303 | 307 | 308 => {
                        assert_eq!(verdict.unwrap(), Verdict::Redirect("/x".into()));
                    }
                    304 if conditional => assert_eq!(verdict.unwrap(), Verdict::Unchanged),
                    404 | 410 | 451 => assert_eq!(verdict.unwrap(), Verdict::Absent),
                    429 => assert_eq!(verdict.unwrap_err().kind(), "upstream-rate-limited"),
                    400.. => assert_eq!(verdict.unwrap_err().status(), Some(status)),
                    _ => assert!(matches!(verdict, Err(UpstreamError::Invalid { .. })), "{status}"),
                }
            }
        }
    }

    #[test]
    fn a_body_is_taken_only_in_a_form_whose_end_and_size_are_certain() {
        use ResourceKind::{Index, Krate};
        for (kind, headers, expected) in [
            (Index, vec![("content-encoding", "gzip")], Ok(Coding::Gzip)),
            (Index, vec![("content-encoding", "X-GZIP")], Ok(Coding::Gzip)),
            (Index, vec![("content-encoding", "br")], Err("upstream-invalid")),
            (
                Index,
                vec![("content-encoding", "identity"), ("content-length", "5")],
                Ok(Coding::Identity(Some(5))),
            ),
            (Index, vec![("transfer-encoding", "chunked")], Ok(Coding::Identity(None))),
            (Index, vec![], Err("upstream-invalid")),
            (Index, vec![("content-length", "100")], Ok(Coding::Identity(Some(100)))),
            (Index, vec![("content-length", "101")], Err("too-large")),
            (Krate, vec![("content-length", "101")], Ok(Coding::Identity(Some(101)))),
            (Krate, vec![], Ok(Coding::Identity(None))),
            (Krate, vec![("content-encoding", "gzip")], Err("upstream-invalid")),
        ] {
            let verdict = judged(kind, false, 200, &headers);
            let expected = expected.map(Verdict::Body);
            assert_eq!(verdict.map_err(|error| error.kind()), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_rate_limit_is_believed_within_bounds() {
        for (header, seconds) in [(None, 2), (Some("7"), 7), (Some("3600"), 60), (Some("soon"), 2)]
        {
            let headers: Vec<_> = header.map(|value| ("retry-after", value)).into_iter().collect();
            let error = judged(ResourceKind::Krate, false, 429, &headers).unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let later = httpdate::fmt_http_date(now + Duration::from_secs(30));
        let earlier = httpdate::fmt_http_date(now - Duration::from_secs(30));
        for (value, expected) in [
            ("5", Some(5)),
            (" 5 ", Some(5)),
            (later.as_str(), Some(30)),
            (earlier.as_str(), Some(0)),
            ("-5", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn validators_are_kept_verbatim_and_an_empty_tag_is_none() {
        let headers = HeaderMap::from_iter([
            (ETAG, HeaderValue::from_static("W/\"a\"")),
            (LAST_MODIFIED, HeaderValue::from_static("whenever")),
        ]);
        let kept = validators(&headers);
        assert_eq!(kept.etag.as_deref(), Some("W/\"a\""));
        assert_eq!(kept.last_modified.as_deref(), Some("whenever"));
        let empty = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(""))]);
        assert!(validators(&empty).is_empty());
    }
}
