//! Hands hyper's requests to the service: with the connection's information, counted as in flight, or answered with
//! 101 when the connection goes over to HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tower::util::Oneshot;

use super::ConnectionInfo;
use super::activity::{Activity, InFlight, Phase};
use super::body::{RequestBody, ResponseBody};
use super::farewell::Farewell;
use super::h2c::{self, FirstRequest};

/// What a service must be to stand behind a listener. An axum `Router` is one.
pub trait HttpService:
    tower::Service<
        Request<RequestBody>,
        Response = Response<<Self as HttpService>::Body>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses; its default is the empty body.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Default
        + Send
        + 'static;
}

impl<S, B> HttpService for S
where
    S: tower::Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Default
        + Send
        + 'static,
{
    type Body = B;
}

/// The service as one connection sees it.
#[derive(Debug, Clone)]
pub(crate) struct Adapter<S> {
    pub(crate) service: S,
    pub(crate) info: ConnectionInfo,
    pub(crate) activity: Arc<Activity>,
    pub(crate) body_timeout: Duration,
    pub(crate) upgrades: Upgrades,
    /// Over HTTP/1, where only answers can tell of it.
    pub(crate) farewell: Option<Farewell>,
}

/// Whether requests of this connection may take it over to HTTP/2.
#[derive(Debug, Clone)]
pub(crate) enum Upgrades {
    /// They may: what is needed to go on is left in the slot.
    Offered { header_bytes_max: u32, slot: UpgradeSlot },
    /// It already is HTTP/2, or it is TLS, where ALPN decides.
    Refused,
}

/// Where an accepted upgrade waits for the HTTP/1 side of its connection to end.
pub(crate) type UpgradeSlot = Arc<Mutex<Option<AcceptedUpgrade>>>;

/// An upgrade that was answered with 101.
#[derive(Debug)]
pub(crate) struct AcceptedUpgrade {
    pub(crate) transport: OnUpgrade,
    pub(crate) first_request: FirstRequest,
}

pin_project! {
    #[project = CallProjection]
    pub(crate) enum Call<S>
    where
        S: HttpService,
    {
        Serve {
            #[pin]
            response: Oneshot<S, Request<RequestBody>>,
            in_flight: Option<InFlight>,
            farewell: Option<Farewell>,
        },
        Switch {
            response: Option<Response<ResponseBody<S::Body>>>,
        },
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for Adapter<S> {
    type Response = Response<ResponseBody<S::Body>>;
    type Error = Infallible;
    type Future = Call<S>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.begin_request();
        if request.headers().contains_key(UPGRADE) && self.accept_upgrade(&mut request) {
            return Call::Switch { response: Some(switching_protocols()) };
        }
        request.extensions_mut().insert(self.info);
        let request = request.map(|incoming| RequestBody::new(incoming, self.body_timeout));
        Call::Serve {
            response: Oneshot::new(self.service.clone(), request),
            in_flight: Some(in_flight),
            farewell: self.farewell.clone(),
        }
    }
}

impl<S> Adapter<S> {
    /// Takes the connection over to HTTP/2 if the request asks for it properly.
    fn accept_upgrade(&self, request: &mut Request<Incoming>) -> bool {
        let Upgrades::Offered { header_bytes_max, slot } = &self.upgrades else { return false };
        if self.activity.phase() != Phase::Serving || !request.body().is_end_stream() {
            return false;
        }
        let Some(first_request) = h2c::first_request(request, *header_bytes_max) else {
            return false;
        };
        let transport = hyper::upgrade::on(request);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(AcceptedUpgrade { transport, first_request });
        true
    }
}

fn switching_protocols<B: Default>() -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::new(B::default(), None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("h2c"));
    response
}

impl<S: HttpService> Future for Call<S> {
    type Output = Result<Response<ResponseBody<S::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallProjection::Serve { response, in_flight, farewell } => {
                let mut response = ready!(response.poll(context))?;
                let in_flight = in_flight.take();
                if farewell.as_ref().is_some_and(Farewell::has_begun) {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, in_flight))))
            }
            CallProjection::Switch { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}
