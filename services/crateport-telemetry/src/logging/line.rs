//! The log line of a request, formatted by hand.
//!
//! There is one for each request, with many fields, so it does not take the way of other events. It looks as they do,
//! as text and as JSON, and the log filter decides on it as on them: its target is [`TARGET`].

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::LogFormat;
use super::batch::Batches;

/// One field of the line, by what it holds.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// A word that needs no quotes.
    Word(&'a str),
    /// A text of others' making.
    Text(&'a str),
    /// A count.
    Number(u64),
    /// A duration, in milliseconds with three digits.
    Milliseconds(Duration),
}

/// What the filter knows the lines of requests by.
pub const TARGET: &str = "crateport::request";

static SINK: OnceLock<(LogFormat, Batches)> = OnceLock::new();

/// From now on lines go to `batches`.
pub(super) fn write_to(format: LogFormat, batches: Batches) {
    // A second logger was refused before this.
    let _ = SINK.set((format, batches));
}

/// Writes what waits, before the process ends in a hurry.
pub fn flush() {
    if let Some((_, batches)) = SINK.get() {
        batches.flush_all();
    }
}

/// Logs one request, if the filter lets it through.
pub fn log_request<'a>(fields: impl Iterator<Item = (&'static str, Field<'a>)>) {
    if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
        return;
    }
    let Some((format, batches)) = SINK.get() else { return };
    let mut line = String::with_capacity(512);
    match format {
        LogFormat::Text => text(&mut line, fields),
        LogFormat::Json => json(&mut line, fields),
    }
    batches.add(line.as_bytes());
}

fn text<'a>(line: &mut String, fields: impl Iterator<Item = (&'static str, Field<'a>)>) {
    time(line);
    line.push_str("  INFO ");
    line.push_str(TARGET);
    line.push_str(": request");
    for (name, field) in fields {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        match field {
            Field::Word(word) => line.push_str(word),
            Field::Text(text) => {
                let _ = write!(line, "{text:?}");
            }
            Field::Number(number) => push_number(line, number),
            Field::Milliseconds(duration) => push_milliseconds(line, duration),
        }
    }
    line.push('\n');
}

fn json<'a>(line: &mut String, fields: impl Iterator<Item = (&'static str, Field<'a>)>) {
    line.push_str("{\"timestamp\":\"");
    time(line);
    line.push_str("\",\"level\":\"INFO\",\"message\":\"request\"");
    for (name, field) in fields {
        line.push_str(",\"");
        line.push_str(name);
        line.push_str("\":");
        match field {
            Field::Word(text) | Field::Text(text) => push_quoted(line, text),
            Field::Number(number) => push_number(line, number),
            Field::Milliseconds(duration) => push_milliseconds(line, duration),
        }
    }
    line.push_str(",\"target\":\"");
    line.push_str(TARGET);
    line.push_str("\"}\n");
}

fn time(line: &mut String) {
    let _ = SystemTime.format_time(&mut Writer::new(line));
}

fn push_number(line: &mut String, number: u64) {
    // Writing to a string cannot fail.
    let _ = write!(line, "{number}");
}

fn push_milliseconds(line: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_number(line, micros / 1000);
    let _ = write!(line, ".{:03}", micros % 1000);
}

/// A JSON string (RFC 8259, section 7).
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                line.push('\\');
                line.push(letter);
            }
            letter if u32::from(letter) < 0x20 => {
                let _ = write!(line, "\\u{:04x}", u32::from(letter));
            }
            letter => line.push(letter),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [(&str, Field<'_>); 5] = [
        ("method", Field::Word("GET")),
        ("user_agent", Field::Text("a \"b\"\\\n\u{1b}")),
        ("bytes", Field::Number(18_446_744_073_709_551_615)),
        ("short_ms", Field::Milliseconds(Duration::from_micros(5))),
        ("long_ms", Field::Milliseconds(Duration::from_micros(61_234_560))),
    ];

    #[test]
    fn a_line_of_text_cannot_be_broken_by_what_clients_say() {
        let mut line = String::new();
        text(&mut line, FIELDS.into_iter());
        let (_, said) = line.split_once("  INFO ").unwrap();
        assert_eq!(
            said,
            "crateport::request: request method=GET user_agent=\"a \\\"b\\\"\\\\\\n\\u{1b}\" \
             bytes=18446744073709551615 short_ms=0.005 long_ms=61234.560\n"
        );
    }

    #[test]
    fn a_line_of_json_is_an_object_with_every_field() {
        let mut line = String::new();
        json(&mut line, FIELDS.into_iter());
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["user_agent"], "a \"b\"\\\n\u{1b}");
        assert_eq!(read["bytes"], 18_446_744_073_709_551_615_u64);
        assert_eq!(read["short_ms"], 0.005);
        assert_eq!((&read["level"], &read["target"]), (&"INFO".into(), &TARGET.into()));
        assert!(read["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
