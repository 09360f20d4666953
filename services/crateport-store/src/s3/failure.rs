//! What the SDK's errors mean to the store.

use std::error::Error;
use std::io;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Why a request did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// The object is not there.
    Absent,
    /// The range lies behind the object's end.
    OutOfRange,
    /// The condition of a write did not hold, or another write was under way.
    Condition,
    /// Anything else. Its kind says what can be done about it.
    Error(io::Error),
}

/// The longest message of a server that is repeated.
const MESSAGE_CHARS_MAX: usize = 200;

impl Failure {
    /// Sorts an error of any operation.
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(refused) => {
                let (status, meta) = (refused.raw().status().as_u16(), refused.err().meta());
                judge(status, meta.code(), meta.message())
            }
            SdkError::TimeoutError(_) => {
                Self::Error(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
            }
            SdkError::DispatchFailure(failure) => {
                let kind = match failure {
                    failure if failure.is_timeout() => io::ErrorKind::TimedOut,
                    failure if failure.is_io() => io::ErrorKind::ConnectionAborted,
                    _ => io::ErrorKind::Other,
                };
                Self::Error(io::Error::new(kind, told(error)))
            }
            _ => Self::Error(io::Error::other(told(error))),
        }
    }

    /// As an error, whatever it is.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Absent => io::Error::new(io::ErrorKind::NotFound, "it is not there"),
            Self::OutOfRange => io::Error::other("the range lies behind its end"),
            Self::Condition => io::Error::other("another writer was first"),
            Self::Error(error) => error,
        }
    }
}

/// Sorts what a server answered.
fn judge(status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
    let code = code.unwrap_or_default();
    let kind = match (status, code) {
        // `NotFound` is what the SDK makes of a 404 to HEAD, which has no body. A 404 without a code is no answer of
        // an object store, and a missing bucket is no missing object.
        (404, "NoSuchKey" | "NotFound") => return Failure::Absent,
        (416, _) => return Failure::OutOfRange,
        (409 | 412, _) => return Failure::Condition,
        // These end when credentials are renewed, or clocks agree.
        (
            _,
            "ExpiredToken" | "TokenRefreshRequired" | "RequestTimeTooSkewed" | "RequestExpired",
        ) => io::ErrorKind::Other,
        (401 | 403, _) => io::ErrorKind::PermissionDenied,
        (507, _) | (_, "QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull") => {
            io::ErrorKind::StorageFull
        }
        _ => io::ErrorKind::Other,
    };
    let message: String = message.unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
    let text = [&format!("the server says {status}"), code, &message].map(str::trim).join(" ");
    Failure::Error(io::Error::new(kind, text.trim_end().to_owned()))
}

/// The innermost cause says most: the ones around it only say that there is one.
fn told<E: Error + 'static>(error: &SdkError<E>) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_meaning() {
        let kinds = [
            (500, Some("InternalError"), io::ErrorKind::Other),
            (503, Some("SlowDown"), io::ErrorKind::Other),
            (403, Some("AccessDenied"), io::ErrorKind::PermissionDenied),
            (403, None, io::ErrorKind::PermissionDenied),
            (403, Some("RequestTimeTooSkewed"), io::ErrorKind::Other),
            (400, Some("ExpiredToken"), io::ErrorKind::Other),
            (404, Some("NoSuchBucket"), io::ErrorKind::Other),
            (404, None, io::ErrorKind::Other),
            (507, None, io::ErrorKind::StorageFull),
        ];
        for (status, code, kind) in kinds {
            let Failure::Error(error) = judge(status, code, Some("a message")) else {
                panic!("{status} {code:?}")
            };
            assert_eq!(error.kind(), kind, "{status} {code:?}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
        assert!(matches!(judge(404, Some("NoSuchKey"), None), Failure::Absent));
        assert!(matches!(judge(404, Some("NotFound"), None), Failure::Absent));
        assert!(matches!(judge(412, None, None), Failure::Condition));
        assert!(matches!(judge(416, None, None), Failure::OutOfRange));
    }
}
