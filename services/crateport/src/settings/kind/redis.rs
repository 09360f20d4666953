//! What there is to say about a Redis besides its address.

use super::Word;

/// How keys begin.
#[derive(Debug)]
pub(crate) struct RedisPrefix;

/// The name of an ACL user.
#[derive(Debug)]
pub(crate) struct UserName;

impl Word for RedisPrefix {
    type Value = String;
    const VALUE_NAME: &'static str = "PREFIX";
    const ALLOWED: &'static str = "printable ASCII without spaces and braces, such as crateport:";

    fn parse_word(text: &str) -> Result<String, String> {
        // Braces would change which part of a key a cluster hashes.
        let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        if !text.bytes().all(legal) {
            return Err("it holds something else".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Word for UserName {
    type Value = String;
    const VALUE_NAME: &'static str = "NAME";
    const ALLOWED: &'static str = "a name without spaces";

    fn parse_word(text: &str) -> Result<String, String> {
        if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err("it has a space".to_owned());
        }
        Ok(text.to_owned())
    }
}
