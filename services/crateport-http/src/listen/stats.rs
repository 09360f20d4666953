//! What the listeners count. Nothing here is touched per request.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Live counters of a [`Server`](super::Server): read them with [`ListenStats::snapshot`].
        #[derive(Debug, Default)]
        pub struct ListenStats {
            $(pub(crate) $name: Counter,)*
        }

        /// The counters of a [`ListenStats`] at one moment. All but `connections_open` only grow.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ListenSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl ListenStats {
            /// The value of every counter now.
            pub fn snapshot(&self) -> ListenSnapshot {
                ListenSnapshot { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Connections open now, those in a TLS handshake included.
    connections_open,
    /// Connections accepted.
    accepted,
    /// Times `connections_max` was reached and accepting paused.
    accept_pauses,
    /// Failed calls of accept, such as "too many open files".
    accept_errors,
    /// TLS handshakes that failed or took too long.
    handshake_failures,
    /// Connections that went from HTTP/1.1 to HTTP/2 by `Upgrade: h2c`.
    upgrades,
    /// Connections closed because no request came for `idle_timeout`.
    idle_closes,
    /// Connections cut because a request head or a preface took longer than `header_timeout`.
    header_timeouts,
    /// Connections cut because the peer took no byte for `body_timeout`.
    stalled_connections,
    /// HTTP/2 streams reset because the peer took no byte of that response for `body_timeout`.
    stalled_streams,
    /// Connections that ended with a protocol or transport error, such as a reset by the peer.
    connection_errors,
    /// Connections cut because they outlived the drain timeout of a shutdown.
    drain_cuts,
    /// Certificates taken into use after a change of their files.
    certificate_reloads,
    /// Changed certificate files that could not be used.
    certificate_reload_failures,
}

/// One number that many tasks change.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subtract_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
