//! What clients see while a fault lasts.

use super::{Fault, Part, Situation, Wrong};

/// What a client sees of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The right bytes, as upstream has them now, at the first try.
    Served,
    /// An older index file, said to be so.
    Stale,
    /// Tries may fail where the client can see it, and a later one is served while the fault lasts.
    Retried,
    /// A clear failure as long as the fault lasts: 503 with `Retry-After`, or a connection that is visibly of no use.
    Failed,
    /// 404, which is upstream's own word.
    Absent,
}

pub(super) fn expected(part: Part, fault: Fault, situation: Situation) -> Seen {
    match part {
        // Redis only saves work.
        Part::Redis => Seen::Served,
        Part::Bucket => of_the_bucket(fault, situation),
        Part::Upstream => of_upstream(fault, situation),
        Part::Replica => of_a_replica(fault),
        Part::Way => of_the_way(fault),
    }
}

/// What the bucket cannot give, upstream can.
fn of_the_bucket(fault: Fault, situation: Situation) -> Seen {
    match (fault, situation) {
        // The head of the answer has left before the body breaks off.
        (Fault::Wrong(Wrong::Truncated), Situation::WarmHit | Situation::ColdFill) => Seen::Retried,
        _ => Seen::Served,
    }
}

fn of_upstream(fault: Fault, situation: Situation) -> Seen {
    match (fault, situation) {
        (_, Situation::WarmHit) | (Fault::Slow, _) => Seen::Served,
        (Fault::Emptied, _) => Seen::Absent,
        // It lies about crates only.
        (Fault::Wrong(Wrong::Checksum), Situation::Revalidation) => Seen::Served,
        (_, Situation::ColdFill) => Seen::Failed,
        (_, Situation::Revalidation) => Seen::Stale,
    }
}

fn of_a_replica(fault: Fault) -> Seen {
    match fault {
        // The balancer takes the next one.
        Fault::DownAtStart | Fault::Killed | Fault::Slow | Fault::Emptied => Seen::Served,
        // The balancer has no eye for these, so a third of the connections meet them.
        Fault::Frozen | Fault::Resets | Fault::Wrong(_) => Seen::Retried,
    }
}

fn of_the_way(fault: Fault) -> Seen {
    match fault {
        Fault::Slow => Seen::Served,
        _ => Seen::Failed,
    }
}
