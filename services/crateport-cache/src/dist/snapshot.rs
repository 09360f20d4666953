//! Dist files that change: given as [`Given`](super::given) says, confirmed by upstream once per TTL for all who want
//! them, and stale rather than not at all.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_coord::Note;
use crateport_types::{DistPath, Outcome, Reason};
use crateport_upstream::Condition;
use tokio::time::Instant;

use super::given::{Given, Told};
use super::renewal::{RenewalTicket, Renewed};
use super::tracked::{Heard, Look};
use super::{Dist, absent, sum, unavailable, wanted};
use crate::cache::Inner;
use crate::flight::NoResult;
use crate::index::{late, unasked};
use crate::{Answer, Failure, Redirects, ServeError};

/// The longest that a client which could be given a known content waits for upstream's word while upstream is well.
/// rustup waits for minutes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether upstream is still well.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest that a client waits for a content to be given everywhere, whatever the clocks say.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// How an answer came about.
#[derive(Clone, Copy)]
struct Story {
    outcome: Outcome,
    reason: Reason,
    status: Option<u16>,
}

impl Inner {
    /// The `.sha256` of a file that changes. It is the question by which rustup finds out that there is something
    /// new, so it waits for upstream's word.
    pub(super) async fn serve_snapshot_sum(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Answer, ServeError> {
        let (mut story, content) = self.current(dist, path).await?;
        let deadline = Instant::now() + HOLD_MAX;
        let mut given = match content {
            Some(given) => given,
            None => return Err(unavailable(path, late(NoResult::Lost))),
        };
        let digest = loop {
            match given.sum(SystemTime::now()) {
                Told::Sum(digest) => break digest,
                Told::After(left) if Instant::now() + left <= deadline => {
                    tokio::time::sleep(left).await;
                    story.reason = Reason::Changed;
                    if story.outcome == Outcome::Hit {
                        story.outcome = Outcome::Revalidated;
                    }
                    given = self.look(dist, path).await?.unwrap_or(given);
                }
                // Some clock is far off. The file agrees for now, and that is the best there is.
                Told::After(_) => break given.content(SystemTime::now()),
            }
        };
        Ok(story.tell(sum(path, &digest, story.outcome, story.reason)))
    }

    /// A file that changes. It never waits for upstream when there is a content: whoever asked for its checksum
    /// before must get the file that had it.
    pub(super) async fn serve_snapshot(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let requested = Instant::now();
        let Some(given) = self.look(dist, path).await? else {
            return self.serve_first(dist, path, redirects, requested).await;
        };
        if !self.is_fresh(dist, path, &given.newest()).await {
            if self.is_known_absent(dist, path).await {
                return Err(absent(path, Reason::RememberedAbsent, None));
            }
            // The next who asks finds what this brings.
            drop(self.renew(dist, path, None));
        }
        let content = given.content(SystemTime::now());
        let key = dist.content_key(path, &content);
        if let Some(answer) = self.serve_stored(&key, &content, redirects).await {
            return Ok(answer);
        }
        // The store has lost it. Upstream may have the same still; if not, what it has now takes its place.
        let given = match self.renewed(dist, path).await? {
            Some(given) => given.content(SystemTime::now()),
            None => content,
        };
        let key = dist.content_key(path, &given);
        self.serve_checked(wanted(dist, path, key, given), redirects).await
    }

    /// A file that nobody has asked for before: it streams while it is kept.
    async fn serve_first(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        redirects: Redirects,
        requested: Instant,
    ) -> Result<Answer, ServeError> {
        if self.is_known_absent(dist, path).await {
            return Err(absent(path, Reason::RememberedAbsent, None));
        }
        let heard = match self.heard(dist, path, requested) {
            Some(heard) => Ok(Some(heard)),
            None => self.hear(dist, path).await,
        };
        match heard {
            Ok(Some(Heard { content, asked, .. })) => {
                // The renewal takes part in the same fill, and says afterwards that this content is given.
                let wanted = wanted(dist, path, dist.content_key(path, &content), content);
                let serving = self.serve_checked(wanted, redirects).await;
                drop(self.renew(dist, path, Some((content, asked))));
                serving
            }
            Ok(None) => {
                self.tell(&dist.given_key(path), None, Note::Absent, dist.policy.absent_ttl())
                    .await;
                Err(absent(path, Reason::UpstreamAbsent, Some(404)))
            }
            Err(failure) => Err(unavailable(path, failure)),
        }
    }

    /// A record: alone, so it is given as soon as it is known.
    pub(super) async fn serve_record(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let (mut story, mut given) = self.current(dist, path).await?;
        for _ in 0..2 {
            let Some(known) = given else { break };
            let content = known.newest();
            let key = dist.content_key(path, &content);
            if let Some(answer) = self.serve_stored(&key, &content, redirects).await {
                return Ok(story.tell(Answer {
                    outcome: story.outcome,
                    reason: story.reason,
                    ..answer
                }));
            }
            // The store has lost it.
            given = self.renewed(dist, path).await?;
            story = Story { outcome: Outcome::Fill, reason: Reason::Missing, status: Some(200) };
        }
        Err(unavailable(path, late(NoResult::Lost)))
    }

    /// What is given of a file, confirmed by upstream where that can be had in time.
    async fn current(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<(Story, Option<Given>), ServeError> {
        let requested = Instant::now();
        let known = self.look(dist, path).await?;
        let fresh = match &known {
            // What is pending was heard of a moment ago.
            Some(given) if given.is_pending(SystemTime::now()) => true,
            Some(given) => self.is_fresh(dist, path, &given.newest()).await,
            None => false,
        };
        if fresh {
            let story = Story { outcome: Outcome::Hit, reason: Reason::Fresh, status: None };
            return Ok((story, known));
        }
        if self.is_known_absent(dist, path).await {
            return Err(absent(path, Reason::RememberedAbsent, None));
        }
        let heard = known.is_none().then(|| self.heard(dist, path, requested)).flatten();
        let heard = heard.map(|heard| (heard.content, heard.asked));
        let (led, ticket) = self.renew(dist, path, heard);
        let renewed = match known {
            Some(_) => self.patiently(dist, ticket).await,
            None => {
                let deadline = Instant::now() + self.limits.wait_max;
                ticket.wait(deadline).await.unwrap_or_else(|none| Err(late(none)))
            }
        };
        match (renewed, known) {
            (Ok(Renewed::Current { status }), before) => {
                let now = self.look(dist, path).await?;
                let outcome = match (before, led) {
                    (Some(_), _) => Outcome::Revalidated,
                    (None, true) => Outcome::Fill,
                    (None, false) => Outcome::Join,
                };
                let newest = |given: Option<Given>| given.map(|given| given.newest());
                let reason = match before {
                    None => Reason::Missing,
                    Some(_) if newest(before) == newest(now) => Reason::Unchanged,
                    Some(_) => Reason::Changed,
                };
                Ok((Story { outcome, reason, status }, now))
            }
            (Ok(Renewed::Absent { reason, status }), _) => Err(absent(path, reason, status)),
            (Err(failure), Some(given)) => {
                let story = Story {
                    outcome: Outcome::Stale,
                    reason: failure.reason,
                    status: failure.upstream_status,
                };
                Ok((story, Some(given)))
            }
            (Err(failure), None) => Err(unavailable(path, failure)),
        }
    }

    /// Waits for upstream as long as it is well.
    async fn patiently(&self, dist: &Dist, ticket: RenewalTicket) -> Result<Renewed, Failure> {
        let deadline = ticket.began() + PATIENCE.min(self.limits.wait_max);
        loop {
            let condition = dist.upstream.condition();
            let look = match condition {
                Condition::Healthy => deadline.min(Instant::now() + LOOK_EVERY),
                Condition::Slow | Condition::Down { .. } | Condition::Offline => Instant::now(),
            };
            match ticket.clone().wait(look).await {
                Ok(renewed) => return renewed,
                Err(NoResult::Lost) => return Err(late(NoResult::Lost)),
                Err(NoResult::Late) if condition != Condition::Healthy || look == deadline => {
                    return Err(unasked(condition));
                }
                Err(NoResult::Late) => {}
            }
        }
    }

    /// What is given after a renewal that was waited for.
    async fn renewed(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Option<Given>, ServeError> {
        let (_, ticket) = self.renew(dist, path, None);
        match ticket.wait(Instant::now() + self.limits.wait_max).await {
            Ok(Ok(Renewed::Current { .. })) => self.look(dist, path).await,
            Ok(Ok(Renewed::Absent { reason, status })) => Err(absent(path, reason, status)),
            Ok(Err(failure)) => Err(unavailable(path, failure)),
            Err(no_result) => Err(unavailable(path, late(no_result))),
        }
    }

    async fn look(&self, dist: &Dist, path: &DistPath) -> Result<Option<Given>, ServeError> {
        let given = self.given(dist, path, Look::Lately).await;
        given.map_err(|error| unavailable(path, error.into()))
    }

    async fn is_known_absent(&self, dist: &Dist, path: &DistPath) -> bool {
        let note = self.ports.coordinator.recall(&dist.given_key(path)).await;
        matches!(note, Ok(Some(Note::Absent)))
    }
}

impl Story {
    fn tell(self, answer: Answer) -> Answer {
        Answer { upstream_status: self.status, ..answer }
    }
}
