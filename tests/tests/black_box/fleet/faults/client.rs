//! A client that keeps apart what it was told: it takes nothing for whole that is not, and nothing for right that is
//! wrong.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crateport_testkit::client::{Ending, RawAnswer, RawRequest};

use super::Seen;

/// What a client wants.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) url: String,
    /// As upstream has it now.
    pub(super) current: Bytes,
    /// As upstream had it before.
    pub(super) older: Option<Bytes>,
}

/// How a client asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// How long it waits for the end of an answer.
    pub(super) patience: Duration,
    pub(super) retries: bool,
}

/// What one request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Current,
    Older,
    Absent,
    /// 503 with `Retry-After`.
    ComeAgain,
    /// A connection that was refused, cut or reset, or an answer that was.
    Broken,
    /// Nothing came while the client waited.
    Silence,
    /// What no client should ever see.
    Outrage(String),
}

/// As cargo, and a little longer: retries that go to a replica that is of no use do not count for nothing.
const TRIES_MAX: usize = 12;
const PAUSE: Duration = Duration::from_millis(200);
/// A `Retry-After` beyond this would keep a build waiting.
const RETRY_AFTER_SECONDS_MAX: u64 = 10;

impl Wanted {
    pub(super) fn only(url: String, current: Bytes) -> Self {
        Self { url, current, older: None }
    }
}

impl Asker {
    /// Asks for one thing after the other, for as long as it is given them.
    pub(super) async fn ask_for_all(self, wanted: &[Wanted]) -> Told {
        let mut told = Told::Current;
        for wanted in wanted {
            told = self.ask(wanted).await;
            if told != Told::Current {
                break;
            }
        }
        told
    }

    async fn ask(self, wanted: &Wanted) -> Told {
        let tries = if self.retries { TRIES_MAX } else { 1 };
        let mut told = Told::Silence;
        for _ in 0..tries {
            told = self.try_once(wanted).await;
            if !matches!(told, Told::ComeAgain | Told::Broken | Told::Silence) {
                break;
            }
            if self.retries {
                tokio::time::sleep(PAUSE).await;
            }
        }
        told
    }

    async fn try_once(self, wanted: &Wanted) -> Told {
        let began = Instant::now();
        let request = RawRequest::get(&wanted.url).header("connection", "close");
        let answer = request.patience(self.patience).send().await;
        let told = told(&answer, wanted);
        if let Told::Outrage(text) = told {
            return Told::Outrage(format!("{} after {:?}: {text}", wanted.url, began.elapsed()));
        }
        told
    }
}

fn told(answer: &RawAnswer, wanted: &Wanted) -> Told {
    let RawAnswer { status, ending, body, .. } = answer;
    match (status, ending) {
        (_, Ending::Silent) => Told::Silence,
        (_, Ending::Refused | Ending::Reset | Ending::ClosedEarly) => Told::Broken,
        (Some(200), Ending::Whole) if *body == wanted.current => Told::Current,
        (Some(200), Ending::Whole) if wanted.older.as_ref() == Some(body) => {
            match answer.header("x-cache") {
                Some("stale") => Told::Older,
                said => Told::Outrage(format!("an older file, and it says {said:?}")),
            }
        }
        (Some(404), Ending::Whole) => Told::Absent,
        (Some(503), Ending::Whole) => {
            let seconds = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
            match seconds {
                Some(1..=RETRY_AFTER_SECONDS_MAX) => Told::ComeAgain,
                _ => Told::Outrage(format!("503 with Retry-After {seconds:?}")),
            }
        }
        _ => {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            Told::Outrage(format!("{status:?} {ending:?}, {} bytes: {text}", body.len()))
        }
    }
}

/// Whether what a client was told is what the table says.
pub(super) fn matches(seen: Seen, told: &Told) -> bool {
    match seen {
        Seen::Served | Seen::Retried => *told == Told::Current,
        Seen::Stale => *told == Told::Older,
        Seen::Absent => *told == Told::Absent,
        Seen::Failed => matches!(told, Told::ComeAgain | Told::Broken | Told::Silence),
    }
}
