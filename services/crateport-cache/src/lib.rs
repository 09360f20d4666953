//! The cache itself: policy, freshness, single-flight, fill.
