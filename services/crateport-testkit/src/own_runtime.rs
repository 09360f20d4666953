//! A tokio runtime on a thread of its own, so that a test may call the kit from any runtime (or none), pause its own
//! clock, or block, and the other side of the wire still runs.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// How long a call that blocks on the other thread may take before the test fails.
const BLOCK_DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    #[track_caller]
    pub(crate) fn start(name: &str) -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build();
        Self(Some(runtime.expect("a runtime of one thread")))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("the runtime is only taken on drop").handle()
    }

    /// Runs a future over there and blocks this thread until it has ended.
    #[track_caller]
    pub(crate) fn block<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle().spawn(async move {
            // Nobody listens any more once the deadline has passed.
            let _ = sender.send(future.await);
        });
        receiver.recv_timeout(BLOCK_DEADLINE).expect("the kit's own thread answers")
    }

    /// Runs a future over there under a deadline of real time, whatever the caller's clock does.
    pub(crate) async fn within<T: Send + 'static>(
        &self,
        deadline: Duration,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task =
            self.handle().spawn(async move { tokio::time::timeout(deadline, future).await.ok() });
        task.await.expect("the kit's own task neither panics nor is cancelled")
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A plain drop would block, which a runtime forbids inside another one.
            runtime.shutdown_background();
        }
    }
}
