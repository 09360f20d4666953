//! The other end of [`crate::child::Part`]: what a part of this program does with its stdin and stdout.

use std::io::{BufRead as _, Write as _};

use anyhow::Result;
use serde_json::Value;

/// Says that the part is ready, then answers line by line until stdin ends, which it does with its holder.
pub(crate) fn converse(ready: &Value, mut answer: impl FnMut(&str) -> Result<Value>) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{ready}")?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        writeln!(output, "{}", answer(line?.trim())?)?;
        output.flush()?;
    }
    Ok(())
}
