//! Everything that Redis does in one step. Each script touches the keys of one hash tag only, and each may be executed
//! twice: a client library may send it again after a broken connection.

use std::sync::OnceLock;

use redis::Cmd;

/// A script and, once it was needed, its digest.
pub(super) struct Script {
    text: &'static str,
    digest: OnceLock<String>,
}

/// The note, what is left of it in milliseconds, and the time; or nothing.
pub(super) static RECALL: Script = Script::new(
    "local note = redis.call('get', KEYS[1])
if not note then return false end
return {note, redis.call('pttl', KEYS[1]), redis.call('time')}",
);

/// Takes the lease if nobody has it. Returns the token of the one who has it now.
pub(super) static CLAIM: Script = Script::new(
    "if redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[2]) then return ARGV[1] end
return redis.call('get', KEYS[1])",
);

/// Lets the lease live longer, if it is still the caller's.
pub(super) static RENEW: Script = Script::new(
    "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])",
);

/// Ends the lease, leaves the note if there is one, and tells those who wait. A note may be refused (the lease
/// was lost and memory is full) or the announcement (no permission): the rest is done all the same, and then the refusal is returned. Whoever has
/// lost the lease does not overwrite what the new holder left.
pub(super) static END: Script = Script::new(
    "local mine = redis.call('get', KEYS[1]) == ARGV[1]
if mine then redis.call('del', KEYS[1]) end
local left = 1
if ARGV[4] ~= '' then
  if mine then left = redis.pcall('set', KEYS[2], ARGV[4], 'px', ARGV[5])
  else left = redis.pcall('set', KEYS[2], ARGV[4], 'nx', 'px', ARGV[5]) end
end
local told = redis.pcall('publish', ARGV[2], ARGV[3])
if type(left) == 'table' and left.err then return left end
if type(told) == 'table' and told.err then return told end
return mine and 1 or 0",
);

/// Shows that it can be written to, and what time it is.
pub(super) static PROBE: Script = Script::new(
    "redis.call('set', KEYS[1], '1', 'px', 1000)
return redis.call('time')",
);

impl Script {
    const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }

    /// `EVAL`, which also makes the script known.
    pub(super) fn by_text(&self, keys: &[String], arguments: &[&str]) -> Cmd {
        call("EVAL", self.text, keys, arguments)
    }

    /// `EVALSHA`, which spares sending the text.
    pub(super) fn by_digest(&self, keys: &[String], arguments: &[&str]) -> Cmd {
        let digest =
            self.digest.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned());
        call("EVALSHA", digest, keys, arguments)
    }
}

fn call(command: &str, script: &str, keys: &[String], arguments: &[&str]) -> Cmd {
    let mut call = redis::cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    call
}
