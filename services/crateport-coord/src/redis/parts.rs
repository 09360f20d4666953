//! The parts of a cluster, each of which is left alone by itself: one node that is down or frozen takes its keys along,
//! and is not to cost the others anything, nor those who ask for its own keys more than a moment.
//!
//! A part is a run of hash slots. Which node serves which slots is not asked: a node has runs of its own, so a part
//! mostly is on one node, as long as there are not many more nodes than parts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::circuit::{Circuit, Turn, Verdict};
use super::jitter::between_one_and_two;

const SLOTS: u16 = 16_384;
const PARTS: u16 = 16;

/// All parts.
#[derive(Debug)]
pub(super) struct Parts {
    parts: Vec<Mutex<Part>>,
    failures_max: u32,
    pause: Duration,
}

#[derive(Debug)]
struct Part {
    circuit: Circuit,
    left_alone_until: Option<Instant>,
}

impl Parts {
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        let part =
            || Mutex::new(Part { circuit: Circuit::new(failures_max), left_alone_until: None });
        Self { parts: (0..PARTS).map(|_| part()).collect(), failures_max, pause }
    }

    /// Whether the part of `key` may be asked. Once its pause is over, one question may go; the others wait for
    /// another pause, or for the answer.
    pub(super) fn admits(&self, key: &str) -> bool {
        self.with(key, true, |part| match part.left_alone_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                part.left_alone_until = Some(Instant::now() + between_one_and_two(self.pause));
                true
            }
            None => true,
        })
    }

    /// Takes note of how a question about `key` went.
    pub(super) fn judge(&self, key: &str, turn: Turn) {
        self.with(key, (), |part| match part.circuit.judge(turn) {
            Verdict::Stay if turn == Turn::Answered => part.left_alone_until = None,
            Verdict::Stay | Verdict::Reconnect => {}
            Verdict::Open => {
                part.left_alone_until = Some(Instant::now() + between_one_and_two(self.pause));
            }
        });
    }

    /// There is a new connection: everything may be asked.
    pub(super) fn reset(&self) {
        for part in &self.parts {
            let circuit = Circuit::new(self.failures_max);
            *part.lock().unwrap_or_else(PoisonError::into_inner) =
                Part { circuit, left_alone_until: None };
        }
    }

    fn with<T>(&self, key: &str, otherwise: T, work: impl FnOnce(&mut Part) -> T) -> T {
        match self.parts.get(usize::from(slot(key) / (SLOTS / PARTS))) {
            Some(part) => work(&mut part.lock().unwrap_or_else(PoisonError::into_inner)),
            // There are as many as there can be.
            None => otherwise,
        }
    }
}

/// The hash slot of a key: the CRC-16 (XMODEM) of its hash tag, as the cluster specification says.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // `CLUSTER KEYSLOT` says so.
        for (key, expected) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("a{foo}b", 12_182),
            ("{}foo", slot("{}foo")),
            ("", 0),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_fails_is_left_alone_and_then_asked_once() {
        let pause = Duration::from_secs(1);
        let parts = Parts::new(3, pause);
        for _ in 0..3 {
            assert!(parts.admits("foo"));
            parts.judge("foo", Turn::Failed);
        }
        assert!(!parts.admits("foo"));
        assert!(parts.admits(""), "another part is asked");
        tokio::time::advance(pause * 2).await;
        assert!(parts.admits("foo"));
        assert!(!parts.admits("foo"), "one question is enough to find out");
        parts.judge("foo", Turn::Failed);
        assert!(!parts.admits("foo"));
        tokio::time::advance(pause * 2).await;
        assert!(parts.admits("foo"));
        parts.judge("foo", Turn::Answered);
        assert!(parts.admits("foo") && parts.admits("foo"));
    }
}
