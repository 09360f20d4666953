//! One connection: which protocol it speaks, and the one place where a request becomes a delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer::Conditions;
use super::delivery::{Delivery, plan};
use super::fault::Fault;
use super::journal::{InFlight, SeenRequest};
use super::{Shared, h1, h2};

/// The first bytes of an h2 connection; no HTTP/1.1 method begins so.
const H2_PREFACE_START: &[u8] = b"PRI ";
/// Between two looks at a preface that has not wholly arrived.
const PREFACE_POLL: Duration = Duration::from_millis(1);
/// A client that does not finish its TLS handshake in this time is let go.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// A byte stream over TCP, plain or TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) {
    let connection = shared.journal.next_connection();
    let Some(acceptor) = acceptor else {
        return match begins_h2(&stream).await {
            true => h2::serve(stream, shared, connection).await,
            false => h1::serve(stream, shared, connection).await,
        };
    };
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await
    else {
        return;
    };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => h2::serve(stream, shared, connection).await,
        _ => h1::serve(stream, shared, connection).await,
    }
}

async fn begins_h2(stream: &TcpStream) -> bool {
    let mut start = [0; H2_PREFACE_START.len()];
    loop {
        let Ok(seen @ 1..) = stream.peek(&mut start).await else { return false };
        if start[..seen] != H2_PREFACE_START[..seen] {
            return false;
        }
        if seen == start.len() {
            return true;
        }
        tokio::time::sleep(PREFACE_POLL).await;
    }
}

impl Shared {
    /// Fixes the answer to a request and writes it into the journal.
    pub(super) fn decide(&self, mut request: SeenRequest) -> (Delivery, InFlight) {
        let delivery = {
            let mut state = self.state();
            let target = state.target(&request);
            let fault = state.rules.take_fault(&target, &request.path);
            let holds = state.rules.gates(&target, &request.path);
            let needs_body = fault.as_ref().is_some_and(Fault::needs_body);
            let conditions = if needs_body { Conditions::Ignored } else { Conditions::Honoured };
            let answer = state.answer(&request, &target, conditions);
            plan(answer, &request.path, fault.as_ref(), &state.settings, holds)
        };
        request.status = delivery.head.as_ref().map(|head| head.status.as_u16());
        (delivery, self.journal.record(request))
    }
}
