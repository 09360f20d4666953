//! Numbers as people read them.

pub(crate) use crateport_http::readable::size;
use crateport_operate::Tally;

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
    fn objects_are_counted_in_words() {
        assert_eq!(tally(&Tally { objects: 1, bytes: 1 }), "1 object (1 B)");
        assert_eq!(counted(0, "crate"), "0 crates");
    }
}
