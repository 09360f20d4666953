//! What systemd, or who speaks its protocol (Podman, s6), is told of this process: ready, reloading, stopping, alive.
//!
//! Where no `NOTIFY_SOCKET` is set nobody asked, and nothing is sent. A sign of life is only given when this process
//! answers on its own ops listener, over a real socket: a runtime whose threads are all stuck, an accept loop that has
//! ended or a process without free memory gives none, and is started anew.

use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::ops_client::{OpsAnswer, ask};

const LIVE_PATH: &str = "/livez";
/// The status of one that lives.
const OK: u16 = 200;
/// Signs of life per the time after which systemd takes the process for dead.
const SIGNS_PER_LIMIT: u32 = 2;
/// Part of the pause between two signs that the question for one may take.
const PAUSES_PER_ANSWER: u32 = 2;

/// Requests are answered from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are read anew, until the next [`ready`].
pub(crate) fn reloading() {
    // `Type=notify-reload` wants to know since when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun, and may take this long: a stop job must not cut it short.
pub(crate) fn stopping(longest: Duration) {
    let longest = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(longest)]);
}

/// Gives signs of life for as long as it is polled, if systemd wants any, and as long as `ops` answers.
pub(crate) async fn keep_alive(ops: SocketAddr) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return;
    };
    let pause = limit / SIGNS_PER_LIMIT;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if is_alive(ops, pause / PAUSES_PER_ANSWER).await {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

async fn is_alive(ops: SocketAddr, patience: Duration) -> bool {
    match ask(ops, LIVE_PATH, patience).await {
        Ok(OpsAnswer { status: OK, .. }) => true,
        Ok(OpsAnswer { status, .. }) => {
            warn!(status, "no sign of life is given: this process does not say that it lives");
            false
        }
        Err(error) => {
            warn!(%error, "no sign of life is given");
            false
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, ?states, "the service's supervisor could not be told");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_who_answers_200_is_alive() {
        let answers = [
            (Some("HTTP/1.1 200 OK\r\n\r\nok"), true),
            (Some("HTTP/1.1 500 Internal Server Error\r\n\r\n"), false),
            (None, false),
        ];
        for (answer, expected) in answers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                match answer {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => std::future::pending().await,
                }
            });
            // Who answers does so at once; who never will need not be waited for.
            let patience = Duration::from_millis(if expected { 20_000 } else { 200 });
            assert_eq!(is_alive(address, patience).await, expected, "{answer:?}");
            server.abort();
        }
    }
}
