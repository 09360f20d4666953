//! The time between the word that a server will go and its going: it serves as ever, and lets no client settle.
//!
//! HTTP/2 can tell a client that no further request will be heard (GOAWAY), and does when the server shuts down. Over
//! HTTP/1.1 all there is is the answer: one with `connection: close` makes the client take another connection for its
//! next request, while a connection that is closed between two requests may meet the second on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Begins the farewell of a [`Server`](super::Server). Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Farewell(Arc<AtomicBool>);

impl Farewell {
    /// From now on each answer over HTTP/1 is the last on its connection.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
