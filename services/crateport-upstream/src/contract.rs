//! What every backend of the port must do, as a suite that a backend's own tests run against real sockets.
//!
//! A backend describes itself as a [`Subject`]; [`check`] plays one scenario after the other with a server that
//! behaves well or badly, each with a new upstream, and returns the first breach. Only what the trait promises is
//! looked at: how often a backend retries is its own affair.

mod server;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::Validators;
use futures_util::future::{Either, select};
use tokio::time::timeout;

use crate::{Reply, Upstream, UpstreamError};

pub use server::{Act, RawServer, Seen};

/// A backend that is put to the test.
#[async_trait]
pub trait Subject: Sync {
    /// A new upstream whose requests all go to `server`, over plain http, at most one at a time.
    fn upstream(&self, server: SocketAddr) -> Arc<dyn Upstream>;

    /// Asks it for one thing, with `validators` where such a thing can be asked for conditionally.
    async fn fetch(
        &self,
        upstream: &dyn Upstream,
        server: SocketAddr,
        validators: &Validators,
    ) -> Result<Reply, UpstreamError>;

    /// Whether `fetch` uses the validators.
    fn is_conditional(&self) -> bool;
}

/// A promise that the backend does not keep.
#[derive(Debug, thiserror::Error)]
#[error("{promise}: {detail}")]
pub struct Breach {
    promise: &'static str,
    detail: String,
}

/// How long a scenario may take that must not take long. Only a backend that hangs comes near it.
const PATIENCE: Duration = Duration::from_secs(30);
const BODY: &[u8] = b"the whole body\n";
const BODY_BYTES_MAX: usize = 1024;

/// Runs the suite.
///
/// # Errors
///
/// The first promise that `subject` does not keep.
pub async fn check(subject: &dyn Subject) -> Result<(), Breach> {
    a_whole_answer_comes_through(subject).await?;
    only_upstreams_own_word_means_absence(subject).await?;
    silence_is_not_absence(subject).await?;
    unchanged_needs_validators(subject).await?;
    a_cut_body_is_an_error(subject).await?;
    giving_up_frees_the_permit(subject).await
}

async fn a_whole_answer_comes_through(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "a whole answer comes through with its validators";
    let headers = "etag: W/\"x:1\"\r\nlast-modified: yesterday\r\n";
    let server = serve(PROMISE, move |_| vec![Act::ok(headers, BODY)]).await?;
    let reply = fetch(subject, &server, &Validators::default()).await;
    let Ok(Reply::Found(found)) = reply else { return breach(PROMISE, reply) };
    let kept = found.validators.clone();
    let body = found.collect(BODY_BYTES_MAX).await;
    if !matches!(&body, Ok(body) if body == BODY) {
        return breach(PROMISE, body);
    }
    let verbatim = kept.etag.as_deref() == Some("W/\"x:1\"")
        && kept.last_modified.as_deref() == Some("yesterday");
    if verbatim { Ok(()) } else { breach(PROMISE, kept) }
}

async fn only_upstreams_own_word_means_absence(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "absence is upstream's own word: 404, 410 or 451";
    for status in [404, 410, 451, 204, 206, 300, 400, 401, 403, 408, 429, 500, 502, 503, 504] {
        let server = serve(PROMISE, move |_| vec![Act::status(status, "")]).await?;
        let reply = fetch(subject, &server, &Validators::default()).await;
        match (status, &reply) {
            (404 | 410 | 451, Ok(Reply::Absent)) => {}
            (404 | 410 | 451, _) | (_, Ok(_)) => return breach(PROMISE, (status, reply)),
            (_, Err(_)) => {}
        }
    }
    Ok(())
}

async fn silence_is_not_absence(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "an upstream that cannot be asked is a transient error";
    for act in [Act::Close, Act::Reset] {
        let server = serve(PROMISE, move |_| vec![act.clone()]).await?;
        let reply = fetch(subject, &server, &Validators::default()).await;
        if !matches!(&reply, Err(error) if error.is_transient()) {
            return breach(PROMISE, reply);
        }
    }
    let server = serve(PROMISE, |_| vec![]).await?;
    let address = server.address();
    server.stop().await;
    let upstream = subject.upstream(address);
    let reply = subject.fetch(&*upstream, address, &Validators::default()).await;
    match reply {
        Err(error) if error.is_transient() => Ok(()),
        reply => breach(PROMISE, reply),
    }
}

async fn unchanged_needs_validators(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "unchanged is only ever the answer to validators";
    let server = serve(PROMISE, |_| vec![Act::status(304, "")]).await?;
    let reply = fetch(subject, &server, &Validators::default()).await;
    if reply.is_ok() {
        return breach(PROMISE, reply);
    }
    if !subject.is_conditional() {
        return Ok(());
    }
    let etag = Validators { etag: Some("W/\"x:1\"".into()), last_modified: None };
    let date = Validators { etag: None, last_modified: Some("yesterday".into()) };
    for (validators, header) in [(etag, "if-none-match"), (date, "if-modified-since")] {
        let server = serve(PROMISE, |_| vec![Act::status(304, "")]).await?;
        let reply = fetch(subject, &server, &validators).await;
        let sent = server.requests().pop().and_then(|seen| seen.header(header));
        let wanted = validators.etag.as_deref().or(validators.last_modified.as_deref());
        if !matches!(reply, Ok(Reply::Unchanged)) || sent.as_deref() != wanted {
            return breach(PROMISE, (reply, sent));
        }
    }
    Ok(())
}

async fn a_cut_body_is_an_error(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "a body that ends early is an error in the stream";
    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort";
    const UNENDED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n";
    for head in [SHORT, UNENDED] {
        for end in [Act::Close, Act::Reset] {
            let server = serve(PROMISE, move |_| vec![Act::send(head), end.clone()]).await?;
            let reply = fetch(subject, &server, &Validators::default()).await;
            match reply {
                Ok(Reply::Found(found)) => match found.collect(BODY_BYTES_MAX).await {
                    Err(error) if error.is_transient() => {}
                    body => return breach(PROMISE, body),
                },
                // A reset may overtake the headers.
                Err(error) if error.is_transient() => {}
                reply => return breach(PROMISE, reply),
            }
        }
    }
    Ok(())
}

async fn giving_up_frees_the_permit(subject: &dyn Subject) -> Result<(), Breach> {
    const PROMISE: &str = "dropping the future or the body gives up the request at once";
    let server = serve(PROMISE, |seen| match seen.number {
        0 => vec![Act::Hang],
        1 => vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"), Act::Hang],
        _ => vec![Act::ok("", BODY)],
    })
    .await?;
    let upstream = subject.upstream(server.address());
    let none = Validators::default();
    let fetch = || subject.fetch(&*upstream, server.address(), &none);

    // Dropped while it waits for headers.
    if let Either::Right((reply, _)) = select(Box::pin(server.has_seen(1)), fetch()).await {
        return breach(PROMISE, reply);
    }
    // Dropped while its body is under way.
    match timeout(PATIENCE, fetch()).await {
        Ok(Ok(Reply::Found(found))) => drop(found),
        other => return breach(PROMISE, other),
    }
    match timeout(PATIENCE, fetch()).await {
        Ok(Ok(Reply::Found(_))) => Ok(()),
        other => breach(PROMISE, other),
    }
}

async fn fetch(
    subject: &dyn Subject,
    server: &RawServer,
    validators: &Validators,
) -> Result<Reply, UpstreamError> {
    let upstream = subject.upstream(server.address());
    subject.fetch(&*upstream, server.address(), validators).await
}

async fn serve(
    promise: &'static str,
    respond: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
) -> Result<RawServer, Breach> {
    let started = RawServer::start(respond).await;
    started.map_err(|error| Breach { promise, detail: format!("no server: {error}") })
}

fn breach<T>(promise: &'static str, found: impl fmt::Debug) -> Result<T, Breach> {
    Err(Breach { promise, detail: format!("{found:?}") })
}
