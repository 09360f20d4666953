//! Numbers as people read them.

use crateport_operate::Tally;

/// Bytes with a binary prefix and no more digits than anyone reads.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit_bytes, _)| bytes >= *unit_bytes) {
        Some((unit_bytes, unit)) => {
            format!("{}.{} {unit}", bytes / unit_bytes, bytes % unit_bytes * 10 / unit_bytes)
        }
        None => format!("{bytes} B"),
    }
}

/// `3 objects (1.5 MiB)`.
pub(crate) fn tally(tally: &Tally) -> String {
    format!("{} ({})", counted(tally.objects, "object"), size(tally.bytes))
}

/// `1 crate`, `2 crates`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")]
        {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(tally(&Tally { objects: 1, bytes: 1 }), "1 object (1 B)");
        assert_eq!(counted(0, "crate"), "0 crates");
    }
}
