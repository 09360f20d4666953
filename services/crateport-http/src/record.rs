//! The record of one request: one log line and one count, at its end, however it ends.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crateport_telemetry::logging::{Field, log_request};
use crateport_types::{DeliveryKind, Outcome, Reason, ResourceKind};
use http::{HeaderValue, Method, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use crate::body::BodyError;
use crate::metrics::HttpMetrics;

/// Everything worth knowing of a request. Written when dropped.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) metrics: HttpMetrics,
    pub(crate) began: Instant,
    pub(crate) client: IpAddr,
    pub(crate) protocol: &'static str,
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) user_agent: Option<HeaderValue>,
    /// Empty unless it is a configured one.
    pub(crate) registry: Box<str>,
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
    pub(crate) end: End,
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

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.metrics.in_flight.dec();
        self.metrics.request(&self.registry, self.resource, self.outcome, self.status, duration);
        self.metrics.served(self.resource, self.delivery, self.sent_bytes);
        self.log(duration);
    }
}

impl Record {
    fn log(&self, duration: Duration) {
        let client = self.client.to_string();
        let always = [
            ("client", Field::Word(&client)),
            ("protocol", Field::Word(self.protocol)),
            ("method", Field::Word(self.method.as_str())),
            ("path", Field::Text(&self.path)),
            ("status", Field::Number(self.status.as_u16().into())),
            ("registry", Field::Word(&self.registry)),
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
