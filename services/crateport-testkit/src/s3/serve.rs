//! Connections: S3's own checks in front, the backend behind, and the faults that close instead of answering.

use std::future::Future;
use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, HttpError};
use tokio::net::TcpStream;

use super::access::Access;
use super::backend::Backend;
use super::fault::CLOSE_STATUS;
use super::{S3Server, Shared};

/// What each new connection runs.
pub(super) fn connections(
    shared: Arc<Shared>,
) -> impl Fn(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static
{
    let mut builder = S3ServiceBuilder::new(Backend(shared.clone()));
    builder.set_access(Access(shared));
    builder.set_auth(SimpleAuth::from_single(S3Server::ACCESS_KEY, S3Server::SECRET_KEY));
    let s3 = builder.build();
    move |stream| {
        let s3 = s3.clone();
        Box::pin(async move {
            let answer = service_fn(|request: http::Request<Incoming>| {
                let s3 = s3.clone();
                async move {
                    let response = s3.call(request.map(Body::from)).await?;
                    if response.status().as_u16() == CLOSE_STATUS {
                        return Err(HttpError::new(Box::new(io::Error::other("closed to order"))));
                    }
                    Ok(response)
                }
            });
            // How a connection ends is the client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        })
    }
}
