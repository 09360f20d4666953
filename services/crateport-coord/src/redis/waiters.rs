//! Who waits for which key in this process, and how announcements reach them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crateport_types::StoreKey;
use tokio::sync::watch;

use super::keys::Token;

/// All who wait.
#[derive(Clone, Debug)]
pub(super) struct Waiters {
    waited: Arc<Mutex<HashMap<Box<str>, Waited>>>,
    keys_max: usize,
}

/// A key that somebody waits for.
#[derive(Debug)]
struct Waited {
    news: watch::Sender<News>,
    waiters: usize,
}

/// What was heard about a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct News {
    /// Whose lease ended last.
    ended: Option<Token>,
    /// How often there was reason to look.
    looks: u64,
}

/// One who waits. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Waiter {
    waiters: Waiters,
    key: StoreKey,
    news: watch::Receiver<News>,
}

impl Waiters {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { waited: Arc::default(), keys_max }
    }

    /// Waits for announcements about a key from now on; `None` if too many keys are waited for.
    pub(super) fn join(&self, key: &StoreKey) -> Option<Waiter> {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if waited.len() >= self.keys_max && !waited.contains_key(key.as_str()) {
            return None;
        }
        let entry = waited
            .entry(key.as_str().into())
            .or_insert_with(|| Waited { news: watch::Sender::default(), waiters: 0 });
        entry.waiters += 1;
        Some(Waiter { waiters: self.clone(), key: key.clone(), news: entry.news.subscribe() })
    }

    /// A lease has ended.
    pub(super) fn announce(&self, key: &str, token: Token) {
        let waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = waited.get(key) {
            waited.news.send_modify(|news| news.ended = Some(token));
        }
    }

    /// Announcements may have been missed: everybody looks.
    pub(super) fn look(&self) {
        let waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        for waited in waited.values() {
            waited.news.send_modify(|news| news.looks += 1);
        }
    }
}

impl Waiter {
    /// What was heard so far is no news any more.
    pub(super) fn mark_seen(&mut self) {
        self.news.mark_unchanged();
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) {
        // The sender lives as long as this does.
        drop(self.news.changed().await);
    }

    /// Whether the lease with this token was announced to have ended.
    pub(super) fn heard_the_end_of(&self, token: &Token) -> bool {
        self.news.borrow().ended.as_ref() == Some(token)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waited = self.waiters.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = waited.get_mut(self.key.as_str()) {
            entry.waiters -= 1;
            if entry.waiters == 0 {
                waited.remove(self.key.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn key(name: &str) -> StoreKey {
        StoreKey::config(&name.parse().unwrap())
    }

    #[test]
    fn an_announcement_reaches_all_who_wait_for_the_key_and_nobody_else() {
        let waiters = Waiters::new(10);
        let [a, b] = ["a", "b"].map(key);
        let [mut first, mut second, mut other] = [&a, &a, &b].map(|key| waiters.join(key).unwrap());
        let token = Token::random(None);
        waiters.announce(a.as_str(), token.clone());
        for waiter in [&mut first, &mut second] {
            assert!(waiter.news().now_or_never().is_some());
            assert!(waiter.heard_the_end_of(&token));
            assert!(waiter.news().now_or_never().is_none(), "heard twice");
        }
        assert!(other.news().now_or_never().is_none());
        waiters.look();
        assert!(other.news().now_or_never().is_some());
        assert!(!other.heard_the_end_of(&token));
    }

    #[test]
    fn keys_are_bounded_and_forgotten_with_their_last_waiter() {
        let waiters = Waiters::new(1);
        let [a, b] = ["a", "b"].map(key);
        let (first, second) = (waiters.join(&a).unwrap(), waiters.join(&a).unwrap());
        assert!(waiters.join(&b).is_none());
        drop(first);
        assert!(waiters.join(&b).is_none());
        drop(second);
        assert!(waiters.join(&b).is_some());
        assert!(waiters.waited.lock().unwrap().is_empty());
    }
}
