//! The connection on which announcements come in.
//!
//! It is a connection of its own, in every topology the same: one `SUBSCRIBE` per replica. In a cluster it goes to any
//! one node, because a plain `PUBLISH` reaches all of them. Sharded channels would spare the nodes that traffic (one
//! message of 100 bytes per lease), but every wait would then have to subscribe at the node of its key and to leave
//! again, two round trips more, and follow it when the slot moves.
//!
//! A connection that is only listened to can be dead without anybody noticing; therefore it is asked for a sign of
//! life. After every new subscription all who wait look for themselves: announcements may have been missed.

use std::sync::Arc;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::connect::Connector;
use super::jitter::between_one_and_two;
use super::keys::{Keys, announced};
use super::waiters::Waiters;

/// Listens, for ever.
pub(super) async fn listen(connector: &Connector, keys: &Keys, waiters: &Waiters) {
    let mut is_told = false;
    for turn in 0_usize.. {
        // One for each connection: an earlier one may say late that it is gone.
        let lost = Arc::new(Notify::new());
        match subscribe(connector, keys, waiters, &lost, turn).await {
            Ok(connection) => {
                is_told = false;
                waiters.look();
                let (error, is_proven) = until_deaf(connector, connection, &lost).await;
                debug!(%error, "announcements do not come in any more");
                if is_proven {
                    continue;
                }
            }
            // Without announcements those who wait look every now and then.
            Err(error) if error.is_io_error() || is_told => {
                debug!(%error, "announcements cannot be listened to");
            }
            Err(error) => {
                is_told = true;
                warn!(%error, "announcements cannot be listened to; those who wait look every now and then");
            }
        }
        tokio::time::sleep(between_one_and_two(connector.config().limits.pause)).await;
    }
}

async fn subscribe(
    connector: &Connector,
    keys: &Keys,
    waiters: &Waiters,
    lost: &Arc<Notify>,
    turn: usize,
) -> Result<MultiplexedConnection, RedisError> {
    let (waiters, lost) = (waiters.clone(), Arc::clone(lost));
    let hear = move |push: PushInfo| match push.kind {
        PushKind::Message => {
            if let Some((key, token)) = payload(&push).and_then(announced) {
                waiters.announce(key, token);
            }
        }
        PushKind::Disconnection => lost.notify_one(),
        _ => {}
    };
    let mut connection = connector.connect_to_hear(turn, Arc::new(hear)).await?;
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(keys.channel());
    ask(connector, &mut connection, &subscribe).await?;
    Ok(connection)
}

/// A message is its channel and its payload.
fn payload(push: &PushInfo) -> Option<&str> {
    match push.data.as_slice() {
        [_, Value::BulkString(payload)] => std::str::from_utf8(payload).ok(),
        _ => None,
    }
}

/// How it ended, and whether it was good for long enough to be replaced without a pause.
async fn until_deaf(
    connector: &Connector,
    mut connection: MultiplexedConnection,
    lost: &Notify,
) -> (RedisError, bool) {
    let mut is_proven = false;
    loop {
        tokio::select! {
            () = lost.notified() => {
                return (std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(), is_proven);
            }
            () = tokio::time::sleep(connector.config().limits.probe) => {
                if let Err(error) = ask(connector, &mut connection, &redis::cmd("PING")).await {
                    return (error, is_proven);
                }
                is_proven = true;
            }
        }
    }
}

async fn ask(
    connector: &Connector,
    connection: &mut MultiplexedConnection,
    question: &redis::Cmd,
) -> Result<Value, RedisError> {
    let answer =
        timeout(connector.config().limits.response, connection.req_packed_command(question));
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    answer.await.map_err(|_| late())??.extract_error()
}
