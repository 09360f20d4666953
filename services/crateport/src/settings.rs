//! The settings: one table, from which the flags, the environment variables, the file's keys, the help and the
//! [`Settings`] struct all come.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. A setting is parsed
//! once, here; a value that cannot be used stops the start with one sentence that names it and where it comes from.

mod cross_checks;
mod defaults;
mod dists;
mod environment;
mod error;
mod file;
mod kind;
mod load;
mod nearest;
mod registries;
mod source;
mod table;
mod tables;

use crateport_cache::DeliveryMode;
use crateport_store::{S3Encryption, UrlStyle};
use crateport_telemetry::logging::{LogFilter, LogFormat};
use crateport_types::BaseUrl;
use crateport_upstream::AllowEntry;
use ipnet::IpNet;

pub(crate) use self::dists::DistSettings;
pub(crate) use self::error::SettingsError;
pub(crate) use self::kind::Word;
pub(crate) use self::kind::choice::{Coordination, StoreLocation};
pub(crate) use self::kind::host::AdvertiseAddress;
pub(crate) use self::kind::listen::ListenAddress;
pub(crate) use self::kind::number::{Count, Size, Timeout, parse_timeout};
use self::kind::number::{CountOrZero, SizeOrZero, Ttl};
use self::kind::redis::{RedisPrefix, UserName};
use self::kind::s3::Region;
pub(crate) use self::kind::text::Switch;
use self::kind::text::{Contact, FilePath, HttpUrl, OpsAddress, Replica, Token};
use self::kind::{List, Maybe, One};
pub(crate) use self::load::{Inputs, Loaded, Row, usual_files};
pub(crate) use self::registries::RegistrySettings;
pub(crate) use self::source::Source;
pub(crate) use self::table::Setting;

table::settings! {
    "Listening" {
        listen "listen": List<ListenAddress> = "127.0.0.1:8080",
            "Where clients connect; repeat for more. With TLS: ADDRESS,cert=FILE,key=FILE. Port 0 takes a free one";
        ops_listen "ops-listen": One<OpsAddress> = "127.0.0.1:8081",
            "Where health, metrics and the version are answered; never make it public";
        public_url "public-url": Maybe<BaseUrl> = none,
            "The base under which clients reach this Crateport; without it each request tells";
        trusted_proxies "trusted-proxies": List<IpNet> = none,
            "Networks whose forwarded headers are believed; repeat for more";
        replica "replica": One<Replica> = (defaults::replica, "the host name"),
            "This replica's name in x-served-by and in traces";
    }
    "Storage and delivery" {
        store "store": One<StoreLocation> = (defaults::store, "fs:<user data directory>/crateport"),
            "Where objects are kept: fs:DIRECTORY or s3://BUCKET/PREFIX";
        coord "coord": One<Coordination> = "local",
            "How replicas agree who fetches what: local, or through a Redis";
        advertise_address "advertise-address": Maybe<AdvertiseAddress> = none,
            "Where other replicas reach this one's ops listener, to read along while it fetches; with a Redis";
        redis_prefix "redis-prefix": One<RedisPrefix> = "crateport:",
            "How every key in Redis begins; two fleets on one Redis differ here";
        redis_username "redis-username": Maybe<UserName> = none,
            "The ACL user, in place of the one in the address";
        redis_password "redis-password": Maybe<Token> = none,
            "The password, in place of the one in the address; best as an environment variable";
        redis_password_file "redis-password-file": Maybe<FilePath> = none,
            "A file that holds it instead";
        redis_answer_timeout "redis-answer-timeout": One<Timeout> = "150ms",
            "Longest wait for an answer of Redis, without which the fleet goes on";
        redis_ca_file "redis-ca-file": Maybe<FilePath> = none,
            "PEM file with the certificate authority of a rediss address, in place of the machine's";
        delivery "delivery": One<DeliveryMode> = "auto",
            "How crates reach clients: streamed, or by redirect to the store";
        redirect_size_min "redirect-size-min": One<SizeOrZero> = "1MiB",
            "From which size on delivery=auto redirects";
        url_lifetime "url-lifetime": One<Timeout> = "15m",
            "How long the address that a client is redirected to is good for";
        presence_ttl "presence-ttl": One<Ttl> = "5m",
            "How long an object that was seen in the store is taken to be there";
        s3_endpoint "s3-endpoint": Maybe<HttpUrl> = none,
            "Where the S3 server is; without it AWS, or what AWS_ENDPOINT_URL_S3 says";
        s3_public_endpoint "s3-public-endpoint": Maybe<HttpUrl> = none,
            "Where clients reach the S3 server, for redirects; without it the same address";
        s3_region "s3-region": Maybe<Region> = none,
            "The bucket's region; without it what the AWS environment says";
        s3_path_style "s3-path-style": One<UrlStyle> = "auto",
            "Whether the bucket stands in the path and not in the host: auto means with an s3-endpoint";
        s3_encryption "s3-encryption": One<S3Encryption> = "bucket",
            "How objects are encrypted at rest";
        s3_requests_max "s3-requests-max": One<Count> = "512",
            "How many requests the S3 server gets at once";
        spool_memory "spool-memory": One<Size> = "256KiB",
            "Memory that one fill may use before it uses the disk";
        spool_dir "spool-dir": Maybe<FilePath> = none,
            "Where fills wait until they are verified; without it inside the store's directory";
    }
    "Freshness" {
        index_ttl "index-ttl": One<Ttl> = "60s",
            "How old an index file may be before upstream is asked again";
        absent_ttl "absent-ttl": One<Ttl> = "10s",
            "How long upstream's 404 is remembered";
        config_ttl "config-ttl": One<Ttl> = "10m",
            "How old upstream's config.json may be";
        dist_ttl "dist-ttl": One<Ttl> = "5m",
            "How old a manifest or another dist file that changes may be";
        dist_absent_ttl "dist-absent-ttl": One<Ttl> = "1m",
            "How long upstream's 404 for a dist file is remembered";
        dist_grace "dist-grace": One<Ttl> = "5s",
            "How long a client has between a checksum and its file when the file changes";
        refresh_patience "refresh-patience": One<Ttl> = "1s",
            "Longest that a client waits for a refresh when there is a copy to serve";
        purge_poll "purge-poll": One<Timeout> = "5s",
            "How often each replica looks for purges; one holds everywhere after twice as long and a second";
        refresh_ahead_max "refresh-ahead-max": One<CountOrZero> = "16",
            "How many hot index files are refreshed ahead at once; 0 turns it off";
        fetch_ahead_max "fetch-ahead-max": One<CountOrZero> = "64",
            "How many index files that a resolver will ask for next are fetched at once; 0 turns it off";
    }
    "Retention" {
        sweep_every "sweep-every": Maybe<Timeout> = none,
            "How often `serve` sweeps the store by sweep-unused-for and sweep-max-size; one replica of a fleet does";
        sweep_unused_for "sweep-unused-for": Maybe<Timeout> = none,
            "A sweep removes what was not used for so long and can be fetched again, as in 90d";
        sweep_max_size "sweep-max-size": Maybe<Size> = none,
            "A sweep removes the least recently used until the store is no larger, as in 500GiB";
        sweep_grace "sweep-grace": One<Timeout> = "1d",
            "No sweep removes what was used within this time; the same for all replicas";
        usage_flush_every "usage-flush-every": One<Timeout> = "5m",
            "How long a use may be on its way to the store";
        usage_keep "usage-keep": One<Timeout> = "365d",
            "How long it is kept who used what";
    }
    "Limits" {
        index_memory "index-memory": One<SizeOrZero> = "128MiB",
            "Memory for the hottest index files";
        object_memory "object-memory": One<SizeOrZero> = "64MiB",
            "Memory for small crates and dist files that are asked for often, and as much for those on their way; 0 turns it off";
        object_memory_size_max "object-memory-size-max": One<Size> = "1MiB",
            "Largest crate or dist file that is kept in memory";
        index_size_max "index-size-max": One<Size> = "16MiB",
            "Largest index file";
        crate_size_max "crate-size-max": One<Size> = "512MiB",
            "Largest crate";
        dist_size_max "dist-size-max": One<Size> = "4GiB",
            "Largest dist file";
        fills_max "fills-max": One<Count> = "256",
            "How many objects are fetched at once";
        wait_max "wait-max": One<Timeout> = "25s",
            "Longest that a client waits for the first byte of a fill";
        connections_max "connections-max": One<Count> = "8192",
            "How many clients may be connected";
        requests_max "requests-max": One<Count> = "4096",
            "How many requests may be in flight; more are answered 503";
        streams_max "streams-max": One<Count> = "250",
            "How many requests one HTTP/2 connection may have in flight";
        header_size_max "header-size-max": One<Size> = "32KiB",
            "Largest request header";
        header_timeout "header-timeout": One<Timeout> = "10s",
            "Longest that a request header may take to arrive";
        handshake_timeout "handshake-timeout": One<Timeout> = "10s",
            "Longest that a TLS handshake may take";
        idle_timeout "idle-timeout": One<Timeout> = "75s",
            "Longest that a connection may stay open without a request";
        body_timeout "body-timeout": One<Timeout> = "60s",
            "Longest that a body may stand still, in either direction";
        drain_delay "drain-delay": One<Ttl> = "0s",
            "How long all is still served after the word to stop, while /readyz tells load balancers to go elsewhere";
        drain_timeout "drain-timeout": One<Timeout> = "30s",
            "Longest that the end of the process waits for requests in flight";
    }
    "Upstream" {
        offline "offline": One<Switch> = "false",
            "Never ask upstream: what is in the store is all there is, and answers say so";
        upstream_connect_timeout "upstream-connect-timeout": One<Timeout> = "3s",
            "Longest that connecting may take";
        upstream_answer_timeout "upstream-answer-timeout": One<Timeout> = "15s",
            "Longest wait for the header of an answer";
        upstream_idle_timeout "upstream-idle-timeout": One<Timeout> = "15s",
            "Longest wait for the next byte of an answer";
        upstream_deadline "upstream-deadline": One<Timeout> = "20s",
            "Longest that one question may take to be answered, with all retries";
        upstream_retries_max "upstream-retries-max": One<CountOrZero> = "2",
            "How often a question is asked again";
        upstream_requests_max "upstream-requests-max": One<Count> = "128",
            "How many requests one host gets at once";
        upstream_cool_off_max "upstream-cool-off-max": One<Timeout> = "60s",
            "Longest that a host which asked for fewer requests is left alone";
        upstream_allow "upstream-allow": List<AllowEntry> = none,
            "Hosts, host:port or networks that redirects and downloads may lead to although they are private";
        upstream_ca_files "upstream-ca-files": List<FilePath> = none,
            "PEM files with further certificate authorities";
        user_agent_contact "user-agent-contact": Maybe<Contact> = none,
            "Whom upstream may ask about this Crateport; ends the User-Agent";
    }
    "Logs and traces" {
        log_format "log-format": One<LogFormat> = "text",
            "Form of log lines";
        log "log": One<LogFilter> = "info",
            "Which log lines are written, as in info,crateport_cache=debug";
        otlp_endpoint "otlp-endpoint": Maybe<HttpUrl> = none,
            "Collector for traces (OTLP over HTTP); without it OTEL_EXPORTER_OTLP_ENDPOINT tells";
    }
}
