//! What goes wrong, for which operations, how often; and how often each was asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::upstream::Times;

/// An operation, by its name in the S3 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the S3 API")]
pub enum S3Operation {
    PutObject,
    GetObject,
    HeadObject,
    DeleteObject,
    ListObjects,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListMultipartUploads,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// It is done, but late.
    Slow(Duration),
    /// The request is read and never answered.
    Hang,
    /// The connection closes in place of an answer; nothing was done.
    Drop,
    /// It is done, and the connection closes in place of the answer.
    LoseAnswer,
    /// Only an error; nothing was done.
    Answer(u16, &'static str),
    /// The body of a `GetObject` ends after so many bytes, with its connection.
    TruncateBody(usize),
    /// The body of a `GetObject` stops after so many bytes, and the connection stays open.
    HangBody(usize),
}

/// The status that never leaves the server: the connection closes instead.
pub(super) const CLOSE_STATUS: u16 = 599;

#[derive(Default)]
pub(super) struct Script(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    rules: Vec<Rule>,
    counts: [Count; S3Operation::ALL.len()],
}

struct Rule {
    on: Vec<S3Operation>,
    fault: S3Fault,
    left: Option<usize>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    total: usize,
    now: usize,
    peak: usize,
}

/// One operation under way.
pub(super) struct Visit<'a> {
    script: &'a Script,
    operation: S3Operation,
    fault: Option<S3Fault>,
}

impl S3Operation {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::PutObject,
        Self::GetObject,
        Self::HeadObject,
        Self::DeleteObject,
        Self::ListObjects,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
        Self::ListMultipartUploads,
    ];
    /// Those that change something.
    pub const WRITES: [Self; 6] = [
        Self::PutObject,
        Self::DeleteObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
    ];
}

impl S3Fault {
    /// 500.
    pub const INTERNAL_ERROR: Self = Self::Answer(500, "InternalError");
    /// 503, as when a prefix gets too many requests.
    pub const SLOW_DOWN: Self = Self::Answer(503, "SlowDown");
    /// 403, as when a policy forbids it.
    pub const ACCESS_DENIED: Self = Self::Answer(403, "AccessDenied");
    /// 400, as when the credentials' time is over.
    pub const EXPIRED_TOKEN: Self = Self::Answer(400, "ExpiredToken");
    /// 507, as when a disk is full.
    pub const STORAGE_FULL: Self = Self::Answer(507, "InsufficientStorage");
}

impl Script {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, on: &[S3Operation], fault: S3Fault, times: Times) {
        let left = match times {
            Times::Always => None,
            Times::Next(count) => Some(count),
        };
        self.lines().rules.push(Rule { on: on.to_vec(), fault, left });
    }

    pub(super) fn clear(&self) {
        self.lines().rules.clear();
    }

    pub(super) fn count(&self, operation: S3Operation) -> usize {
        self.lines().counts[operation as usize].total
    }

    pub(super) fn peak_in_flight(&self, operation: S3Operation) -> usize {
        self.lines().counts[operation as usize].peak
    }

    pub(super) fn forget_counts(&self) {
        for count in &mut self.lines().counts {
            *count = Count { now: count.now, ..Count::default() };
        }
    }

    /// An operation arrives, and learns what it meets.
    pub(super) fn enter(&self, operation: S3Operation) -> Visit<'_> {
        let mut lines = self.lines();
        let count = &mut lines.counts[operation as usize];
        count.total += 1;
        count.now += 1;
        count.peak = count.peak.max(count.now);
        let met = |rule: &&mut Rule| rule.on.contains(&operation) && rule.left != Some(0);
        let rule = lines.rules.iter_mut().rev().find(met);
        let fault = rule.map(|rule| {
            rule.left = rule.left.map(|left| left - 1);
            rule.fault
        });
        Visit { script: self, operation, fault }
    }
}

impl Visit<'_> {
    /// What happens in place of the operation. The request's body was read, so that the client hears the answer.
    pub(super) async fn before(&self) -> S3Result<()> {
        match self.fault {
            Some(S3Fault::Slow(late)) => tokio::time::sleep(late).await,
            Some(S3Fault::Hang) => std::future::pending().await,
            Some(S3Fault::Drop) => return Err(answer(CLOSE_STATUS, "Closed")),
            Some(S3Fault::Answer(status, code)) => return Err(answer(status, code)),
            _ => {}
        }
        Ok(())
    }

    /// What happens to its answer.
    pub(super) fn after<T>(&self, done: T) -> S3Result<T> {
        match self.fault {
            Some(S3Fault::LoseAnswer) => Err(answer(CLOSE_STATUS, "Closed")),
            _ => Ok(done),
        }
    }

    pub(super) fn fault(&self) -> Option<S3Fault> {
        self.fault
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.script.lines().counts[self.operation as usize].now -= 1;
    }
}

fn answer(status: u16, code: &'static str) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).expect("codes are ASCII");
    let mut error = S3Error::with_message(code, "a fault was ordered");
    error.set_status_code(s3s_status(status));
    error
}

fn s3s_status(status: u16) -> http::StatusCode {
    http::StatusCode::from_u16(status).expect("a status has three digits")
}
