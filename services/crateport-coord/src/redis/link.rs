//! The one connection over which questions go, and who watches it.
//!
//! A request never connects and never tries whether Redis is back: that is done here, by a task of its own. While
//! Redis is known to be down, a question costs microseconds; a question waits for a connection only in the moment in
//! which one is made, and no longer than for an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::circuit::{Circuit, Turn, Verdict};
use super::clock::{Clock, ms_of};
use super::connect::{Connection, Connector};
use super::jitter::between_one_and_two;
use super::keys::Keys;
use super::parts::Parts;
use super::scripts::{PROBE, Script};
use crate::{CoordError, Health};

/// A cluster that has not answered so many probes of different keys does not answer.
const CLUSTER_PROBES: usize = 3;

/// A link to Redis, as those who ask see it.
pub(super) struct Link {
    connector: Arc<Connector>,
    keys: Keys,
    state: watch::Sender<State>,
    circuit: Mutex<Circuit>,
    parts: Parts,
    trouble: Notify,
    clock: Clock,
}

#[derive(Clone)]
enum State {
    /// A connection is being made.
    Connecting,
    /// Questions may go.
    Up(Arc<Wire>),
    /// Redis is left alone.
    Down(Arc<str>),
}

struct Wire {
    connection: Connection,
    /// Which connection it is: what is said about an earlier one does not count.
    generation: u64,
}

impl Link {
    pub(super) fn new(connector: Arc<Connector>, keys: Keys) -> Self {
        let limits = &connector.config().limits;
        let (failures_max, pause) = (limits.failures_max, limits.pause);
        Self {
            connector,
            keys,
            state: watch::Sender::new(State::Connecting),
            circuit: Mutex::new(Circuit::new(failures_max)),
            parts: Parts::new(failures_max, pause),
            trouble: Notify::new(),
            clock: Clock::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        match &*self.state.borrow() {
            State::Up(_) => Health::Up,
            State::Connecting => Health::Down { reason: "it is being connected".to_owned() },
            State::Down(why) => Health::Down { reason: why.to_string() },
        }
    }

    /// Waits until it is known whether Redis answers.
    pub(super) async fn settled(&self) -> Health {
        let known = |state: &State| !matches!(state, State::Connecting);
        // The sender is here, so there is always a state.
        drop(self.state.subscribe().wait_for(known).await);
        self.health()
    }

    /// Waits until questions may go.
    pub(super) async fn up(&self) {
        let up = |state: &State| matches!(state, State::Up(_));
        drop(self.state.subscribe().wait_for(up).await);
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks about `key`, and waits for the answer as long as the limits allow.
    pub(super) async fn ask(
        &self,
        action: &'static str,
        key: &str,
        question: &Cmd,
    ) -> Result<Value, CoordError> {
        let wire = self.wire(action, key).await?;
        let answer = timeout(self.response(), wire.connection.clone().ask(question)).await;
        self.hear(action, key, &wire, answer.ok())
    }

    /// Has a script run on `keys`, which are of one hash tag. One that Redis does not know (any more) is sent again in
    /// full.
    pub(super) async fn run(
        &self,
        action: &'static str,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
    ) -> Result<Value, CoordError> {
        let key = keys.first().map_or("", String::as_str);
        let wire = self.wire(action, key).await?;
        let answer =
            timeout(self.response(), call(wire.connection.clone(), script, keys, arguments));
        self.hear(action, key, &wire, answer.await.ok())
    }

    fn response(&self) -> Duration {
        self.connector.config().limits.response
    }

    /// The connection, if `key` may be asked about over it now.
    async fn wire(&self, action: &'static str, key: &str) -> Result<Arc<Wire>, CoordError> {
        let down = |detail: &str| CoordError::Down { action, detail: detail.to_owned() };
        let of = |state: &State| match state {
            State::Up(wire) => Some(Ok(Arc::clone(wire))),
            State::Down(why) => Some(Err(down(why))),
            State::Connecting => None,
        };
        // Not in the match: what is borrowed must not be held while one waits.
        let known = of(&self.state.borrow());
        let wire = match known {
            Some(wire) => wire?,
            None => {
                let mut state = self.state.subscribe();
                let known = state.wait_for(|state| !matches!(state, State::Connecting));
                let known = timeout(self.response(), known).await;
                let wire = known.ok().and_then(Result::ok).and_then(|state| of(&state));
                wire.unwrap_or_else(|| Err(down("it is being connected")))?
            }
        };
        if wire.connection.is_cluster() && !self.parts.admits(key) {
            return Err(down("this part of the cluster does not answer"));
        }
        Ok(wire)
    }

    /// Takes note of how it went. `None` is no answer in time.
    fn hear(
        &self,
        action: &'static str,
        key: &str,
        wire: &Wire,
        answer: Option<Result<Value, RedisError>>,
    ) -> Result<Value, CoordError> {
        let late = |()| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let answer = answer.ok_or(()).map_err(late).flatten();
        let turn = answer.as_ref().map_or_else(Turn::of, |_| Turn::Answered);
        if wire.connection.is_cluster() {
            // Its client replaces the connections to the nodes by itself, and one node is not the cluster.
            let is_well = turn == Turn::Answered;
            self.parts.judge(key, if is_well { Turn::Answered } else { Turn::Failed });
        } else {
            self.judge(wire, turn, || match &answer {
                Err(error) if !error.is_timeout() => error.to_string(),
                _ => format!("no answer within {:?}", self.response()),
            });
        }
        answer.map_err(|error| match turn {
            Turn::Failed if error.is_timeout() => {
                CoordError::Late { action, limit: self.response() }
            }
            Turn::Failed | Turn::Useless => CoordError::Down { action, detail: error.to_string() },
            Turn::Broken => CoordError::Lost { action, detail: error.to_string() },
            Turn::Answered => CoordError::Refused { action, detail: error.to_string() },
        })
    }

    fn judge(&self, wire: &Wire, turn: Turn, why: impl FnOnce() -> String) {
        let verdict = self.circuit.lock().unwrap_or_else(PoisonError::into_inner).judge(turn);
        match verdict {
            Verdict::Stay => {}
            Verdict::Reconnect => self.leave(wire, State::Connecting),
            Verdict::Open => self.leave(wire, State::Down(why().into())),
        }
    }

    /// Nothing goes over this connection any more.
    fn leave(&self, wire: &Wire, next: State) {
        let changed = self.state.send_if_modified(|state| {
            let current = matches!(state, State::Up(up) if up.generation == wire.generation);
            if current {
                say(&next);
                *state = next;
            }
            current
        });
        if changed {
            self.trouble.notify_one();
        }
    }

    /// Redis is down, unless that is known already.
    fn fall(&self, why: String) {
        self.state.send_if_modified(|state| {
            let is_news = !matches!(state, State::Down(_));
            if is_news {
                *state = State::Down(why.into());
                say(state);
            }
            is_news
        });
    }

    /// Keeps the connection: makes it, tries it, replaces it. Never ends.
    pub(super) async fn keep(&self) {
        let limits = &self.connector.config().limits;
        for generation in 0.. {
            // Whether the connection was good for long enough to be replaced without a pause.
            let mut is_proven = false;
            match self.establish().await {
                Ok(connection) => {
                    info!(address = %self.connector.config().address, "the coordinator answers");
                    *self.circuit.lock().unwrap_or_else(PoisonError::into_inner) =
                        Circuit::new(limits.failures_max);
                    self.parts.reset();
                    let wire = Arc::new(Wire { connection, generation });
                    self.state.send_replace(State::Up(Arc::clone(&wire)));
                    is_proven = self.watch(&wire).await;
                }
                Err(error) => self.fall(error.to_string()),
            }
            if !is_proven {
                self.fall("its connections break at once".to_owned());
            }
            if matches!(&*self.state.borrow(), State::Down(_)) {
                tokio::time::sleep(between_one_and_two(limits.pause)).await;
            }
        }
    }

    /// Makes a connection that has passed its probe. Those who ask do not wait for one that takes its time.
    async fn establish(&self) -> Result<Connection, RedisError> {
        let made = async {
            let connection = self.connector.connect().await?;
            self.probe(connection.clone()).await?;
            Ok(connection)
        };
        tokio::pin!(made);
        match timeout(self.connector.config().limits.connect, &mut made).await {
            Ok(made) => made,
            Err(_) => {
                self.fall("it is slow to connect".to_owned());
                made.await
            }
        }
    }

    /// Writes to it and asks for the time. What cannot be written to is of no use to a coordinator. Of a cluster, one
    /// of a few nodes is enough.
    async fn probe(&self, connection: Connection) -> Result<(), RedisError> {
        let tries = if connection.is_cluster() { CLUSTER_PROBES } else { 1 };
        let mut answer = Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        for _ in 0..tries {
            let key = [self.keys.probe()];
            let asked = timeout(self.response(), call(connection.clone(), &PROBE, &key, &[])).await;
            if let Ok(asked) = asked {
                answer = asked;
            }
            if answer.is_ok() {
                break;
            }
        }
        let time = redis::from_redis_value(answer?)?;
        self.clock.set(Instant::now(), ms_of(time));
        Ok(())
    }

    /// Watches over a connection until it is of no use; tells whether it ever proved good.
    async fn watch(&self, wire: &Wire) -> bool {
        let limits = &self.connector.config().limits;
        let mut proven = false;
        loop {
            tokio::select! {
                () = self.trouble.notified() => {}
                () = tokio::time::sleep(limits.probe) => {
                    match self.probe(wire.connection.clone()).await {
                        Ok(()) => {
                            proven = true;
                            self.judge(wire, Turn::Answered, String::new);
                        }
                        Err(error) => {
                            debug!(%error, "the coordinator did not pass its probe");
                            // It answered, but it cannot be written to: memory is full, or a right is missing.
                            let turn = match Turn::of(&error) {
                                _ if wire.connection.is_cluster() => Turn::Failed,
                                Turn::Answered => Turn::Useless,
                                turn => turn,
                            };
                            self.judge(wire, turn, || error.to_string());
                        }
                    }
                }
            }
            match &*self.state.borrow() {
                State::Up(up) if up.generation == wire.generation => {}
                State::Up(_) | State::Connecting | State::Down(_) => return proven,
            }
        }
    }
}

fn say(state: &State) {
    if let State::Down(why) = state {
        warn!(%why, "the coordinator is down; the fleet goes on without it");
    }
}

async fn call(
    mut connection: Connection,
    script: &Script,
    keys: &[String],
    arguments: &[&str],
) -> Result<Value, RedisError> {
    match connection.ask(&script.by_digest(keys, arguments)).await {
        Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
            connection.ask(&script.by_text(keys, arguments)).await
        }
        answer => answer,
    }
}
