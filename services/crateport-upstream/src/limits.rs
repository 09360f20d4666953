//! Every bound on how an upstream is asked, with its name and its unit.

use std::time::Duration;

/// The bounds of one upstream. The defaults suit a registry on the internet.
#[derive(Clone, Debug)]
pub struct UpstreamLimits {
    /// How long a connection may take to be made, name look-up and TLS included. 3 s.
    pub connect_timeout: Duration,
    /// How long one attempt may take until its headers are there, redirects included. 15 s.
    pub answer_timeout: Duration,
    /// How long the next chunk of a body may take. Time in which nobody reads the body does not count. 15 s.
    pub idle_timeout: Duration,
    /// How long all attempts together may take until the headers are there, waiting for a permit and between
    /// attempts included. 20 s: below the 30 s after which cargo gives up.
    pub deadline: Duration,
    /// How many attempts may follow the first one. 2.
    pub retries_max: u32,
    /// The first attempt's successor waits between nothing and this, the next one up to twice as long. 100 ms.
    pub retry_delay_base: Duration,
    /// How many requests may be under way to one host, their bodies included. 128.
    pub requests_max: usize,
    /// How many redirects are followed in one attempt. 10.
    pub redirects_max: usize,
    /// After how long a request that waits makes its upstream [slow](crate::Condition::Slow). 1 s.
    pub slow_after: Duration,
    /// After how many failures in a row a host is left alone. 3.
    pub failures_before_open: u32,
    /// How long a host is left alone at first; doubles each time its probe fails. 1 s.
    pub open_for_min: Duration,
    /// How long a host is left alone at most. 30 s.
    pub open_for_max: Duration,
    /// How long a host is left alone after a 429 without `Retry-After`. 2 s.
    pub cool_off_default: Duration,
    /// How long a host is left alone after a 429, whatever its `Retry-After` says. 60 s.
    pub cool_off_max: Duration,
    /// The largest index file, decoded, in bytes. 16 MiB.
    pub index_size_bytes_max: u64,
    /// The largest `config.json`, decoded, in bytes. 1 MiB.
    pub config_size_bytes_max: u64,
    /// The largest answer to a search, decoded, in bytes. 4 MiB.
    pub search_size_bytes_max: u64,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(20),
            retries_max: 2,
            retry_delay_base: Duration::from_millis(100),
            requests_max: 128,
            redirects_max: 10,
            slow_after: Duration::from_secs(1),
            failures_before_open: 3,
            open_for_min: Duration::from_secs(1),
            open_for_max: Duration::from_secs(30),
            cool_off_default: Duration::from_secs(2),
            cool_off_max: Duration::from_secs(60),
            index_size_bytes_max: 16 << 20,
            config_size_bytes_max: 1 << 20,
            search_size_bytes_max: 4 << 20,
        }
    }
}
