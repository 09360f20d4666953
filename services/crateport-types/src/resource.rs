//! What a URL means. Everything that depends on the kind of a resource is an exhaustive match in this file.

use crate::{CrateName, CrateVersion, DistClass, DistPath, IndexName, RegistryId, StoreKey};

/// Something a registry or a dist origin has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The registry's `config.json`.
    Config,
    /// The index file of a crate.
    IndexFile(IndexName),
    /// A crate itself.
    Krate {
        /// The name, exact.
        name: CrateName,
        /// The version, exact.
        version: CrateVersion,
    },
    /// A search through the web API.
    Search {
        /// The query string, as the client sent it.
        query: Box<str>,
    },
    /// A file of a dist origin, or its checksum.
    Dist(DistPath),
}

/// The kind of a resource: a metric label, a word in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// `config.json`.
    Config,
    /// An index file.
    Index,
    /// A crate.
    Krate,
    /// A search.
    Search,
    /// A dist file.
    Dist,
    /// A page for people, or a path that means nothing.
    Page,
}

/// How long an answer may be kept by those between us and the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheClass {
    /// Changes in place; must be revalidated.
    Mutable,
    /// Never changes.
    Immutable,
    /// Not to be kept.
    Transient,
}

impl Resource {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Config => ResourceKind::Config,
            Self::IndexFile(_) => ResourceKind::Index,
            Self::Krate { .. } => ResourceKind::Krate,
            Self::Search { .. } => ResourceKind::Search,
            Self::Dist(_) => ResourceKind::Dist,
        }
    }

    /// The media type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Dist(path) => path.content_type(),
            _ => self.kind().content_type(),
        }
    }

    /// How long it may be kept. A checksum changes when its file does.
    #[must_use]
    pub fn cache_class(&self) -> CacheClass {
        match self {
            Self::Dist(path) => match path.sum_of().as_ref().unwrap_or(path).class() {
                DistClass::Artifact => CacheClass::Immutable,
                DistClass::Snapshot | DistClass::Record(_) => CacheClass::Mutable,
            },
            _ => self.kind().cache_class(),
        }
    }

    /// The object in the store that holds what upstream said, if it is kept at all. What of a dist origin is kept
    /// where depends on its class: see [`StoreKey::dist_file`].
    #[must_use]
    pub fn key(&self, registry: &RegistryId) -> Option<StoreKey> {
        match self {
            Self::Config => Some(StoreKey::upstream_config(registry)),
            Self::IndexFile(name) => Some(StoreKey::index_file(registry, name)),
            Self::Krate { name, version } => Some(StoreKey::krate(registry, name, version)),
            Self::Search { .. } | Self::Dist(_) => None,
        }
    }
}

impl ResourceKind {
    /// Every kind, for tables.
    pub const ALL: [Self; 6] =
        [Self::Config, Self::Index, Self::Krate, Self::Search, Self::Dist, Self::Page];

    /// The word in logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Index => "index",
            Self::Krate => "crate",
            Self::Search => "search",
            Self::Dist => "dist",
            Self::Page => "page",
        }
    }

    /// The media type. A crate is a gzip'd tar, and says so as its type and never as a content encoding.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Config | Self::Search => "application/json",
            Self::Index => "text/plain; charset=utf-8",
            Self::Krate => "application/gzip",
            Self::Dist => "application/octet-stream",
            Self::Page => "text/html; charset=utf-8",
        }
    }

    /// How long it may be kept.
    #[must_use]
    pub const fn cache_class(self) -> CacheClass {
        match self {
            Self::Config | Self::Index | Self::Dist | Self::Page => CacheClass::Mutable,
            Self::Krate => CacheClass::Immutable,
            Self::Search => CacheClass::Transient,
        }
    }
}

impl CacheClass {
    /// The `Cache-Control` header (RFC 9111). cargo reads none; proxies between us and it do.
    #[must_use]
    pub const fn cache_control(self) -> &'static str {
        match self {
            Self::Mutable => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Transient => "no-store",
        }
    }
}
