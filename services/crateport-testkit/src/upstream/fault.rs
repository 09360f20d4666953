//! What can go wrong, for which requests, how often.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Target;
use super::gate::Latch;

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Index files, without `config.json`.
    Index,
    /// Downloads.
    Crates,
    /// `config.json`.
    Config,
    /// The search of the web API.
    Search,
    /// Dist files.
    Files,
    /// One path, without query; see [`super::ScriptedUpstream::index_path`].
    Path(String),
    /// Every request.
    All,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Until [`super::ScriptedUpstream::heal`].
    Always,
    /// For the next so many matching requests.
    Next(usize),
}

/// What goes wrong. Faults of the body are seen even by conditional requests: they get a 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The whole answer is late.
    Slow(Duration),
    /// The body trickles.
    SlowBody {
        /// At least 1.
        bytes_per_second: u64,
    },
    /// The request is read and never answered.
    Hang,
    /// The head and some first bytes, then nothing more; the connection stays open.
    HangBody,
    /// The whole server refuses connections, like [`super::ScriptedUpstream::stop`].
    Refuse,
    /// RST after the request was read (over h2: RST_STREAM).
    Reset,
    /// `Content-Length` is larger than what is sent, then the connection closes (over h2: RST_STREAM).
    Truncated,
    /// Chunks without the last one, then the connection closes (over h2: RST_STREAM).
    TruncatedChunked,
    /// 200 with a right length, but the body ends in the middle of its last line.
    CutAtLine,
    /// 200 with the right length and one bit flipped.
    WrongChecksum,
    /// 200 with a page for people.
    Html,
    /// 200 with length 0.
    Empty,
    /// Only a status and a short text.
    Status(u16),
    /// 429.
    TooManyRequests {
        /// Sent in whole seconds.
        retry_after: Duration,
    },
    /// 302 to this location.
    Redirect(String),
    /// 302 to the same URL, for ever.
    RedirectLoop,
}

impl Fault {
    /// Whether it shows only in a body, so that a 304 would hide it.
    pub(super) fn needs_body(&self) -> bool {
        match self {
            Self::SlowBody { .. }
            | Self::HangBody
            | Self::Truncated
            | Self::TruncatedChunked
            | Self::CutAtLine
            | Self::WrongChecksum
            | Self::Html
            | Self::Empty => true,
            Self::Slow(_)
            | Self::Hang
            | Self::Refuse
            | Self::Reset
            | Self::Status(_)
            | Self::TooManyRequests { .. }
            | Self::Redirect(_)
            | Self::RedirectLoop => false,
        }
    }
}

impl On {
    fn matches(&self, target: &Target, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Path(wanted) => wanted == path,
            Self::Index => matches!(target, Target::Index(_)),
            Self::Crates => matches!(target, Target::Crate(_)),
            Self::Config => matches!(target, Target::Config),
            Self::Search => matches!(target, Target::Search),
            Self::Files => matches!(target, Target::File(_)),
        }
    }
}

/// The script: faults and gates that are set.
#[derive(Default)]
pub(super) struct Rules {
    faults: Vec<(On, Fault, Times)>,
    gates: Vec<(On, Hold)>,
}

/// A gate and where in the answer it stands: before the head, or behind so many bytes of the body.
#[derive(Clone)]
pub(super) struct Hold {
    pub(super) after_bytes: Option<usize>,
    pub(super) latch: Arc<Latch>,
}

impl Rules {
    pub(super) fn add(&mut self, on: On, fault: Fault, times: Times) {
        self.faults.push((on, fault, times));
    }

    pub(super) fn add_gate(&mut self, on: On, after_bytes: Option<usize>, latch: Arc<Latch>) {
        self.gates.push((on, Hold { after_bytes, latch }));
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The fault this request meets; counted down.
    pub(super) fn take_fault(&mut self, target: &Target, path: &str) -> Option<Fault> {
        self.faults.retain(|(_, _, times)| *times != Times::Next(0));
        let (_, fault, times) =
            self.faults.iter_mut().rev().find(|(on, _, _)| on.matches(target, path))?;
        if let Times::Next(left) = times {
            *left -= 1;
        }
        Some(fault.clone())
    }

    /// The gates this request stands at.
    pub(super) fn gates(&mut self, target: &Target, path: &str) -> Vec<Hold> {
        self.gates.retain(|(_, hold)| !hold.latch.is_open());
        self.gates
            .iter()
            .filter(|(on, _)| on.matches(target, path))
            .map(|(_, hold)| hold.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_matching_fault_wins_until_it_is_used_up() {
        let mut rules = Rules::default();
        rules.add(On::All, Fault::Status(500), Times::Always);
        rules.add(On::Index, Fault::Status(502), Times::Next(2));
        rules.add(On::Path("/index/1/a".to_owned()), Fault::Empty, Times::Next(1));
        let index = Target::Index("1/a".to_owned());
        let faults =
            (0..4).map(|_| rules.take_fault(&index, "/index/1/a").unwrap()).collect::<Vec<_>>();
        assert_eq!(
            faults,
            [Fault::Empty, Fault::Status(502), Fault::Status(502), Fault::Status(500)]
        );
        assert_eq!(
            rules.take_fault(&Target::Config, "/index/config.json"),
            Some(Fault::Status(500))
        );
        rules.clear();
        assert_eq!(rules.take_fault(&index, "/index/1/a"), None);
    }
}
