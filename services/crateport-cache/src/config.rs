//! The limits of the cache, by name.

use std::time::Duration;

use crateport_types::{DistId, RegistryId};

use crate::DeliveryPolicy;
use crate::uses::UsePolicy;

/// What bounds the cache as a whole.
#[derive(Clone, Debug)]
pub struct CacheLimits {
    /// Memory for index files that are in use, their gzip forms included.
    pub index_memory_bytes_max: u64,
    /// Memory for small crates and dist files that are asked for often.
    pub object_memory_bytes_max: u64,
    /// The largest of those.
    pub object_memory_size_bytes_max: u64,
    /// The largest index file that is kept.
    pub index_size_bytes_max: usize,
    /// The largest crate that is kept.
    pub krate_size_bytes_max: u64,
    /// The largest dist file that is kept.
    pub dist_size_bytes_max: u64,
    /// Fills at once; more wait for their turn.
    pub fills_max: usize,
    /// How much of a fill stays in memory; what is larger goes to scratch space.
    pub spool_memory_bytes_max: usize,
    /// The longest that a client which could be served a known index file waits for a newer one.
    pub refresh_patience: Duration,
    /// The longest that a client waits for the first byte of something that is not here.
    pub wait_max: Duration,
    /// The longest that a replica leaves a fill of which it gets no byte to another one before it fetches for itself. The
    /// clients that wait are told to come again before.
    pub follow_max: Duration,
    /// How long upstream is not asked again for an index file or a crate after it failed to give it.
    pub failed_ttl: Duration,
    /// Refreshes ahead of need at once; 0 turns them off.
    pub refresh_ahead_max: usize,
    /// Fetches at once of index files that a resolver will probably ask for next; 0 turns them off.
    pub fetch_ahead_max: usize,
    /// How objects in the store leave.
    pub delivery: DeliveryPolicy,
    /// How long an object that was seen in the store is taken to be there, before a client is sent to it. Shorter than
    /// any grace that a sweep gives.
    pub presence_ttl: Duration,
    /// Stored objects whose checksum was seen to be right by this process, remembered by count.
    pub trusted_max: u64,
    /// How many names that upstream does not have this process remembers.
    pub gone_max: u64,
    /// How often is looked for purges.
    pub purge_poll: Duration,
    /// How uses are recorded.
    pub uses: UsePolicy,
}

/// How one registry is treated.
#[derive(Clone, Debug)]
pub struct RegistryPolicy {
    /// Its id.
    pub id: RegistryId,
    /// How old an index file may be while upstream is healthy.
    pub index_ttl: Duration,
    /// How long upstream's word that something does not exist is believed.
    pub absent_ttl: Duration,
    /// How old upstream's `config.json` may be before it is asked for again, in the background.
    pub config_ttl: Duration,
}

/// How one dist origin is treated.
#[derive(Clone, Debug)]
pub struct DistPolicy {
    /// Its id.
    pub id: DistId,
    /// How old a file that changes may be while upstream is healthy.
    pub ttl: Duration,
    /// How long upstream's word that something does not exist is believed.
    pub absent_ttl: Duration,
    /// How long a client that was told a file's checksum has until it must have asked for the file. For so long the
    /// older content is still given when there is a newer one.
    pub grace: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            index_memory_bytes_max: 128 << 20,
            object_memory_bytes_max: 64 << 20,
            object_memory_size_bytes_max: 1 << 20,
            index_size_bytes_max: 16 << 20,
            krate_size_bytes_max: 512 << 20,
            dist_size_bytes_max: 4 << 30,
            fills_max: 256,
            spool_memory_bytes_max: 256 << 10,
            refresh_patience: Duration::from_secs(1),
            // cargo gives up after 30 s without a byte.
            wait_max: Duration::from_secs(25),
            follow_max: Duration::from_secs(120),
            failed_ttl: Duration::from_secs(1),
            refresh_ahead_max: 16,
            fetch_ahead_max: 64,
            delivery: DeliveryPolicy::default(),
            presence_ttl: Duration::from_secs(300),
            trusted_max: 100_000,
            gone_max: 10_000,
            purge_poll: Duration::from_secs(5),
            uses: UsePolicy::default(),
        }
    }
}

impl RegistryPolicy {
    /// The defaults for a registry.
    #[must_use]
    pub fn new(id: RegistryId) -> Self {
        Self {
            id,
            index_ttl: Duration::from_secs(60),
            absent_ttl: Duration::from_secs(10),
            config_ttl: Duration::from_secs(600),
        }
    }
}

impl DistPolicy {
    /// The defaults for a dist origin.
    #[must_use]
    pub fn new(id: DistId) -> Self {
        Self {
            id,
            ttl: Duration::from_secs(300),
            absent_ttl: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}
