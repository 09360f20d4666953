//! Runs listeners against one service, and shuts them down in one way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::accept::Acceptor;
use super::activity::{Activity, Phase};
use super::bind::Listener;
use super::certificate;
use super::connection::ConnectionServer;
use super::farewell::Farewell;
use super::limits::Limits;
use super::roster::{CutOnDrop, Roster};
use super::service::HttpService;
use super::stats::ListenStats;

/// Serves the connections of any number of listeners.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    stats: Arc<ListenStats>,
    farewell: Farewell,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still at work when the drain timeout passed, and were cut.
    pub cut: usize,
}

/// How long connections that were cut may take to notice: no more than one poll of a task that has been woken.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

impl Server {
    /// A server with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, stats: Arc::default(), farewell: Farewell::default() }
    }

    /// Its counters, which stay readable while it serves and after.
    pub fn stats(&self) -> Arc<ListenStats> {
        Arc::clone(&self.stats)
    }

    /// To be begun some time before the shutdown, which begins it too.
    pub fn farewell(&self) -> Farewell {
        self.farewell.clone()
    }

    /// Serves until `shutdown` completes, then drains: the ports are closed at once, requests in flight are finished,
    /// connections without one are closed when none has come for [`Limits::last_request_wait`], and what is left after
    /// `drain_timeout` is cut.
    ///
    /// Dropping the future closes the ports and cuts every connection.
    pub async fn serve<S: HttpService>(
        self,
        listeners: Vec<Listener>,
        service: S,
        shutdown: impl Future<Output = ()>,
        drain_timeout: Duration,
    ) -> Drained {
        let Self { limits, stats, farewell } = self;
        let roster = Arc::new(Roster::default());
        let _cut_on_drop = CutOnDrop(Arc::clone(&roster));
        let tasks = TaskTracker::new();
        let connections_max = limits.connections_max;

        // A JoinSet ends its tasks when it is dropped.
        let mut certificates = JoinSet::new();
        for tls in listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
            let certificate = Arc::clone(&tls.certificate);
            certificates.spawn(certificate::keep_fresh(
                certificate,
                limits.certificate_interval,
                Arc::clone(&stats),
            ));
        }

        let mut acceptor = Acceptor::new(listeners, connections_max, Arc::clone(&stats));
        let connections =
            Arc::new(ConnectionServer::new(limits, Arc::clone(&stats), farewell.clone()));
        let begin = |accepted| {
            let activity = Arc::new(Activity::new());
            let entry = roster.enter(&activity, &stats);
            let (connections, service) = (Arc::clone(&connections), service.clone());
            tasks.spawn(async move {
                connections.serve(accepted, activity, service).await;
                drop(entry);
            });
        };
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = acceptor.accept() => begin(accepted),
            }
        }
        farewell.begin();
        // Who has connected by now is served: what waits in the kernel would be reset with the port.
        tokio::task::yield_now().await;
        while let Some(accepted) = acceptor.accept().now_or_never() {
            begin(accepted);
        }
        drop(acceptor);

        tasks.close();
        roster.order(Phase::Draining);
        if tokio::time::timeout(drain_timeout, tasks.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = roster.order(Phase::Cut);
        tracing::warn!(
            cut,
            ?drain_timeout,
            "connections were cut: they outlived the drain timeout"
        );
        // A service that blocks its thread cannot be cut; it must not keep the process either.
        if tokio::time::timeout(CUT_TIMEOUT, tasks.wait()).await.is_err() {
            tracing::warn!("connections do not end although they were cut");
        }
        Drained { cut }
    }
}
