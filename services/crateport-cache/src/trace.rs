//! Spans of work that outlives the request which began it.
//!
//! Such work is a trace of its own, because others wait for it too and it may end long after the request; a link leads
//! from it to the request that began it.

use crateport_types::{RegistryId, ResourceKind, StoreKey};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// The span of a fill that the current request begins.
pub(crate) fn fill(origin: &str, resource: ResourceKind, key: &StoreKey) -> Span {
    linked(info_span!(
        parent: None,
        "fill",
        %key,
        otel.name = %format_args!("fill {}", resource.as_str()),
        crateport.registry = origin,
        crateport.resource = resource.as_str(),
        crateport.result = Empty,
    ))
}

/// The span of a refresh, be it that the current request begins it or that nobody has asked yet.
pub(crate) fn refresh(registry: &RegistryId, key: &StoreKey) -> Span {
    let resource = ResourceKind::Index.as_str();
    linked(info_span!(
        parent: None,
        "refresh",
        %key,
        otel.name = %format_args!("refresh {resource}"),
        crateport.registry = registry.as_str(),
        crateport.resource = resource,
        crateport.result = Empty,
    ))
}

fn linked(span: Span) -> Span {
    span.follows_from(Span::current());
    span
}
