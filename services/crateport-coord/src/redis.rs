//! The coordinator of a fleet: notes and leases in Redis (or Valkey), on one server, behind sentinels, or in a cluster.
//!
//! Redis only saves work. All of it may be lost at any moment (flushed, evicted, restarted, replaced), and a Redis that
//! is down, frozen, slow, full or read-only costs those who ask milliseconds until that is known (`link`) and
//! microseconds from then on.
//!
//! * A lease is a random token with an end, which its holder moves on while it works (`lease`). It is for efficiency:
//!   two holders at once are possible, and harmless.
//! * Who waits for a lease is told of its end (`ears`, `waiters`), and looks for itself every now and then.
//! * Ages are told by Redis's clock (`note_text`): the clocks of the replicas may differ by any amount.

mod address;
mod circuit;
mod clock;
mod config;
mod connect;
mod ears;
mod jitter;
mod keys;
mod lease;
mod link;
mod note_text;
mod parts;
mod release;
mod scripts;
mod waiters;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::StoreKey;
use redis::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

pub use self::address::RedisAddress;
pub use self::config::{InvalidRedisConfig, RedisConfig, RedisLimits};

use self::clock::ms_of;
use self::connect::Connector;
use self::jitter::give_or_take_a_quarter;
use self::keys::{Keys, Token};
use self::lease::{RedisLease, note_for};
use self::link::Link;
use self::release::Release;
use self::scripts::{CLAIM, RECALL};
use self::waiters::Waiters;
use crate::{Claim, CoordError, Coordinator, Health, Lease, Note};

/// Notes and leases in Redis.
pub struct RedisCoordinator {
    connector: Arc<Connector>,
    link: Arc<Link>,
    keys: Keys,
    waiters: Waiters,
    releases: mpsc::Sender<Release>,
    tasks: Vec<AbortHandle>,
}

/// Nobody waits longer than this, whatever their patience.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

impl RedisCoordinator {
    /// Begins to connect, in tasks of its own, and returns at once: a Redis that is down now may be up later. It is to
    /// be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the configuration could never work.
    pub fn start(config: RedisConfig) -> Result<Self, InvalidRedisConfig> {
        let (waiters_max, releases_max) = (config.limits.waiters_max, config.limits.releases_max);
        let (keys, pause) = (Keys::new(&config.prefix), config.limits.pause);
        let connector = Arc::new(Connector::new(config)?);
        let link = Arc::new(Link::new(Arc::clone(&connector), keys.clone()));
        let waiters = Waiters::new(waiters_max);
        let (releases, to_give_back) = mpsc::channel(releases_max);
        let kept = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.keep().await }
        });
        let heard = tokio::spawn({
            let (connector, keys, waiters) =
                (Arc::clone(&connector), keys.clone(), waiters.clone());
            async move { ears::listen(&connector, &keys, &waiters).await }
        });
        let given_back = tokio::spawn({
            let (link, keys) = (Arc::clone(&link), keys.clone());
            async move { release::give_back(&link, &keys, to_give_back, pause).await }
        });
        let tasks = [kept, heard, given_back].map(|task| task.abort_handle()).into();
        Ok(Self { connector, link, keys, waiters, releases, tasks })
    }

    /// Waits until it is known whether Redis answers.
    pub async fn settled(&self) -> Health {
        self.link.settled().await
    }

    /// Who holds the lease on `key`.
    async fn holder(&self, key: &StoreKey) -> Result<Option<Token>, CoordError> {
        const ACTION: &str = "look at a lease";
        let lease = self.keys.lease(key);
        let answer = self.link.ask(ACTION, &lease, redis::cmd("GET").arg(&lease)).await?;
        let token: Option<String> = read(ACTION, answer)?;
        Ok(token.map(|token| Token::of(&token)))
    }
}

fn read<T: redis::FromRedisValue>(action: &'static str, answer: Value) -> Result<T, CoordError> {
    redis::from_redis_value(answer)
        .map_err(|error| CoordError::Refused { action, detail: error.to_string() })
}

#[async_trait]
impl Coordinator for RedisCoordinator {
    async fn recall(&self, key: &StoreKey) -> Result<Option<Note>, CoordError> {
        const ACTION: &str = "recall a note";
        let asked = Instant::now();
        let answer = self.link.run(ACTION, &RECALL, &[self.keys.note(key)], &[]).await?;
        let found: Option<(String, i64, (u64, u64))> = read(ACTION, answer)?;
        Ok(found.and_then(|(text, left_ms, time)| {
            note_text::read(&text, left_ms, ms_of(time), asked.elapsed())
        }))
    }

    async fn note(&self, key: &StoreKey, note: &Note, keep: Duration) -> Result<(), CoordError> {
        let Some((text, keep_ms)) = note_for(&self.link, note, keep) else {
            return self.forget(key).await;
        };
        let name = self.keys.note(key);
        let mut set = redis::cmd("SET");
        set.arg(&name).arg(text).arg("PX").arg(keep_ms);
        self.link.ask("leave a note", &name, &set).await.map(drop)
    }

    async fn forget(&self, key: &StoreKey) -> Result<(), CoordError> {
        let name = self.keys.note(key);
        let mut delete = redis::cmd("DEL");
        self.link.ask("forget a note", &name, delete.arg(&name)).await.map(drop)
    }

    async fn claim(&self, key: &StoreKey) -> Result<Claim, CoordError> {
        const ACTION: &str = "claim a lease";
        let limits = &self.connector.config().limits;
        let (link, releases) = (Arc::clone(&self.link), self.releases.clone());
        let token = Token::random(self.connector.config().advertised.as_deref());
        let mut lease = RedisLease::claimed(link, self.keys.clone(), key.clone(), token, releases);
        let ttl_ms = note_text::up_to_ms(limits.lease_ttl).to_string();
        let arguments = [lease.token().as_str(), &ttl_ms];
        let since = Instant::now();
        let answer = self.link.run(ACTION, &CLAIM, &[self.keys.lease(key)], &arguments).await;
        let holder: Option<String> = match answer.and_then(|answer| read(ACTION, answer)) {
            Ok(holder) => holder,
            Err(error) => {
                if !error.is_ambiguous() {
                    lease.settle();
                }
                return Err(error);
            }
        };
        if holder.as_deref() == Some(lease.token().as_str()) {
            lease.show_signs(since, limits.lease_ttl, limits.lease_held_max);
            return Ok(Claim::Lead(Lease::new(Box::new(lease))));
        }
        lease.settle();
        let leader = holder.and_then(|token| Token::of(&token).address().map(Into::into));
        Ok(Claim::Follow { leader })
    }

    async fn wait(&self, key: &StoreKey, patience: Duration) -> Result<(), CoordError> {
        let deadline = Instant::now() + patience.min(PATIENCE_MAX);
        // Listen first, look then: an end in between is noticed by one or the other.
        let mut waiter = self.waiters.join(key);
        let mut followed: Option<Token> = None;
        loop {
            if let Some(waiter) = &mut waiter {
                waiter.mark_seen();
            }
            let Some(holder) = self.holder(key).await? else { return Ok(()) };
            let followed = followed.get_or_insert_with(|| holder.clone());
            let heard = waiter.as_ref().is_some_and(|waiter| waiter.heard_the_end_of(followed));
            let left = deadline.saturating_duration_since(Instant::now());
            if heard || *followed != holder || left.is_zero() {
                return Ok(());
            }
            let pause = give_or_take_a_quarter(self.connector.config().limits.poll).min(left);
            match &mut waiter {
                Some(waiter) => {
                    // An end of its pause is a reason to look, as news are.
                    drop(timeout(pause, waiter.news()).await);
                    if waiter.heard_the_end_of(followed) {
                        return Ok(());
                    }
                }
                None => sleep(pause).await,
            }
        }
    }

    fn health(&self) -> Health {
        self.link.health()
    }
}

impl Drop for RedisCoordinator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.connector.config();
        write!(f, "RedisCoordinator({}, {})", config.address, config.prefix)
    }
}
