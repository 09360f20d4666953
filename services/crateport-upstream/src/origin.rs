//! How any origin is asked over HTTP: retries within one deadline, redirects, limits per host, and a circuit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crateport_types::Secret;
use http::header::AUTHORIZATION;
use reqwest::Client;
use tokio::time::{sleep, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};
use url::Url;

use crate::answer::{self, Head, Verdict};
use crate::authorization::Authorization;
use crate::body::{self, Bounds};
use crate::circuit::Failure;
use crate::client::{self, BuildError};
use crate::config::OriginConfig;
use crate::failure;
use crate::guard::Guard;
use crate::host::{Call, Host, Hosts, name_of, now};
use crate::request::Request;
use crate::retry;
use crate::waiting::Stage;
use crate::{Condition, Found, Reply, UpstreamError, UpstreamMetrics};

/// One origin and its other hosts, asked over HTTP/1.1 or h2.
///
/// Requests are retried within one deadline, limited per host, led by redirects only where they may go, and not sent
/// at all while a host is left alone. The condition is that of the root's host.
#[derive(Debug)]
pub(crate) struct Origin {
    config: OriginConfig,
    authorization: Authorization,
    client: Client,
    guard: Arc<Guard>,
    hosts: Hosts,
    root_host: Arc<Host>,
    metrics: UpstreamMetrics,
}

/// One attempt: its number, when it must be over, and when its first byte was sent.
struct Attempt {
    number: u32,
    deadline: Instant,
    sent: Option<Instant>,
}

/// Where one hop of an attempt led.
enum Hop {
    End(Reply),
    Onward(Url),
}

impl Origin {
    /// Gets ready to ask the origin that `config` describes; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When a CA file cannot be read, or the token or the user agent cannot be sent.
    pub(crate) fn new(config: OriginConfig, metrics: UpstreamMetrics) -> Result<Self, BuildError> {
        let guard = Arc::new(Guard::new(&config, client::proxy_names(config.proxy)));
        let client = client::build(&config, &guard)?;
        let authorization = Authorization::new(&config.name, config.token.as_ref())?;
        let hosts = Hosts::new(&config.limits);
        let root_host = hosts.of(&config.root);
        metrics.watch(&config.name, &root_host);
        Ok(Self { config, authorization, client, guard, hosts, root_host, metrics })
    }

    /// Whether a token could be sent.
    pub(crate) fn can_send(&self, token: Option<&Secret>) -> Result<(), BuildError> {
        Authorization::new(&self.config.name, token).map(drop)
    }

    /// Sends another token from the next request on, or none; the one before stays if it cannot be sent.
    pub(crate) fn set_token(&self, token: Option<&Secret>) -> Result<(), BuildError> {
        self.authorization.set(&self.config.name, token)
    }

    /// Asks, with the retries that the deadline allows.
    pub(crate) async fn fetch(&self, request: &Request) -> Result<Reply, UpstreamError> {
        let deadline = now() + self.config.limits.deadline;
        let mut number = 0;
        let mut before: Option<UpstreamError> = None;
        loop {
            let mut attempt = Attempt { number, deadline, sent: None };
            let span = self.span(request, number);
            let result = self.attempt(request, &mut attempt).instrument(span.clone()).await;
            if let Err(error) = &result {
                span.record("error.type", error.kind());
                span.record("otel.status_code", "ERROR");
            }
            if let Some(sent) = attempt.sent {
                let took = now().saturating_duration_since(sent);
                self.metrics.attempted(&self.config.name, request.kind, &result, took);
            }
            let error = match (result, before.take()) {
                (Ok(reply), _) => return Ok(reply),
                // That the host is left alone now is what the error before it led to, and says less.
                (Err(_), Some(before)) if attempt.sent.is_none() => return Err(before),
                (Err(error), _) => error,
            };
            let left = deadline.saturating_duration_since(now());
            let chance = fastrand::f64();
            let Some(delay) = retry::delay(&error, number, left, chance, &self.config.limits)
            else {
                return Err(error);
            };
            tracing::debug!(registry = %self.config.name, %error, ?delay, "asking upstream again");
            sleep(delay).await;
            before = Some(error);
            number += 1;
        }
    }

    /// How the root's host has been lately.
    pub(crate) fn condition(&self) -> Condition {
        self.root_host.condition()
    }

    /// The span of one attempt. A path may be long and a query secret, so it says what was asked for and of whom.
    fn span(&self, request: &Request, number: u32) -> Span {
        info_span!(
            "upstream",
            otel.kind = "client",
            otel.name = %format_args!("upstream {}", request.kind.as_str()),
            otel.status_code = Empty,
            http.request.method = "GET",
            http.request.resend_count = number,
            http.response.status_code = Empty,
            server.address = request.url.host_str(),
            error.r#type = Empty,
            crateport.registry = &*self.config.name,
            crateport.resource = request.kind.as_str(),
        )
    }

    /// One attempt, redirects included.
    async fn attempt(
        &self,
        request: &Request,
        attempt: &mut Attempt,
    ) -> Result<Reply, UpstreamError> {
        self.guard.check(&request.url, None)?;
        let mut url = request.url.clone();
        for _ in 0..=self.config.limits.redirects_max {
            let call = self.enter(&url, attempt).await?;
            match self.hop(&url, request, call, attempt).await? {
                Hop::End(reply) => return Ok(reply),
                Hop::Onward(next) => {
                    self.guard.check(&next, Some(&url))?;
                    url = next;
                }
            }
        }
        let redirects_max = self.config.limits.redirects_max;
        Err(UpstreamError::Invalid {
            host: name_of(&url),
            detail: format!("more than {redirects_max} redirects"),
        })
    }

    async fn enter(&self, url: &Url, attempt: &Attempt) -> Result<Call, UpstreamError> {
        let host = self.hosts.of(url);
        let began = now();
        let entered = timeout_at(attempt.deadline.into(), host.enter()).await;
        entered.unwrap_or_else(|_| Err(timeout(host.name(), now().duration_since(began))))
    }

    /// Sends one request and reads the head of its answer.
    async fn hop(
        &self,
        url: &Url,
        request: &Request,
        call: Call,
        attempt: &mut Attempt,
    ) -> Result<Hop, UpstreamError> {
        let began = now();
        let sent = *attempt.sent.get_or_insert(began);
        let until = attempt.deadline.min(sent + self.config.limits.answer_timeout);
        let mut headers = request.headers.clone();
        if let Some(pass_context) = self.config.pass_context {
            pass_context(&mut headers);
        }
        let mut outgoing = self.client.get(url.clone()).headers(headers);
        if self.guard.gets_token(url)
            && let Some(token) = self.authorization.current()
        {
            outgoing = outgoing.header(AUTHORIZATION, token);
        }
        let answer = {
            let _wait = call.wait(Stage::Answer);
            timeout_at(until.into(), outgoing.send()).await
        };
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let error = failure::before_headers(url, call.host(), &error);
                return Err(self.report(call, error, attempt, now().duration_since(began)));
            }
            Err(_) => {
                let waited = now().duration_since(began);
                let error = timeout(call.host(), waited);
                return Err(self.report(call, error, attempt, waited));
            }
        };
        Span::current().record("http.response.status_code", response.status().as_u16());
        let head = Head {
            host: call.host(),
            version: response.version(),
            status: response.status(),
            headers: response.headers(),
        };
        let coding = match answer::judge(head, request, &self.config.limits) {
            Ok(Verdict::Body(coding)) => coding,
            Ok(Verdict::Unchanged) => {
                call.completed();
                return Ok(Hop::End(Reply::Unchanged));
            }
            Ok(Verdict::Absent) => {
                call.completed();
                return Ok(Hop::End(Reply::Absent));
            }
            Ok(Verdict::Redirect(location)) => {
                let host = call.host().to_owned();
                call.completed();
                let next = url.join(&location).map_err(|error| UpstreamError::Invalid {
                    host,
                    detail: format!("a redirect to what is no URL: {error}"),
                })?;
                return Ok(Hop::Onward(next));
            }
            Err(error) => {
                return Err(self.report(call, error, attempt, now().duration_since(began)));
            }
        };
        call.answered();
        let validators = answer::validators(response.headers());
        let date = answer::date(response.headers());
        let size_bytes = match coding {
            answer::Coding::Identity(size_bytes) => size_bytes,
            answer::Coding::Gzip => None,
        };
        let bounds = Bounds {
            idle_timeout: self.config.limits.idle_timeout,
            size_bytes_max: request.size_bytes_max,
        };
        let body = body::stream(response, call, coding, bounds);
        Ok(Hop::End(Reply::Found(Found { size_bytes, validators, date, body })))
    }

    /// Tells the host's circuit what `error` says about the host.
    fn report(
        &self,
        call: Call,
        error: UpstreamError,
        attempt: &Attempt,
        waited: Duration,
    ) -> UpstreamError {
        match &error {
            UpstreamError::Connect { .. } | UpstreamError::Cut { .. } => {
                call.failed(Failure::Unanswered);
            }
            // When the deadline left it no time, the host is not to blame.
            UpstreamError::Timeout { .. } if waited >= self.config.limits.slow_after => {
                call.failed(Failure::Unanswered);
            }
            // One file that upstream cannot serve must not close the whole registry: the retries of a request do
            // not count, only further requests do.
            UpstreamError::Status { status: 500.., .. } if attempt.number == 0 => {
                call.failed(Failure::Unanswered);
            }
            UpstreamError::Status { status, .. } if *status < 500 => call.completed(),
            UpstreamError::RateLimited { retry_after, .. } => call.limited(*retry_after),
            UpstreamError::Timeout { .. }
            | UpstreamError::Status { .. }
            | UpstreamError::CircuitOpen { .. }
            | UpstreamError::Invalid { .. }
            | UpstreamError::Forbidden { .. }
            | UpstreamError::TooLarge { .. }
            | UpstreamError::Offline => drop(call),
        }
        error
    }
}

fn timeout(host: &str, waited: Duration) -> UpstreamError {
    UpstreamError::Timeout { host: host.to_owned(), waited }
}
