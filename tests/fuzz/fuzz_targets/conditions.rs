//! `If-None-Match` and `Range`: a part lies inside its object, and a tag that is listed is found.
#![no_main]

use crateport_types::{ByteRange, ETag, IfNoneMatch, RangeRequest, Sha256};

libfuzzer_sys::fuzz_target!(|input: (&str, u64)| {
    let (text, size_bytes) = input;
    let tag = ETag::of(&Sha256::of(b"body"));
    if IfNoneMatch::new(text).matches(&tag) {
        assert!(text.trim() == "*" || text.contains(tag.as_str().trim_matches('"')));
    }
    if let Some(RangeRequest::Part(part)) = ByteRange::parse(text).map(|range| range.of(size_bytes)) {
        assert!(part.start < part.end && part.end <= size_bytes);
    }
});
