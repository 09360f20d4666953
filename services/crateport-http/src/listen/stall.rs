//! Finds peers that stall: a timer for one wait, and a watch over each HTTP/2 stream.
//!
//! On HTTP/1 a client that does not read fills the socket, which the transport sees. On HTTP/2 it only stops opening
//! one stream's window: the socket stays writable, and the response waits inside the connection while other streams go
//! on. What tells such a stream from one whose service is slow is who was asked last: if the stream's task was polled
//! and the response's body was not waiting for its source, the task waits for the peer.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::stats::ListenStats;

/// A timer for a wait that usually does not happen: it costs nothing until the first wait.
#[derive(Debug)]
pub(crate) struct StallTimer {
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// Runs the streams of HTTP/2 connections, each as a task of its own, and resets the stalled ones.
#[derive(Debug, Clone)]
pub(crate) struct StreamExecutor {
    body_timeout: Duration,
    stats: Arc<ListenStats>,
}

pin_project! {
    struct Stream<F> {
        #[pin]
        work: F,
        timer: StallTimer,
        // Whether the response's body has been asked for anything yet; before that the service is at work.
        body_begun: bool,
        stats: Arc<ListenStats>,
    }
}

/// What the response body of the stream that is being polled did in this poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPoll {
    /// It was not asked.
    Untouched,
    /// It gave a frame, or its end.
    Moved,
    /// It waits for its source.
    Waiting,
}

thread_local! {
    // Set and read within one synchronous poll of one stream, never across two. A cell in each request would need an
    // allocation in each request.
    static BODY_POLL: Cell<BodyPoll> = const { Cell::new(BodyPoll::Untouched) };
}

/// Called by a response's body each time it is polled.
pub(crate) fn note_body_poll(poll: BodyPoll) {
    BODY_POLL.set(poll);
}

impl StallTimer {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, sleep: None, waiting: false }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The peer moved: the next wait begins anew.
    pub(crate) fn moved(&mut self) {
        self.waiting = false;
    }

    /// The peer is waited for; ready when the wait has been too long.
    pub(crate) fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !self.waiting {
            self.waiting = true;
            sleep.as_mut().reset(Instant::now() + timeout);
        }
        sleep.as_mut().poll(context)
    }
}

impl StreamExecutor {
    pub(crate) fn new(body_timeout: Duration, stats: Arc<ListenStats>) -> Self {
        Self { body_timeout, stats }
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        tokio::spawn(Stream {
            work,
            timer: StallTimer::new(self.body_timeout),
            body_begun: false,
            stats: Arc::clone(&self.stats),
        });
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let stream = self.project();
        note_body_poll(BodyPoll::Untouched);
        if stream.work.poll(context).is_ready() {
            return Poll::Ready(());
        }
        match BODY_POLL.get() {
            BodyPoll::Untouched if !*stream.body_begun => return Poll::Pending,
            BodyPoll::Untouched => {}
            BodyPoll::Moved => {
                *stream.body_begun = true;
                stream.timer.moved();
            }
            BodyPoll::Waiting => {
                *stream.body_begun = true;
                stream.timer.moved();
                return Poll::Pending;
            }
        }
        ready!(stream.timer.poll_waiting(context));
        // Ending the task drops hyper's side of the stream, which resets it.
        stream.stats.stalled_streams.add_one();
        tracing::debug!(timeout = ?stream.timer.timeout(), "http/2 stream reset: the client takes no byte of it");
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Runs a stream whose polls do what `script` says, one entry per 40 s, and says whether it was ended as stalled.
    async fn is_stalled(script: &'static [BodyPoll]) -> bool {
        let stats = Arc::new(ListenStats::default());
        let mut ticks = tokio::time::interval(Duration::from_secs(40));
        let mut script = script.iter();
        let mut waits_for_source = false;
        let work = std::future::poll_fn(move |context| {
            while ticks.poll_tick(context).is_ready() {
                match script.next() {
                    Some(poll) => note_body_poll(*poll),
                    None => return Poll::Ready(()),
                }
                waits_for_source = BODY_POLL.get() == BodyPoll::Waiting;
            }
            // A body that waits for its source is asked in every poll, as hyper does.
            if waits_for_source {
                note_body_poll(BodyPoll::Waiting);
            }
            Poll::Pending
        });
        Stream {
            work,
            timer: StallTimer::new(TIMEOUT),
            body_begun: false,
            stats: Arc::clone(&stats),
        }
        .await;
        stats.snapshot().stalled_streams == 1
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stream_that_waits_for_its_peer_is_stalled() {
        use BodyPoll::{Moved, Untouched, Waiting};
        assert!(!is_stalled(&[Untouched, Untouched, Untouched, Untouched]).await, "a slow service");
        assert!(!is_stalled(&[Moved, Waiting, Waiting, Waiting]).await, "a slow source");
        assert!(!is_stalled(&[Moved, Moved, Moved, Moved]).await, "a slow peer");
        assert!(is_stalled(&[Moved, Untouched, Untouched, Untouched]).await, "a peer that stopped");
        assert!(
            is_stalled(&[Waiting, Moved, Untouched, Untouched]).await,
            "a peer that stopped later"
        );
    }
}
