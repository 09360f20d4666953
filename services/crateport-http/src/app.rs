//! The service behind the main listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crateport_cache::uses::Client;
use crateport_cache::{Cache, Redirects, ServeError};
use crateport_telemetry::accept_context;
use crateport_types::{
    CacheClass, DeliveryKind, DistId, Outcome, Reason, RegistryId, Resource, ResourceKind, StoreKey,
};
use crateport_upstream::Condition;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::base::BasePolicy;
use crate::body::Body;
use crate::listen::ConnectionInfo;
use crate::metrics::HttpMetrics;
use crate::record::{End, Record};
use crate::report::Reports;
use crate::respond::{Form, without_body};
use crate::route::Route;
use crate::{installer, page, status};

/// How the main listener answers.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// How clients are told of this Crateport's address.
    pub base: BasePolicy,
    /// The name of this replica, in `x-served-by`.
    pub replica: String,
    /// Requests in flight; what comes beyond is asked to come back.
    pub requests_max: usize,
}

/// The service behind the main listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cache: Cache,
    pub(crate) reports: Reports,
    /// What requests may name first in their paths: of registries, and of dist origins.
    registries: Vec<RegistryId>,
    dists: Vec<DistId>,
    base: BasePolicy,
    replica: HeaderValue,
    is_offline: bool,
    requests: Arc<Semaphore>,
    metrics: HttpMetrics,
}

/// An answer on its way, and what its record must say of it.
struct Made {
    response: Response<Body>,
    /// The id of a configured registry or dist origin.
    origin: Option<Arc<str>>,
    resource: ResourceKind,
    outcome: Outcome,
    reason: Reason,
    delivery: DeliveryKind,
    upstream_status: Option<u16>,
    redirected_bytes: u64,
    detail: Option<Box<str>>,
}

/// The status in logs and metrics of a request whose client left before there was an answer, as nginx has it.
const CLIENT_LEFT: u16 = 499;

/// Asks for the bytes themselves, as in `…/download?delivery=stream`.
const STREAM: &str = "delivery=stream";

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// Says `offline` where upstream is never asked.
const X_CRATEPORT_MODE: HeaderName = HeaderName::from_static("x-crateport-mode");

impl App {
    /// A service on top of `cache` that counts for `reports`.
    ///
    /// # Errors
    ///
    /// When `metrics` has the metrics of requests already.
    pub fn new(
        cache: Cache,
        config: AppConfig,
        reports: Reports,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let replica =
            HeaderValue::from_str(&config.replica).unwrap_or(HeaderValue::from_static("crateport"));
        let registries: Vec<_> = cache.registries().map(|(id, _)| id.clone()).collect();
        Ok(Self(Arc::new(Shared {
            dists: cache.dists().map(|(id, _)| id.clone()).collect(),
            is_offline: cache.registries().any(|(_, condition)| condition == Condition::Offline)
                || cache.dists().any(|(_, condition)| condition == Condition::Offline),
            reports,
            cache,
            base: config.base,
            replica,
            requests: Arc::new(Semaphore::new(config.requests_max)),
            metrics: HttpMetrics::register(metrics, registries.clone())?,
            registries,
        })))
    }
}

impl<B> tower::Service<Request<B>> for App {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// The body of a request is never read: nothing that is answered here has one.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (shared, (head, _)) = (Arc::clone(&self.0), request.into_parts());
        Box::pin(async move { Ok(shared.answer(head).await) })
    }
}

impl Shared {
    async fn answer(self: Arc<Self>, head: Parts) -> Response<Body> {
        let began = Instant::now();
        self.metrics.in_flight().inc();
        let is_dist = |id: &str| self.dists.iter().any(|known| known.as_str() == id);
        let route = Route::of(head.uri.path(), head.uri.query(), is_dist);
        let kind = route.kind();
        let permit = Arc::clone(&self.requests).try_acquire_owned().ok();
        let is_admitted = permit.is_some();
        // From here on the request is recorded, even if its client leaves while the answer is made.
        let mut record = Box::new(self.record(&head, kind, began, permit));
        let mut made = if is_admitted {
            record.span = request_span(&head, kind);
            self.route(&head, route).instrument(record.span.clone()).await
        } else {
            let response = status::overloaded(kind);
            Made::of(response, kind, Outcome::Unavailable, Reason::Overloaded)
        };
        if head.method == Method::HEAD {
            made.response = without_body(made.response);
        }
        let headers = made.response.headers_mut();
        headers.reserve(2);
        headers.insert(X_CACHE, HeaderValue::from_static(made.outcome.as_str()));
        headers.insert(X_SERVED_BY, self.replica.clone());
        if self.is_offline {
            headers.insert(X_CRATEPORT_MODE, HeaderValue::from_static("offline"));
        }
        let response = made.describe(&mut record);
        response.map(|body| body.recorded(record))
    }

    async fn route(&self, head: &Parts, route: Route<'_>) -> Made {
        let kind = route.kind();
        let refused = |response| Made::of(response, kind, Outcome::Refused, Reason::BadRequest);
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return refused(status::method_not_allowed(kind));
        }
        match route {
            Route::Registry { registry, resource } => self.serve(head, registry, resource).await,
            Route::Page => {
                let base = self.base.base(&head.uri, &head.headers, &connection(head));
                Made::of(page::response(self, &base), kind, Outcome::Hit, Reason::Own)
            }
            Route::Installer => {
                let base = self.base.base(&head.uri, &head.headers, &connection(head));
                let response = installer::response(&base, &self.registries);
                Made::of(response, kind, Outcome::Hit, Reason::Own)
            }
            Route::Api { registry } => {
                let sentence = format!(
                    "this is a cache of `{registry}`: it passes on searches and no other call"
                );
                refused(status::refusal(StatusCode::NOT_FOUND, kind, &sentence))
            }
            Route::Nowhere { why } => refused(status::refusal(StatusCode::NOT_FOUND, kind, &why)),
        }
    }

    async fn serve(&self, head: &Parts, registry: &str, resource: Resource) -> Made {
        let kind = resource.kind();
        let known = self.known(registry);
        let answer = match self.cache.serve(registry, &resource, redirects(head)).await {
            Ok(answer) => answer,
            Err(error) => return Made { origin: known, ..Made::failed(&error, kind) },
        };
        // Made for the one resource that tells it.
        let base = || self.base.base(&head.uri, &head.headers, &connection(head));
        let form = Form {
            method: &head.method,
            version: head.version,
            headers: &head.headers,
            base: &base,
            registry,
            resource: &resource,
        };
        if let Some(key) = used(&head.method, &resource, registry) {
            self.cache.record_use(key, self.user(head));
            if let Resource::Krate { name, .. } = &resource {
                self.reports.fetched(registry, name, Instant::now());
            }
        }
        let (outcome, reason, upstream_status) =
            (answer.outcome, answer.reason, answer.upstream_status);
        let redirected_bytes = answer.redirected_bytes();
        match form.respond(answer).await {
            Ok((response, delivery)) => {
                let made = Made::of(response, kind, outcome, reason);
                Made { origin: known, delivery, upstream_status, redirected_bytes, ..made }
            }
            Err(failure) => {
                let error =
                    ServeError::Unavailable { what: format!("this {}", kind.as_str()), failure };
                Made { origin: known, ..Made::failed(&error, kind) }
            }
        }
    }

    /// Who asks, for the record of uses.
    fn user(&self, head: &Parts) -> Client {
        let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Client {
            address: Some(self.base.client(&head.headers, &connection(head))),
            user_agent: agent.map(Into::into),
            token_name: None,
        }
    }

    /// The id, if it is configured: only then may it be a metric's label.
    fn known(&self, id: &str) -> Option<Arc<str>> {
        let registry = self.registries.iter().find(|known| known.as_str() == id);
        let dist = || self.dists.iter().find(|known| known.as_str() == id);
        registry.map(RegistryId::shared).or_else(|| dist().map(DistId::shared))
    }

    /// What is known before there is an answer. Should there never be one, the client has left.
    fn record(
        &self,
        head: &Parts,
        resource: ResourceKind,
        began: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Record {
        let connection = connection(head);
        Record {
            metrics: self.metrics.clone(),
            reports: self.reports.clone(),
            began,
            client: self.base.client(&head.headers, &connection),
            protocol: connection.protocol.as_str(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            user_agent: head.headers.get(USER_AGENT).cloned(),
            origin: None,
            resource,
            outcome: Outcome::Unavailable,
            reason: Reason::UpstreamSlow,
            delivery: DeliveryKind::Empty,
            upstream_status: None,
            status: StatusCode::from_u16(CLIENT_LEFT).unwrap_or_default(),
            span: Span::none(),
            answered_after: None,
            detail: None,
            sent_bytes: 0,
            redirected_bytes: 0,
            end: End::Left,
            _permit: permit,
        }
    }
}

impl Made {
    fn of(
        response: Response<Body>,
        resource: ResourceKind,
        outcome: Outcome,
        reason: Reason,
    ) -> Self {
        Self {
            response,
            origin: None,
            resource,
            outcome,
            reason,
            delivery: DeliveryKind::Memory,
            upstream_status: None,
            redirected_bytes: 0,
            detail: None,
        }
    }

    fn failed(error: &ServeError, resource: ResourceKind) -> Self {
        let response = status::response(error, resource);
        let made = Self::of(response, resource, error.outcome(), error.reason());
        let detail = (error.outcome() == Outcome::Unavailable).then(|| error.to_string().into());
        Self { upstream_status: error.upstream_status(), detail, ..made }
    }

    /// Fills the record in, and leaves the response.
    fn describe(self, record: &mut Record) -> Response<Body> {
        record.origin = self.origin;
        record.resource = self.resource;
        record.outcome = self.outcome;
        record.reason = self.reason;
        record.delivery = match (self.delivery, self.response.body().size_bytes()) {
            (DeliveryKind::Redirect, _) => DeliveryKind::Redirect,
            (_, Some(0)) => DeliveryKind::Empty,
            (delivery, _) => delivery,
        };
        record.redirected_bytes = self.redirected_bytes;
        record.upstream_status = self.upstream_status;
        record.status = self.response.status();
        record.answered_after = Some(record.began.elapsed());
        record.detail = self.detail;
        self.response
    }
}

impl Route<'_> {
    fn kind(&self) -> ResourceKind {
        match self {
            Self::Registry { resource, .. } => resource.kind(),
            Self::Api { .. } => ResourceKind::Search,
            Self::Page | Self::Installer | Self::Nowhere { .. } => ResourceKind::Page,
        }
    }
}

/// One span per request, part of the trace that the client began, if it did. It lasts until the body is gone, and is
/// told then how that went: see [`Record`].
fn request_span(head: &Parts, resource: ResourceKind) -> Span {
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = %format_args!("{} {}", head.method, resource.as_str()),
        otel.status_code = Empty,
        http.request.method = %head.method,
        url.path = head.uri.path(),
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        crateport.registry = Empty,
        crateport.resource = resource.as_str(),
        crateport.outcome = Empty,
        crateport.reason = Empty,
        crateport.delivery = Empty,
        crateport.end = Empty,
    );
    if !span.is_disabled() {
        accept_context(&head.headers, &span);
    }
    span
}

/// A URL of the store is signed for GET alone, so HEAD is answered here; and whoever cannot follow redirects may say
/// so in the query.
fn redirects(head: &Parts) -> Redirects {
    let stream = head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == STREAM));
    if stream || head.method == Method::HEAD { Redirects::Unwanted } else { Redirects::Followed }
}

/// The object that this request uses: what changes is asked for too often, and HEAD pulls nothing.
fn used(method: &Method, resource: &Resource, id: &str) -> Option<StoreKey> {
    if method != Method::GET || resource.cache_class() != CacheClass::Immutable {
        return None;
    }
    match resource {
        Resource::Dist(path) if path.sum_of().is_some() => None,
        Resource::Dist(path) => Some(StoreKey::dist_file(&id.parse().ok()?, path)),
        resource => resource.key(&id.parse().ok()?),
    }
}

/// The listener says how the connection came about; behind anything else, nothing is known of it.
fn connection(head: &Parts) -> ConnectionInfo {
    head.extensions.get().copied().unwrap_or(ConnectionInfo {
        peer: ([0, 0, 0, 0], 0).into(),
        local: ([127, 0, 0, 1], 80).into(),
        protocol: crate::listen::Protocol::Http1,
        tls: false,
    })
}
