//! From an answer of the cache to a response: conditions, encodings, ranges and headers.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use crateport_cache::{
    Answer, Failure, IndexCopy, Payload, PresignedUrl, SpoolError, SpoolReader, StoredObject,
};
use crateport_types::{
    BaseUrl, ByteRange, DeliveryKind, ETag, IfNoneMatch, RangeRequest, RegistryConfig, Resource,
};
use futures_util::Stream;
use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    LOCATION, RANGE, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};

use crate::body::{Body, BodyError};
use crate::encoding::accepts_gzip;

/// What of a request decides the form of its answer.
pub(crate) struct Form<'a> {
    pub(crate) method: &'a Method,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) base: &'a (dyn Fn() -> BaseUrl + Sync),
    pub(crate) registry: &'a str,
    pub(crate) resource: &'a Resource,
}

impl Form<'_> {
    /// The response, and how its bytes leave.
    pub(crate) async fn respond(
        &self,
        answer: Answer,
    ) -> Result<(Response<Body>, DeliveryKind), Failure> {
        let delivery = answer.payload.delivery();
        let mut response = match answer.payload {
            Payload::Config(upstream) => self.config(&upstream),
            Payload::Index(copy) => self.index(&copy).await,
            Payload::Stored(object) => self.stored(object).await?,
            Payload::Redirect(url) => return Ok((redirect(&url), delivery)),
            Payload::Spool(reader) => self.spool(reader).await?,
            Payload::Json(bytes) | Payload::Sum(bytes) => Response::new(Body::whole(bytes)),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.resource.content_type()));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static(self.resource.cache_class().cache_control()),
        );
        if let Some(age) = answer.age {
            headers.insert(AGE, age.as_secs().into());
        }
        Ok((response, delivery))
    }

    fn config(&self, upstream: &RegistryConfig) -> Response<Body> {
        let ours = RegistryConfig::ours(&(self.base)(), self.registry, upstream);
        // A struct of texts always serializes.
        Response::new(Body::whole(serde_json::to_vec(&ours).unwrap_or_default().into()))
    }

    async fn index(&self, copy: &IndexCopy) -> Response<Body> {
        let gzip = accepts_gzip(self.headers);
        let etag = if gzip { copy.etag().gzip() } else { copy.etag().clone() };
        let mut response = if self.not_modified(&etag, copy.modified()) {
            not_modified()
        } else if gzip {
            let mut response = Response::new(Body::whole(copy.gzip().await));
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        } else {
            Response::new(Body::whole(copy.bytes().clone()))
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        validators(response.headers_mut(), &etag, copy.modified());
        response
    }

    async fn stored(&self, object: StoredObject) -> Result<Response<Body>, Failure> {
        let etag = ETag::of(&object.checksum());
        let (modified, size_bytes) = (object.modified(), object.size_bytes());
        let mut response = if self.not_modified(&etag, modified) {
            not_modified()
        } else {
            match self.range(&etag, modified, size_bytes) {
                RangeRequest::Whole => Response::new(Body::pieces(object.read(), Some(size_bytes))),
                RangeRequest::Part(part) => {
                    partial(object.read_part(part.clone()).await?, &part, size_bytes)
                }
                RangeRequest::Unsatisfiable => unsatisfiable(size_bytes),
            }
        };
        response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        validators(response.headers_mut(), &etag, modified);
        Ok(response)
    }

    /// The bytes of a fill, once there are any: one that fails before is a 503, which every client understands.
    /// Without a length they need a framing that shows where they end, which HTTP/1.0 has not: such a client waits
    /// until the length is known, or until it is known that there will be none.
    async fn spool(&self, mut reader: SpoolReader) -> Result<Response<Body>, Failure> {
        let ready = if self.version < Version::HTTP_11 && reader.size_bytes().is_none() {
            reader.ended().await
        } else {
            reader.begun().await
        };
        ready.map_err(|SpoolError(failure)| failure)?;
        let Some(size_bytes) = reader.size_bytes() else {
            return Ok(Response::new(Body::pieces(reader.into_stream(), None)));
        };
        // Nothing was told of these bytes yet by which a client could know them again.
        let range = if self.headers.contains_key(IF_RANGE) { None } else { self.asked_range() };
        let mut response = match range.map_or(RangeRequest::Whole, |range| range.of(size_bytes)) {
            RangeRequest::Whole => {
                Response::new(Body::pieces(reader.into_stream(), Some(size_bytes)))
            }
            RangeRequest::Part(part) => partial(reader.into_part(part.clone()), &part, size_bytes),
            RangeRequest::Unsatisfiable => unsatisfiable(size_bytes),
        };
        response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(response)
    }

    /// RFC 9110, section 13.2.2: `If-Modified-Since` counts only without `If-None-Match`.
    fn not_modified(&self, etag: &ETag, modified: SystemTime) -> bool {
        if self.headers.contains_key(IF_NONE_MATCH) {
            let values = self
                .headers
                .get_all(IF_NONE_MATCH)
                .into_iter()
                .filter_map(|value| value.to_str().ok());
            return values.into_iter().any(|value| IfNoneMatch::new(value).matches(etag));
        }
        let since = self.headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
        let since = since.and_then(|since| httpdate::parse_http_date(since).ok());
        since.is_some_and(|since| whole_seconds(modified) <= whole_seconds(since))
    }

    fn range(&self, etag: &ETag, modified: SystemTime, size_bytes: u64) -> RangeRequest {
        let text =
            |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let current = text(IF_RANGE).is_none_or(|condition| {
            condition == etag.as_str() || condition == httpdate::fmt_http_date(modified)
        });
        let range = if current { self.asked_range() } else { None };
        range.map_or(RangeRequest::Whole, |range| range.of(size_bytes))
    }

    fn asked_range(&self) -> Option<ByteRange> {
        let range = self.headers.get(RANGE).and_then(|value| value.to_str().ok());
        range.filter(|_| *self.method == Method::GET).and_then(ByteRange::parse)
    }
}

/// 206 with a part of an object of `size_bytes`.
fn partial<E: Into<BodyError> + 'static>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    part: &Range<u64>,
    size_bytes: u64,
) -> Response<Body> {
    let mut response = Response::new(Body::pieces(pieces, Some(part.end - part.start)));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let content_range = format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1);
    insert_text(response.headers_mut(), CONTENT_RANGE, &content_range);
    response
}

fn unsatisfiable(size_bytes: u64) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    insert_text(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size_bytes}"));
    response
}

/// The address of the object in the store. It is signed and has an end, so nobody may keep it.
fn redirect(url: &PresignedUrl) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::FOUND;
    insert_text(response.headers_mut(), LOCATION, url.reveal());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn validators(headers: &mut HeaderMap, etag: &ETag, modified: SystemTime) {
    insert_text(headers, ETAG, etag.as_str());
    insert_text(headers, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
}

/// Texts of our own making are legal header values.
fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The same head, and no body; the length stays that of the body.
pub(crate) fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(size_bytes) = body.size_bytes()
        && head.status != StatusCode::NOT_MODIFIED
    {
        head.headers.insert(CONTENT_LENGTH, size_bytes.into());
    }
    Response::from_parts(head, Body::default())
}

fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
