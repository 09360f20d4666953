//! When Redis is to be left alone: judged from how questions went, one after the other.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// How a question went, as far as the connection is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was answered, be it with a refusal.
    Answered,
    /// It was not answered in time, or the server is not fit to answer.
    Failed,
    /// The connection is of no use any more; another one may be.
    Broken,
    /// The server cannot do what a coordinator needs, and says so: it is a replica. Asking again soon is in vain, but
    /// later on another one may stand there.
    Useless,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Stay,
    /// Connect again at once.
    Reconnect,
    /// Leave it alone for a while.
    Open,
}

/// Counts failures, one after the other.
#[derive(Debug)]
pub(super) struct Circuit {
    failures: u32,
    failures_max: u32,
}

impl Circuit {
    pub(super) fn new(failures_max: u32) -> Self {
        Self { failures: 0, failures_max }
    }

    pub(super) fn judge(&mut self, turn: Turn) -> Verdict {
        match turn {
            Turn::Answered => {
                self.failures = 0;
                Verdict::Stay
            }
            Turn::Failed => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= self.failures_max { Verdict::Open } else { Verdict::Stay }
            }
            Turn::Broken => Verdict::Reconnect,
            Turn::Useless => Verdict::Open,
        }
    }
}

impl Turn {
    /// What an error says about the connection.
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::Useless,
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
                // The cluster's client follows these; they are seen when they lead nowhere.
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            )
            | ErrorKind::ClusterConnectionNotFound => Self::Failed,
            ErrorKind::Io if error.is_timeout() => Self::Failed,
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => Self::Broken,
            _ => Self::Answered,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn failures_open_it_when_they_come_one_after_the_other() {
        use Turn::{Answered, Broken, Failed, Useless};
        use Verdict::{Open, Reconnect, Stay};
        for (turns, verdict) in [
            (vec![Answered], Stay),
            (vec![Failed, Failed], Stay),
            (vec![Failed, Failed, Failed], Open),
            (vec![Failed, Failed, Answered, Failed], Stay),
            (vec![Broken], Reconnect),
            (vec![Useless], Open),
        ] {
            let mut circuit = Circuit::new(3);
            let last = turns.iter().fold(Stay, |_, turn| circuit.judge(*turn));
            assert_eq!(last, verdict, "{turns:?}");
        }
    }

    #[test]
    fn errors_say_what_the_connection_is_good_for() {
        let server = |code: &str| redis::make_extension_error(code.to_owned(), None);
        let kind = |kind: ServerErrorKind| RedisError::from((ErrorKind::Server(kind), "said so"));
        let io = |kind: io::ErrorKind| RedisError::from(io::Error::from(kind));
        for (error, turn) in [
            (server("OOM"), Turn::Answered),
            (kind(ServerErrorKind::NoPerm), Turn::Answered),
            (kind(ServerErrorKind::NoScript), Turn::Answered),
            (kind(ServerErrorKind::BusyLoading), Turn::Failed),
            (kind(ServerErrorKind::ClusterDown), Turn::Failed),
            (kind(ServerErrorKind::Moved), Turn::Failed),
            (kind(ServerErrorKind::ReadOnly), Turn::Useless),
            (io(io::ErrorKind::TimedOut), Turn::Failed),
            (io(io::ErrorKind::ConnectionReset), Turn::Broken),
            (io(io::ErrorKind::UnexpectedEof), Turn::Broken),
        ] {
            assert_eq!(Turn::of(&error), turn, "{error}");
        }
    }
}
