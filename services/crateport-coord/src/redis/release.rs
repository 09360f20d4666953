//! Leases that nobody ended: given back as soon as Redis can be told, as far as that is possible.
//!
//! They come from holders that were dropped, and from claims without an answer: a question that lies in the socket of a
//! frozen Redis is still executed when it thaws, and would hold a lease for nobody.

use std::time::Duration;

use crateport_types::StoreKey;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::jitter::between_one_and_two;
use super::keys::{Keys, Token, announcement};
use super::link::Link;
use super::scripts::END;
use crate::CoordError;

/// One that is not to be held any more.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) key: StoreKey,
    pub(super) token: Token,
}

/// How often a lease is tried to be given back before it is left to run out.
const TRIES_MAX: u32 = 3;

/// Gives back what comes, until nobody can send any more.
pub(super) async fn give_back(
    link: &Link,
    keys: &Keys,
    mut releases: mpsc::Receiver<Release>,
    pause: Duration,
) {
    while let Some(Release { key, token }) = releases.recv().await {
        for _ in 0..TRIES_MAX {
            link.up().await;
            match end(link, keys, &key, &token, None).await {
                Err(error) if error.is_transient() => {
                    debug!(%key, %error, "not given back yet");
                    // It may be the one part of a cluster that is left alone.
                    sleep(between_one_and_two(pause)).await;
                }
                Err(error) => {
                    debug!(%key, %error, "not given back");
                    break;
                }
                Ok(_) => break,
            }
        }
    }
}

/// Ends a lease, with the text of a note and the milliseconds it is kept. Tells whether it was still held.
pub(super) async fn end(
    link: &Link,
    keys: &Keys,
    key: &StoreKey,
    token: &Token,
    note: Option<(String, u64)>,
) -> Result<bool, CoordError> {
    const ACTION: &str = "end a lease";
    let (note, keep_ms) = note.unwrap_or_default();
    let keep_ms = keep_ms.to_string();
    let (channel, announcement) = (keys.channel(), announcement(key, token));
    let arguments = [token.as_str(), &channel, &announcement, &note, &keep_ms];
    let names = [keys.lease(key), keys.note(key)];
    let answer = link.run(ACTION, &END, &names, &arguments).await?;
    redis::from_redis_value(answer)
        .map_err(|error| CoordError::Refused { action: ACTION, detail: error.to_string() })
}
