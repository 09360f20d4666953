//! Redirect or stream: how an object in the store leaves.
//!
//! Object stores speak HTTP/1.1, over which cargo opens two connections per host. Many small crates go faster through
//! one HTTP/2 connection to this process; large ones are better fetched from the store itself.

use std::time::Duration;

/// How the operator wants objects to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    /// By size and by what the client's connection can do.
    Auto,
    /// Always through this process.
    Stream,
    /// From the store, whenever it can give a URL.
    Redirect,
}

/// How deliveries are planned.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryPolicy {
    /// What the operator wants.
    pub mode: DeliveryMode,
    /// From this size on, `Auto` redirects.
    pub redirect_size_bytes_min: u64,
    /// How long a URL given to a client is good for.
    pub url_lifetime: Duration,
}

/// What a client can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It follows redirects, as cargo and rustup do.
    Followed,
    /// It asked for the bytes themselves.
    Unwanted,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Redirect,
    Stream,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            mode: DeliveryMode::Auto,
            redirect_size_bytes_min: 1 << 20,
            url_lifetime: Duration::from_secs(900),
        }
    }
}

/// Plans the delivery of one object.
pub(crate) fn plan(policy: &DeliveryPolicy, redirects: Redirects, size_bytes: u64) -> Plan {
    let redirect = match (policy.mode, redirects) {
        (DeliveryMode::Stream, _) | (_, Redirects::Unwanted) => false,
        (DeliveryMode::Redirect, Redirects::Followed) => true,
        (DeliveryMode::Auto, Redirects::Followed) => size_bytes >= policy.redirect_size_bytes_min,
    };
    if redirect { Plan::Redirect } else { Plan::Stream }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_are_redirected_unless_somebody_says_otherwise() {
        use {DeliveryMode as Mode, Plan::Redirect, Plan::Stream};
        for (mode, redirects, size_bytes, expected) in [
            (Mode::Auto, Redirects::Followed, 99, Stream),
            (Mode::Auto, Redirects::Followed, 100, Redirect),
            (Mode::Auto, Redirects::Unwanted, 1000, Stream),
            (Mode::Stream, Redirects::Followed, 1000, Stream),
            (Mode::Redirect, Redirects::Followed, 1, Redirect),
            (Mode::Redirect, Redirects::Unwanted, 1000, Stream),
        ] {
            let policy =
                DeliveryPolicy { mode, redirect_size_bytes_min: 100, ..DeliveryPolicy::default() };
            assert_eq!(
                plan(&policy, redirects, size_bytes),
                expected,
                "{mode:?} {redirects:?} {size_bytes}"
            );
        }
    }
}
