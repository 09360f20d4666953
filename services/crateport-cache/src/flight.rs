//! Single-flight within one process: of all who want one key, one leads and the others wait for what it publishes.
//!
//! The work itself runs in a task of its own, so a client that leaves stops nothing. What was published stays
//! readable by everyone who holds a ticket; the key is free again when the leader's [`Takeoff`] is dropped, however
//! that happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crateport_types::StoreKey;
use tokio::sync::watch;
use tokio::time::Instant;

/// The flights under way.
#[derive(Debug)]
pub(crate) struct Flights<T>(Arc<Mutex<HashMap<StoreKey, Ticket<T>>>>);

/// A place on a flight.
#[derive(Debug)]
pub(crate) enum Seat<T> {
    /// The caller must see to the work and publish its result.
    Leader(Takeoff<T>, Ticket<T>),
    /// Somebody else does.
    Follower(Ticket<T>),
}

/// The leader's end: publishes, and frees the key when dropped.
#[derive(Debug)]
pub(crate) struct Takeoff<T> {
    flights: Flights<T>,
    key: StoreKey,
    sender: watch::Sender<Option<T>>,
}

/// Waits for what the leader publishes.
#[derive(Clone, Debug)]
pub(crate) struct Ticket<T> {
    receiver: watch::Receiver<Option<T>>,
    began: Instant,
}

/// Nothing was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResult {
    /// Not in time.
    Late,
    /// The leader ended without a word.
    Lost,
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Takes part in the flight for `key`, beginning it if there is none.
    pub(crate) fn board(&self, key: &StoreKey) -> Seat<T> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticket) = flights.get(key) {
            return Seat::Follower(ticket.clone());
        }
        let (sender, receiver) = watch::channel(None);
        let ticket = Ticket { receiver, began: Instant::now() };
        flights.insert(key.clone(), ticket.clone());
        Seat::Leader(Takeoff { flights: self.clone(), key: key.clone(), sender }, ticket)
    }

    /// A place on the flight for `key`, if one is under way.
    pub(crate) fn ticket(&self, key: &StoreKey) -> Option<Ticket<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Whether one is under way.
    pub(crate) fn has(&self, key: &StoreKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<T> Takeoff<T> {
    /// Lets everyone see `result`, those who come later included.
    pub(crate) fn publish(&self, result: T) {
        self.sender.send_replace(Some(result));
    }
}

impl<T> Drop for Takeoff<T> {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<T: Clone> Ticket<T> {
    /// When the flight began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Waits for the result until `deadline`.
    pub(crate) async fn wait(mut self, deadline: Instant) -> Result<T, NoResult> {
        match tokio::time::timeout_at(deadline, self.receiver.wait_for(Option::is_some)).await {
            Ok(Ok(result)) => (*result).clone().ok_or(NoResult::Lost),
            Ok(Err(_)) => Err(NoResult::Lost),
            Err(_) => Err(NoResult::Late),
        }
    }

    /// Waits until the flight is over and the key is free again. Tells whether that was before `deadline`.
    pub(crate) async fn over(mut self, deadline: Instant) -> bool {
        let over = async { while self.receiver.changed().await.is_ok() {} };
        tokio::time::timeout_at(deadline, over).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key() -> StoreKey {
        StoreKey::config(&"crates-io".parse().unwrap())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn one_leads_and_all_see_what_it_publishes() {
        let flights = Flights::default();
        let Seat::Leader(takeoff, first) = flights.board(&key()) else { panic!("nobody leads") };
        let Seat::Follower(second) = flights.board(&key()) else { panic!("two lead") };
        takeoff.publish(7);
        let Seat::Follower(late) = flights.board(&key()) else { panic!("the flight is not over") };
        drop(takeoff);
        for ticket in [first, second, late] {
            assert!(ticket.clone().over(soon()).await);
            assert_eq!(ticket.wait(soon()).await, Ok(7));
        }
        assert!(matches!(flights.board(&key()), Seat::Leader(..)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_dies_frees_the_key_and_tells_the_others() {
        let flights = Flights::<u8>::default();
        let Seat::Leader(takeoff, ticket) = flights.board(&key()) else { panic!("nobody leads") };
        let task = tokio::spawn(async move {
            let _takeoff = takeoff;
            panic!("the leader dies");
        });
        assert!(task.await.is_err());
        assert_eq!(ticket.wait(soon()).await, Err(NoResult::Lost));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let flights = Flights::<u8>::default();
        let Seat::Leader(_takeoff, ticket) = flights.board(&key()) else { panic!("nobody leads") };
        assert!(!ticket.clone().over(soon()).await);
        assert_eq!(ticket.wait(soon()).await, Err(NoResult::Late));
    }
}
