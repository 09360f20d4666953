//! `GET /api/usage?crate=NAME[&version=…][&registry=…][&since=…][&limit=…]`: who pulled a crate.
//!
//! It stands on the ops listener and not on the main one, because it tells the addresses and user agents of people and
//! machines, and whoever reaches the main listener may fetch crates and no more.
//!
//! `since` is a moment (`2026-01-31T23:59:59Z`), a day (`2026-01-31`) or a time that has passed (`90m`, `12h`, `7d`). The
//! answer says how much was left out (`left_out`), and whether older days were not looked at (`older_unread`). What this
//! replica served is in it at once, what others served once they have written it (`usage-flush-every`).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use crateport_operate::{Question, who_pulled};
use crateport_types::{Day, InvalidName, InvalidRegistryId, InvalidVersion, Moment};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::OpsConfig;

/// Uses that are told, unless somebody says otherwise.
const LIMIT: usize = 1000;
/// Uses that are told at the most.
const LIMIT_MAX: usize = 10_000;
/// Longest that an answer may take: uses of many days are much to read.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// Questions at once: each holds a batch in memory. More are told to come again.
const QUESTIONS_MAX: usize = 2;

static QUESTIONS: Semaphore = Semaphore::const_new(QUESTIONS_MAX);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    #[serde(rename = "crate")]
    name: String,
    version: Option<String>,
    registry: Option<String>,
    since: Option<String>,
    limit: Option<String>,
}

pub(super) async fn answer(
    State(ops): State<Arc<OpsConfig>>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Response {
    let question = match query {
        Ok(Query(query)) => query.question(SystemTime::now()),
        Err(refusal) => Err(refusal.body_text()),
    };
    let question = match question {
        Ok(question) => question,
        Err(sentence) => return told(StatusCode::BAD_REQUEST, &json!({"error": sentence})),
    };
    let unavailable = |why: &str| told(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": why}));
    let Ok(_permit) = QUESTIONS.try_acquire() else {
        return unavailable("enough questions are being answered already");
    };
    let answer = async {
        ops.cache.write_uses().await;
        who_pulled(&**ops.cache.store(), question).await
    };
    match tokio::time::timeout(ANSWER_WAIT_MAX, Box::pin(answer)).await {
        Ok(Ok(pulls)) => match serde_json::to_value(&pulls) {
            Ok(pulls) => told(StatusCode::OK, &pulls),
            Err(error) => unavailable(&error.to_string()),
        },
        Ok(Err(error)) => unavailable(&error.to_string()),
        Err(_) => unavailable("it takes too long to read so many uses: ask with a later `since`"),
    }
}

fn told(status: StatusCode, told: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{told}\n")).into_response()
}

impl UsageQuery {
    fn question(self, now: SystemTime) -> Result<Question, String> {
        let name = self.name.parse().map_err(|error: InvalidName| error.to_string())?;
        let version = self.version.map(|version| version.parse()).transpose();
        let registry = self.registry.map(|registry| registry.parse()).transpose();
        let since = self.since.map(|since| moment(&since, now)).transpose()?;
        let uses_max = match self.limit {
            None => LIMIT,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| format!("`limit` is a number from 1 to {LIMIT_MAX}"))?,
        };
        Ok(Question {
            name,
            version: version.map_err(|error: InvalidVersion| error.to_string())?,
            registry: registry.map_err(|error: InvalidRegistryId| error.to_string())?,
            since,
            uses_max,
        })
    }
}

fn moment(text: &str, now: SystemTime) -> Result<Moment, String> {
    let day = || text.parse::<Day>().map(Moment::from).ok();
    let ago = || {
        let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit_s: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse::<u64>().ok().filter(|_| is_number)?;
        let now = Moment::of(now).seconds();
        Some(Moment::of_seconds(now.saturating_sub(count.saturating_mul(unit_s))))
    };
    text.parse::<Moment>().ok().or_else(day).or_else(ago).ok_or_else(|| {
        "`since` is a moment such as 2026-01-31T23:59:59Z, a day such as 2026-01-31, or a time that has passed such \
         as 7d"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_read_as_people_write_it() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 86_400);
        for (text, expected) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-02T00:00:01Z", Some(86_401)),
            ("7d", Some(93 * 86_400)),
            ("90m", Some(100 * 86_400 - 5400)),
            ("101d", Some(0)),
            ("99999999999999999999d", None),
            ("9999999999999999999d", Some(0)),
            ("", None),
            ("d", None),
            ("+1d", None),
            ("7ß", None),
            ("yesterday", None),
        ] {
            let read = moment(text, now).ok().map(Moment::seconds);
            assert_eq!(read, expected, "{text}");
        }
    }
}
