//! What the Redis backend is told: where Redis is, how keys begin, and its limits.

use std::time::Duration;

use super::RedisAddress;

/// Everything that the Redis backend is told.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Where Redis is.
    pub address: RedisAddress,
    /// The certificates (PEM) that are trusted in place of the machine's, for `rediss`.
    pub ca_pem: Option<Vec<u8>>,
    /// How every key and the channel begin. Two fleets on one Redis differ here.
    pub prefix: String,
    /// `HOST:PORT` at which other replicas can ask this one for what it has of a fill under way.
    pub advertised: Option<String>,
    /// How long things take at most.
    pub limits: RedisLimits,
}

/// How long things take at most.
#[derive(Clone, Debug)]
pub struct RedisLimits {
    /// Until one server is connected, TLS and login included.
    pub connect: Duration,
    /// Until the sentinels or the nodes of a cluster have told who is who, and the right ones are connected. No request
    /// waits for this.
    pub discover: Duration,
    /// Until an answer. This is what a frozen Redis costs the requests that find it out.
    pub response: Duration,
    /// So many failures one after the other, and Redis is left alone.
    pub failures_max: u32,
    /// How long it is left alone at least. It may be twice that: replicas do not return all at once.
    pub pause: Duration,
    /// How often it is asked whether it still answers.
    pub probe: Duration,
    /// How long a lease lives without a sign of life; signs are given at every third of it.
    pub lease_ttl: Duration,
    /// How long a lease is held at most, so that a holder that hangs does not hold it for ever.
    pub lease_held_max: Duration,
    /// How often one who waits looks by itself, give or take a quarter: announcements can be missed.
    pub poll: Duration,
    /// How many keys are waited for by announcement; beyond, only by looking.
    pub waiters_max: usize,
    /// How many leases that nobody ended can be waiting to be given back; beyond, they run out by themselves.
    pub releases_max: usize,
}

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisConfig {
    /// The address.
    #[error("the address {0}")]
    Address(String),
    /// The prefix.
    #[error("the prefix must be printable ASCII without spaces, and have no braces")]
    Prefix,
    /// The certificates.
    #[error("the certificates cannot be used: {0}")]
    Certificates(String),
    /// Certificates are given, and no connection is encrypted.
    #[error("certificates are of no use without rediss://")]
    NotEncrypted,
    /// A limit.
    #[error("the limit `{0}` must not be zero")]
    Limit(&'static str),
}

/// The prefix that is used unless another one is set.
const PREFIX: &str = "crateport:";

impl RedisConfig {
    /// The defaults, for the Redis at `address`.
    #[must_use]
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            ca_pem: None,
            prefix: PREFIX.to_owned(),
            advertised: None,
            limits: RedisLimits::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidRedisConfig> {
        let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '{' | '}');
        if !self.prefix.chars().all(fits) {
            return Err(InvalidRedisConfig::Prefix);
        }
        if self.ca_pem.is_some() && !self.address.is_encrypted() {
            return Err(InvalidRedisConfig::NotEncrypted);
        }
        let limits = &self.limits;
        for (name, limit) in [
            ("connect", limits.connect),
            ("discover", limits.discover),
            ("response", limits.response),
            ("pause", limits.pause),
            ("probe", limits.probe),
            ("lease_ttl", limits.lease_ttl),
            ("lease_held_max", limits.lease_held_max),
            ("poll", limits.poll),
        ] {
            // Redis counts milliseconds.
            if limit < Duration::from_millis(1) {
                return Err(InvalidRedisConfig::Limit(name));
            }
        }
        for (name, limit) in
            [("waiters_max", limits.waiters_max), ("releases_max", limits.releases_max)]
        {
            if limit == 0 {
                return Err(InvalidRedisConfig::Limit(name));
            }
        }
        if limits.failures_max == 0 {
            return Err(InvalidRedisConfig::Limit("failures_max"));
        }
        Ok(())
    }
}

impl Default for RedisLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(250),
            discover: Duration::from_secs(2),
            response: Duration::from_millis(150),
            failures_max: 3,
            pause: Duration::from_secs(1),
            probe: Duration::from_secs(1),
            lease_ttl: Duration::from_secs(10),
            lease_held_max: Duration::from_secs(120),
            poll: Duration::from_millis(500),
            waiters_max: 10_000,
            releases_max: 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let config = |address: &str| RedisConfig::new(address.parse().unwrap());
        assert_eq!(config("redis://h").check(), Ok(()));
        for prefix in ["a{b", "a}", "a b", "ä"] {
            let config = RedisConfig { prefix: prefix.to_owned(), ..config("redis://h") };
            assert_eq!(config.check(), Err(InvalidRedisConfig::Prefix), "{prefix}");
        }
        let without_tls = RedisConfig { ca_pem: Some(Vec::new()), ..config("redis://h") };
        assert_eq!(without_tls.check(), Err(InvalidRedisConfig::NotEncrypted));
        let mut timeless = config("redis://h");
        timeless.limits.response = Duration::ZERO;
        assert_eq!(timeless.check(), Err(InvalidRedisConfig::Limit("response")));
    }
}
