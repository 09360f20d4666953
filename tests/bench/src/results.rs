//! What a run has found: written as JSON for programs, and read again for the page and for the check.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::{delivery, fetch, growth, soak, stampede, warm};

/// A run. A part that was not asked for keeps what an earlier run has found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Where it ran, by part, since parts may have run at different times.
    pub(crate) machines: BTreeMap<String, Machine>,
    /// CPU time, throughput and latencies of warm answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warm: Option<warm::Found>,
    /// A real cargo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fetch: Option<fetch::Found>,
    /// Three hundred clients at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stampede: Option<stampede::Found>,
    /// Many objects, many connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) growth: Option<growth::Found>,
    /// A long time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) soak: Option<soak::Found>,
    /// Redirect or stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<delivery::Found>,
}

impl Results {
    /// Reads them; nothing if there is no such file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| file.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    /// Writes them.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| file.display().to_string())
    }
}
