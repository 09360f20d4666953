//! Validators out and conditional requests in.

use std::time::{Duration, SystemTime};

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};

use super::registry::Stored;
use crate::krate::sha256_hex;

/// 2024-01-01T00:00:00Z. Each revision is one second later, so that two changes never share a `Last-Modified`.
const FIRST_MODIFIED_UNIX_SECONDS: u64 = 1_704_067_200;
const TAG_DIGITS: usize = 32;

/// Which validators the upstream sends; it honours exactly those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validators {
    /// `ETag: "…"` and `Last-Modified`, as crates.io sends them uncompressed.
    Strong,
    /// `ETag: W/"…"` and `Last-Modified`.
    Weak,
    /// No `ETag`.
    LastModifiedOnly,
    /// Neither, and never a 304.
    None,
    /// Strong and weak by turns, as two content networks in front of one bucket do.
    Flapping,
}

impl Validators {
    /// The headers for a file. `turn` is what flapping flaps with.
    pub(super) fn headers(self, stored: &Stored, turn: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let strong = tag(stored);
        let etag = match self {
            Self::Strong => Some(strong),
            Self::Weak => Some(format!("W/{strong}")),
            Self::Flapping => {
                Some(if turn.is_multiple_of(2) { strong } else { format!("W/{strong}") })
            }
            Self::LastModifiedOnly | Self::None => None,
        };
        if let Some(etag) = etag {
            headers.insert(ETAG, HeaderValue::try_from(etag).expect("hex in quotes"));
        }
        if self != Self::None {
            let date = httpdate::fmt_http_date(last_modified(stored));
            headers.insert(LAST_MODIFIED, HeaderValue::try_from(date).expect("a date is ASCII"));
        }
        headers
    }

    /// Whether the client has this file already. `If-None-Match` decides alone where it stands (RFC 9110, 13.2.2).
    pub(super) fn match_request(self, stored: &Stored, request: &HeaderMap) -> bool {
        let text = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (self, text(IF_NONE_MATCH)) {
            (Self::None, _) => false,
            (Self::LastModifiedOnly, Some(_)) => false,
            (_, Some(tags)) => {
                let ours = tag(stored);
                tags.split(',')
                    .map(str::trim)
                    .any(|theirs| theirs == "*" || theirs.trim_start_matches("W/") == ours)
            }
            (_, None) => {
                let since =
                    text(IF_MODIFIED_SINCE).and_then(|date| httpdate::parse_http_date(date).ok());
                since.is_some_and(|since| since >= last_modified(stored))
            }
        }
    }
}

fn tag(stored: &Stored) -> String {
    let hash = sha256_hex(&stored.bytes);
    format!("\"{}\"", &hash[..TAG_DIGITS])
}

fn last_modified(stored: &Stored) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(FIRST_MODIFIED_UNIX_SECONDS + stored.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_honours_what_it_sends() {
        let stored = Stored { bytes: "x".into(), revision: 7 };
        let tag = tag(&stored);
        let date = httpdate::fmt_http_date(last_modified(&stored));
        let older = httpdate::fmt_http_date(last_modified(&stored) - Duration::from_secs(1));
        let (weak, list) = (format!("W/{tag}"), format!("\"other\", {tag}"));
        use Validators::{Flapping, LastModifiedOnly, None, Strong, Weak};
        let table = [
            (Strong, IF_NONE_MATCH, tag.as_str(), true),
            (Strong, IF_NONE_MATCH, &weak, true),
            (Strong, IF_NONE_MATCH, &list, true),
            (Strong, IF_NONE_MATCH, "*", true),
            (Strong, IF_NONE_MATCH, "\"other\"", false),
            (Weak, IF_NONE_MATCH, &weak, true),
            (Flapping, IF_NONE_MATCH, &tag, true),
            (LastModifiedOnly, IF_NONE_MATCH, &tag, false),
            (LastModifiedOnly, IF_MODIFIED_SINCE, &date, true),
            (LastModifiedOnly, IF_MODIFIED_SINCE, &older, false),
            (None, IF_NONE_MATCH, "*", false),
            (None, IF_MODIFIED_SINCE, &date, false),
        ];
        for (validators, name, value, matches) in table {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(
                validators.match_request(&stored, &headers),
                matches,
                "{validators:?} {value}"
            );
        }
        let etags =
            (0..4).map(|turn| Flapping.headers(&stored, turn)[ETAG].clone()).collect::<Vec<_>>();
        assert_eq!(
            etags,
            [&tag, &weak, &tag, &weak].map(|etag| HeaderValue::from_str(etag).unwrap())
        );
    }
}
