//! How an answer goes out on the wire: pure planning, the same for HTTP/1.1 and h2. Faults act here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer::Answer;
use super::builder::Settings;
use super::fault::{Fault, Hold};
use super::gate::Latch;
use super::registry::flip_middle_byte;

/// A paced body goes out in this many pieces a second.
const PIECES_PER_SECOND: u64 = 20;
/// What a body that hangs shows first, or half of it if that is less.
const HANG_FIRST_BYTES: usize = 64;
const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n";

/// How the length of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding: chunked`; over h2 simply no length.
    Chunked,
}

pub(super) struct Delivery {
    /// Before the head.
    pub(super) waits: Vec<Wait>,
    /// `None` sends nothing at all.
    pub(super) head: Option<Head>,
    pub(super) body: VecDeque<Part>,
    pub(super) end: End,
}

pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) length: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    Chunked,
    /// 204 and 304 have no body to measure.
    NoBody,
}

pub(super) enum Part {
    Send(Bytes),
    Wait(Wait),
}

#[derive(Clone)]
pub(super) enum Wait {
    Sleep(Duration),
    Gate(Arc<Latch>),
    Forever,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The answer is whole; the connection lives on.
    Clean,
    /// The connection closes as if all were well.
    Close,
    /// The connection is reset.
    Reset,
}

impl Wait {
    pub(super) async fn over(&self) {
        match self {
            Self::Sleep(time) => tokio::time::sleep(*time).await,
            Self::Gate(latch) => latch.pass().await,
            Self::Forever => std::future::pending().await,
        }
    }
}

pub(super) fn plan(
    mut answer: Answer,
    path: &str,
    fault: Option<&Fault>,
    settings: &Settings,
    holds: Vec<Hold>,
) -> Delivery {
    replace(&mut answer, path, fault);
    let whole = answer.body.len();
    let mut length = match settings.framing {
        _ if matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
            Length::NoBody
        }
        Framing::ContentLength => Length::Known(whole),
        Framing::Chunked => Length::Chunked,
    };
    let mut sent = answer.body;
    let mut end = End::Clean;
    match fault {
        Some(Fault::Truncated) => {
            // One byte more than there is, should there be none to leave out.
            length = Length::Known(whole.max(1));
            sent.truncate(whole / 2);
            end = End::Close;
        }
        Some(Fault::TruncatedChunked) => {
            length = Length::Chunked;
            sent.truncate(whole / 2);
            end = End::Close;
        }
        Some(Fault::HangBody) => sent.truncate(HANG_FIRST_BYTES.min(whole / 2)),
        _ => {}
    }
    let bytes_per_second = match fault {
        Some(Fault::SlowBody { bytes_per_second }) => Some(*bytes_per_second),
        _ => settings.bytes_per_second,
    };
    let mut body = pace(sent, bytes_per_second);
    let mut waits = Vec::new();
    for Hold { after_bytes, latch } in holds {
        match after_bytes {
            None => waits.push(Wait::Gate(latch)),
            Some(offset) => insert_wait(&mut body, offset, Wait::Gate(latch)),
        }
    }
    if !settings.latency.is_zero() {
        waits.push(Wait::Sleep(settings.latency));
    }
    let mut head = Some(Head { status: answer.status, headers: answer.headers, length });
    match fault {
        Some(Fault::Slow(time)) => waits.push(Wait::Sleep(*time)),
        Some(Fault::HangBody) => body.push_back(Part::Wait(Wait::Forever)),
        Some(Fault::Hang) => {
            waits.push(Wait::Forever);
            head = None;
        }
        Some(Fault::Reset) => {
            head = None;
            end = End::Reset;
        }
        _ => {}
    }
    Delivery { waits, head, body, end }
}

/// The faults that put another answer in place of the honest one.
fn replace(answer: &mut Answer, path: &str, fault: Option<&Fault>) {
    let bare =
        |status: StatusCode| Answer::text(status, "text/plain", format!("scripted: {status}\n"));
    let redirect = |location: &str| {
        let mut answer = bare(StatusCode::FOUND);
        answer
            .headers
            .insert(LOCATION, HeaderValue::from_str(location).expect("a location is ASCII"));
        answer
    };
    match fault {
        Some(Fault::CutAtLine) => answer.body.truncate(middle_of_last_line(&answer.body)),
        Some(Fault::WrongChecksum) => answer.body = flip_middle_byte(&answer.body),
        Some(Fault::Html) => {
            *answer = Answer::text(StatusCode::OK, "text/html; charset=utf-8", HTML_PAGE);
        }
        Some(Fault::Empty) => {
            let kind = answer.headers.get(CONTENT_TYPE).cloned();
            *answer = Answer::text(StatusCode::OK, "text/plain", Bytes::new());
            answer.headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        }
        Some(Fault::Status(status)) => {
            *answer = bare(StatusCode::from_u16(*status).expect("a status from 100 to 999"));
        }
        Some(Fault::TooManyRequests { retry_after }) => {
            *answer = bare(StatusCode::TOO_MANY_REQUESTS);
            answer.headers.insert(RETRY_AFTER, retry_after.as_secs().into());
        }
        Some(Fault::Redirect(location)) => *answer = redirect(location),
        Some(Fault::RedirectLoop) => *answer = redirect(path),
        _ => {}
    }
}

fn middle_of_last_line(body: &[u8]) -> usize {
    let end = body.strip_suffix(b"\n").unwrap_or(body).len();
    let start =
        body[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    start + (end - start) / 2
}

fn pace(mut body: Bytes, bytes_per_second: Option<u64>) -> VecDeque<Part> {
    let Some(rate) = bytes_per_second else {
        return if body.is_empty() { VecDeque::new() } else { VecDeque::from([Part::Send(body)]) };
    };
    let rate = rate.max(1);
    let piece = (rate / PIECES_PER_SECOND).max(1);
    let pause = Duration::from_secs_f64(piece as f64 / rate as f64);
    let piece = usize::try_from(piece).unwrap_or(usize::MAX);
    let mut parts = VecDeque::new();
    while !body.is_empty() {
        parts.push_back(Part::Send(body.split_to(piece.min(body.len()))));
        parts.push_back(Part::Wait(Wait::Sleep(pause)));
    }
    parts
}

/// Puts a wait behind the first `offset` bytes, or at the end of a shorter body.
fn insert_wait(body: &mut VecDeque<Part>, offset: usize, wait: Wait) {
    let mut left = offset;
    for index in 0..body.len() {
        let Part::Send(bytes) = &mut body[index] else { continue };
        if left < bytes.len() {
            let first = bytes.split_to(left);
            let place = [Part::Send(first), Part::Wait(wait)];
            for (distance, part) in place.into_iter().enumerate() {
                body.insert(index + distance, part);
            }
            return;
        }
        left -= bytes.len();
    }
    body.push_back(Part::Wait(wait));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(body: &'static str, fault: &Fault) -> (Option<u16>, Option<Length>, String, End) {
        let answer = Answer::text(StatusCode::OK, "text/plain", body);
        let delivery = plan(answer, "/p", Some(fault), &Settings::default(), Vec::new());
        let mut text = String::new();
        for part in delivery.waits.into_iter().map(Part::Wait).chain(delivery.body) {
            match part {
                Part::Send(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Part::Wait(Wait::Sleep(_)) => text.push('~'),
                Part::Wait(Wait::Gate(_)) => text.push('|'),
                Part::Wait(Wait::Forever) => text.push('∞'),
            }
        }
        let head = delivery.head;
        (
            head.as_ref().map(|head| head.status.as_u16()),
            head.map(|head| head.length),
            text,
            delivery.end,
        )
    }

    #[test]
    fn each_fault_has_its_plan() {
        use End::{Clean, Close, Reset};
        let body = "one\nother\n";
        let known = |length| Some(Length::Known(length));
        let table = [
            (Fault::Slow(Duration::from_secs(1)), (Some(200), known(10), "~one\nother\n", Clean)),
            (
                Fault::SlowBody { bytes_per_second: 100 },
                (Some(200), known(10), "one\no~ther\n~", Clean),
            ),
            (Fault::Hang, (None, None, "∞one\nother\n", Clean)),
            (Fault::HangBody, (Some(200), known(10), "one\no∞", Clean)),
            (Fault::Reset, (None, None, "one\nother\n", Reset)),
            (Fault::Truncated, (Some(200), known(10), "one\no", Close)),
            (Fault::TruncatedChunked, (Some(200), Some(Length::Chunked), "one\no", Close)),
            (Fault::CutAtLine, (Some(200), known(6), "one\not", Clean)),
            (Fault::WrongChecksum, (Some(200), known(10), "one\nouher\n", Clean)),
            (Fault::Html, (Some(200), known(HTML_PAGE.len()), HTML_PAGE, Clean)),
            (Fault::Empty, (Some(200), known(0), "", Clean)),
            (
                Fault::Status(204),
                (Some(204), Some(Length::NoBody), "scripted: 204 No Content\n", Clean),
            ),
            (Fault::RedirectLoop, (Some(302), known(20), "scripted: 302 Found\n", Clean)),
        ];
        for (fault, (status, length, text, end)) in table {
            assert_eq!(planned(body, &fault), (status, length, text.to_owned(), end), "{fault:?}");
        }
    }

    #[test]
    fn a_wait_goes_behind_its_bytes() {
        for (offset, lengths) in [(0, [0, 4, 4]), (3, [3, 1, 4]), (4, [4, 0, 4])] {
            let mut body = VecDeque::from(["abcd", "efgh"].map(|text| Part::Send(text.into())));
            insert_wait(&mut body, offset, Wait::Forever);
            let sends = body.iter().filter_map(|part| match part {
                Part::Send(bytes) => Some(bytes.len()),
                Part::Wait(_) => None,
            });
            assert_eq!(sends.collect::<Vec<_>>(), lengths, "{offset}");
        }
        let mut short = VecDeque::from([Part::Send("ab".into())]);
        insert_wait(&mut short, 9, Wait::Forever);
        assert!(matches!(short.back(), Some(Part::Wait(_))));
    }
}
