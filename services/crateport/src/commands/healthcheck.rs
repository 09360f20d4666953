//! `healthcheck`: is the Crateport that these settings describe ready? For `HEALTHCHECK` lines and exec probes.
//!
//! It asks the ops listener's `/readyz` and prints one line. Exit code 0 means ready and 1 anything else, settings that
//! cannot be used included: Docker knows no third.

use std::process::ExitCode;
use std::time::Duration;

use super::print;
use crate::complain;
use crate::ops_client::{OpsAnswer, ask};
use crate::settings::Settings;

const READY_PATH: &str = "/readyz";
/// The status of one that is ready.
const OK: u16 = 200;

/// Asks once, for at most `timeout`.
pub(crate) async fn run(settings: &Settings, timeout: Duration) -> ExitCode {
    let listen = settings.ops_listen;
    if listen.port() == 0 {
        let sentence = "ops-listen names port 0, so that only the one who listens knows its port";
        return complain(sentence, crate::FAILED);
    }
    match ask(listen, READY_PATH, timeout).await {
        Ok(OpsAnswer { status: OK, .. }) => print("ready\n"),
        Ok(OpsAnswer { status, body }) => {
            let line = body.lines().next().unwrap_or_default();
            complain(format!("not ready: {status} {line}").trim_end(), crate::FAILED)
        }
        Err(error) => complain(&format!("not ready: {error}"), crate::FAILED),
    }
}
