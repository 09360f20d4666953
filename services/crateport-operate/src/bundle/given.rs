//! Which content of a dist file that changes is given, as the cache writes it.

use bytes::Bytes;
use crateport_types::Sha256;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct GivenText {
    current: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<NextText>,
}

#[derive(Serialize, Deserialize)]
struct NextText {
    content: String,
}

impl GivenText {
    /// The content that upstream had last.
    pub(super) fn newest(bytes: &[u8]) -> Option<Sha256> {
        let text: Self = serde_json::from_slice(bytes).ok()?;
        text.next.map_or(text.current, |next| next.content).parse().ok()
    }

    /// This content, and no other to come.
    pub(super) fn only(content: &Sha256) -> Bytes {
        let text = Self { current: content.to_string(), next: None };
        // A struct of texts always serializes.
        serde_json::to_vec(&text).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_content_is_the_one_to_come() {
        let (a, b) = (Sha256::of(b"a"), Sha256::of(b"b"));
        assert_eq!(GivenText::newest(&GivenText::only(&a)), Some(a));
        let text = format!(r#"{{"current":"{a}","next":{{"content":"{b}","from_unix_ms":1}}}}"#);
        assert_eq!(GivenText::newest(text.as_bytes()), Some(b));
        assert_eq!(GivenText::newest(b"{}"), None);
    }
}
