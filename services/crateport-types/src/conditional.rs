//! Validators and conditional requests (RFC 9110, sections 8.8 and 13.1).

use std::fmt;

use crate::Sha256;

/// A strong entity tag of ours: the SHA-256 of the body it was made from, in quotes.
///
/// cargo keeps the first tag it was given for as long as the bytes are equal, so the tag depends on nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(Box<str>);

/// The `If-None-Match` condition of a request.
#[derive(Clone, Copy, Debug)]
pub struct IfNoneMatch<'a>(&'a str);

/// What an upstream said about one version of a file, kept to ask it conditionally the next time.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// The `ETag` header, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<Box<str>>,
    /// The `Last-Modified` header, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Box<str>>,
}

const GZIP_SUFFIX: &str = "-gzip";

impl ETag {
    /// The tag of a body with this digest.
    #[must_use]
    pub fn of(digest: &Sha256) -> Self {
        Self(["\"", &digest.to_string(), "\""].concat().into())
    }

    /// The tag as it stands in the header, quotes included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag of the same body in gzip form: another representation, so another strong tag.
    #[must_use]
    pub fn gzip(&self) -> Self {
        Self(["\"", self.opaque(), GZIP_SUFFIX, "\""].concat().into())
    }

    fn opaque(&self) -> &str {
        self.0.trim_matches('"')
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> IfNoneMatch<'a> {
    /// Reads the header's value. Anything is accepted; what is malformed matches nothing.
    #[must_use]
    pub fn new(value: &'a str) -> Self {
        Self(value)
    }

    /// Whether the client already has the representation with this tag, so that 304 is the answer.
    ///
    /// The comparison is weak, as section 13.1.2 demands: `W/"x"` matches `"x"`. Tags without quotes are
    /// accepted too, because clients and proxies in the field send them. The tags of a body and of its gzip form
    /// match each other: whoever has one of them has the content.
    #[must_use]
    pub fn matches(&self, tag: &ETag) -> bool {
        let value = self.0.trim();
        if value == "*" {
            return true;
        }
        let content = |opaque| str::strip_suffix(opaque, GZIP_SUFFIX).unwrap_or(opaque);
        Candidates(value).any(|candidate| content(candidate) == content(tag.opaque()))
    }
}

/// The opaque parts of the tags in a list. Commas inside quotes belong to the tag.
struct Candidates<'a>(&'a str);

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let list = self.0.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return None;
        }
        let tag = list.strip_prefix("W/").unwrap_or(list);
        let (opaque, rest) = match tag.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tag.split_once(',').unwrap_or((tag, "")),
        };
        self.0 = rest;
        Some(opaque.trim())
    }
}

impl Validators {
    /// Whether a conditional request can be made at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_if_none_match_is_understood() {
        let tag = ETag::of(&Sha256::of(b"body"));
        let t = tag.as_str();
        let bare = tag.opaque();
        for (value, expected) in [
            (t.to_owned(), true),
            (format!("W/{t}"), true),
            (format!("\"x\", {t}"), true),
            (format!("\"x\",W/\"y\" , W/{t},"), true),
            (format!("\"a,b\", {t}"), true),
            ("*".to_owned(), true),
            (" * ".to_owned(), true),
            (bare.to_owned(), true),
            (tag.gzip().to_string(), true),
            ("\"x\"".to_owned(), false),
            (format!("\"x{bare}\""), false),
            ("\"unclosed".to_owned(), false),
            (String::new(), false),
            (",,,".to_owned(), false),
            ("\"*\"".to_owned(), false),
        ] {
            assert_eq!(IfNoneMatch::new(&value).matches(&tag), expected, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_if_none_match_makes_it_hang_or_panic(value in ".{0,200}") {
            let _ = IfNoneMatch::new(&value).matches(&ETag::of(&Sha256::of(b"")));
        }

        #[test]
        fn a_tag_is_found_wherever_it_stands(before in "(\"[a-z,]{0,5}\", ?){0,3}", after in "(, ?\"[a-z,]{0,5}\"){0,3}") {
            let tag = ETag::of(&Sha256::of(b"x"));
            let value = format!("{before}{tag}{after}");
            proptest::prop_assert!(IfNoneMatch::new(&value).matches(&tag));
        }
    }
}
