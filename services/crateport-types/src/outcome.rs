//! How a request ended, in words that the `x-cache` header, the log and the metrics share.

/// What the cache did to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Served from what was here, without asking upstream.
    Hit,
    /// This request began the fill and was served from it.
    Fill,
    /// Another request's fill was under way, and this one was served from it.
    Join,
    /// Upstream was asked, and what it has is what was served.
    Revalidated,
    /// Upstream could not be asked in time; the last good answer was served.
    Stale,
    /// Upstream said that it does not exist.
    Absent,
    /// Passed on to upstream and back, not cached.
    Forwarded,
    /// Could not be answered now; the client should try again.
    Unavailable,
    /// The request itself cannot be answered.
    Refused,
}

/// Why the outcome is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Younger than its time to live.
    Fresh,
    /// Immutable and here.
    Stored,
    /// Not here yet.
    Missing,
    /// Upstream said 304, or sent the same bytes.
    Unchanged,
    /// Upstream had newer bytes.
    Changed,
    /// Upstream said 404, 410 or 451.
    UpstreamAbsent,
    /// Upstream said so a short while ago.
    RememberedAbsent,
    /// The index file has no such version.
    NotInIndex,
    /// Upstream cannot be reached.
    UpstreamConnect,
    /// Upstream did not answer in time.
    UpstreamTimeout,
    /// Upstream is slower than a client should wait for a refresh.
    UpstreamSlow,
    /// Upstream's answer broke off.
    UpstreamCut,
    /// Upstream answered with an error status.
    UpstreamStatus,
    /// Upstream asked us to slow down.
    UpstreamRateLimited,
    /// Upstream's answer is not what it should be.
    UpstreamInvalid,
    /// Upstream failed so often that it is left alone for a while.
    UpstreamCircuitOpen,
    /// An address that upstream led to is not allowed.
    UpstreamForbidden,
    /// The bytes do not have their checksum.
    ChecksumMismatch,
    /// What another replica sent is not what it should be.
    PeerInvalid,
    /// Larger than the configured limit.
    TooLarge,
    /// The object store failed.
    StoreFailed,
    /// Too much at once.
    Overloaded,
    /// Never touches upstream, by configuration.
    Offline,
    /// Nothing is known by that path or method.
    BadRequest,
    /// Made by this Crateport itself.
    Own,
}

/// How the bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// From memory.
    Memory,
    /// From the object store, through this process.
    Stream,
    /// From a fill that is under way.
    Spool,
    /// As the address of the object in the store.
    Redirect,
    /// No body.
    Empty,
}

impl Outcome {
    /// Every outcome, for tables.
    pub const ALL: [Self; 9] = [
        Self::Hit,
        Self::Fill,
        Self::Join,
        Self::Revalidated,
        Self::Stale,
        Self::Absent,
        Self::Forwarded,
        Self::Unavailable,
        Self::Refused,
    ];

    /// The word in headers, logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Fill => "fill",
            Self::Join => "join",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::Forwarded => "forwarded",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
        }
    }
}

impl Reason {
    /// The word in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stored => "stored",
            Self::Missing => "missing",
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::UpstreamAbsent => "upstream-absent",
            Self::RememberedAbsent => "remembered-absent",
            Self::NotInIndex => "not-in-index",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamSlow => "upstream-slow",
            Self::UpstreamCut => "upstream-cut",
            Self::UpstreamStatus => "upstream-status",
            Self::UpstreamRateLimited => "upstream-rate-limited",
            Self::UpstreamInvalid => "upstream-invalid",
            Self::PeerInvalid => "peer-invalid",
            Self::UpstreamCircuitOpen => "upstream-circuit-open",
            Self::UpstreamForbidden => "upstream-forbidden",
            Self::ChecksumMismatch => "checksum-mismatch",
            Self::TooLarge => "too-large",
            Self::StoreFailed => "store-failed",
            Self::Overloaded => "overloaded",
            Self::Offline => "offline",
            Self::BadRequest => "bad-request",
            Self::Own => "own",
        }
    }
}

impl DeliveryKind {
    /// Every delivery, for tables.
    pub const ALL: [Self; 5] =
        [Self::Memory, Self::Stream, Self::Spool, Self::Redirect, Self::Empty];

    /// The word in logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Stream => "stream",
            Self::Spool => "spool",
            Self::Redirect => "redirect",
            Self::Empty => "empty",
        }
    }
}
