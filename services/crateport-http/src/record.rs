//! The record of one request: one log line and one count, at its end, however it ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use crateport_telemetry::TraceIds;
use crateport_telemetry::logging::{Field, log_request};
use crateport_types::{DeliveryKind, Moment, Outcome, Reason, ResourceKind};
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use crate::body::BodyError;
use crate::metrics::{Ended, HttpMetrics};
use crate::report::{Reports, Trouble};

/// Everything worth knowing of a request. Written when dropped.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) metrics: HttpMetrics,
    pub(crate) reports: Reports,
    pub(crate) began: Instant,
    pub(crate) client: IpAddr,
    pub(crate) protocol: &'static str,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) user_agent: Option<HeaderValue>,
    /// The registry or dist origin, if it is a configured one.
    pub(crate) origin: Option<Arc<str>>,
    pub(crate) resource: ResourceKind,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Reason,
    pub(crate) delivery: DeliveryKind,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) status: StatusCode,
    /// From the request's head to the answer's, if there was one.
    pub(crate) answered_after: Option<Duration>,
    /// What went wrong, for the one who reads the log.
    pub(crate) detail: Option<Box<str>>,
    pub(crate) sent_bytes: u64,
    /// The size of what the client was sent elsewhere for.
    pub(crate) redirected_bytes: u64,
    pub(crate) end: End,
    /// Ends with the record.
    pub(crate) span: Span,
    /// One of the requests in flight, until the body is gone.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

/// How the body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it was handed over.
    Whole,
    /// The client left before.
    Left,
    /// It broke off on our side.
    Broken,
}

impl Record {
    /// Takes note of a piece of the body, and of what is left of it, if that is known. Nobody asks a body for its
    /// end when its length says that it is there.
    pub(crate) fn note(
        &mut self,
        piece: Option<&Result<Bytes, BodyError>>,
        left_bytes: Option<u64>,
    ) {
        match piece {
            Some(Ok(piece)) => self.sent_bytes += piece.len() as u64,
            Some(Err(error)) => {
                self.end = End::Broken;
                self.detail = Some(error.to_string().into());
                return;
            }
            None => self.end = End::Whole,
        }
        if left_bytes == Some(0) {
            self.end = End::Whole;
        }
    }
}

impl Record {
    /// Empty unless it is a configured one.
    fn origin(&self) -> &str {
        self.origin.as_deref().unwrap_or_default()
    }

    /// Says in the span how it went. The ids it is exported with are for the log line, which is not written within it:
    /// that would repeat what both say.
    fn tell_span(&self) -> Option<TraceIds> {
        let ids = TraceIds::of(&self.span)?;
        let span = &self.span;
        span.record("http.response.status_code", self.status.as_u16());
        span.record("http.response.body.size", self.sent_bytes);
        span.record("crateport.registry", self.origin());
        span.record("crateport.outcome", self.outcome.as_str());
        span.record("crateport.reason", self.reason.as_str());
        span.record("crateport.delivery", self.delivery.as_str());
        span.record("crateport.end", self.end.as_str());
        if self.status.is_server_error() || self.end == End::Broken {
            span.record("otel.status_code", "ERROR");
        }
        Some(ids)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        let bytes = self.sent_bytes + self.redirected_bytes;
        self.metrics.in_flight().dec();
        self.metrics.count(&Ended {
            registry: self.origin(),
            resource: self.resource,
            outcome: self.outcome,
            status: self.status,
            delivery: self.delivery,
            bytes,
            duration,
            answered_after: self.answered_after,
        });
        self.reports.ended(self.resource, self.outcome, bytes, self.began + duration);
        if self.outcome == Outcome::Unavailable || self.end == End::Broken {
            self.reports.failed(self.trouble());
        }
        let ids = self.tell_span();
        self.log(ids, duration);
    }
}

impl Record {
    /// What is told of a request that failed: nothing of who asked, and no query.
    fn trouble(&self) -> Trouble {
        let now = Moment::of(SystemTime::now());
        let broken = (self.end == End::Broken).then(|| self.end.as_str());
        Trouble {
            first: now,
            last: now,
            count: 1,
            origin: self.origin().to_owned(),
            resource: self.resource.as_str().to_owned(),
            path: self.uri.path().to_owned(),
            status: self.status.as_u16(),
            reason: broken.unwrap_or(self.reason.as_str()).to_owned(),
            upstream_status: self.upstream_status,
            detail: self.detail.as_deref().unwrap_or_default().to_owned(),
        }
    }

    fn log(&self, ids: Option<TraceIds>, duration: Duration) {
        let trace_id = ids.map(|ids| ids.trace_id().to_string());
        let span_id = ids.map(|ids| ids.span_id().to_string());
        let always = [
            ("client", Field::Address(self.client)),
            ("protocol", Field::Word(self.protocol)),
            ("method", Field::Word(self.method.as_str())),
            ("path", Field::Text(self.uri.path())),
            ("status", Field::Number(self.status.as_u16().into())),
            ("registry", Field::Word(self.origin())),
            ("resource", Field::Word(self.resource.as_str())),
            ("outcome", Field::Word(self.outcome.as_str())),
            ("reason", Field::Word(self.reason.as_str())),
            ("delivery", Field::Word(self.delivery.as_str())),
            ("bytes", Field::Number(self.sent_bytes)),
            ("end", Field::Word(self.end.as_str())),
            ("duration_ms", Field::Milliseconds(duration)),
        ];
        let agent = self.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
        let sometimes = [
            trace_id.as_deref().map(|id| ("trace_id", Field::Word(id))),
            span_id.as_deref().map(|id| ("span_id", Field::Word(id))),
            self.upstream_status.map(|status| ("upstream_status", Field::Number(status.into()))),
            self.answered_after.map(|after| ("answered_ms", Field::Milliseconds(after))),
            agent.map(|agent| ("user_agent", Field::Text(agent))),
            self.detail.as_deref().map(|detail| ("detail", Field::Text(detail))),
        ];
        let fields = always.into_iter().chain(sometimes.into_iter().flatten());
        log_request(fields);
    }
}

impl End {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Left => "client-left",
            Self::Broken => "broken",
        }
    }
}
