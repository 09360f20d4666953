//! The log line of a request, formatted by hand.
//!
//! There is one for each request, with many fields, so it does not take the way of other events. It looks as they do,
//! as text and as JSON, and the log filter decides on it as on them: its target is [`TARGET`].

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{self, FormatTime as _};

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
    /// Whose request it is.
    Address(IpAddr),
    /// A duration, in milliseconds with three digits.
    Milliseconds(Duration),
}

/// What the filter knows the lines of requests by.
pub const TARGET: &str = "crateport::request";

thread_local! {
    /// Where a thread writes its lines, one after the other.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// A second since 1970 in which the thread wrote a line, and how it stands in lines.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

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
    LINE.with_borrow_mut(|line| {
        line.clear();
        match format {
            LogFormat::Text => text(line, fields),
            LogFormat::Json => json(line, fields),
        }
        batches.add(line.as_bytes());
    });
}

fn text<'a>(line: &mut String, fields: impl Iterator<Item = (&'static str, Field<'a>)>) {
    push_time(line);
    line.push_str("  INFO ");
    line.push_str(TARGET);
    line.push_str(": request");
    for (name, field) in fields {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        match field {
            Field::Word(word) => line.push_str(word),
            Field::Text(text) if is_plain(text) => {
                line.push('"');
                line.push_str(text);
                line.push('"');
            }
            Field::Text(text) => {
                let _ = write!(line, "{text:?}");
            }
            Field::Number(number) => push_number(line, number),
            Field::Address(address) => push_address(line, address),
            Field::Milliseconds(duration) => push_milliseconds(line, duration),
        }
    }
    line.push('\n');
}

fn json<'a>(line: &mut String, fields: impl Iterator<Item = (&'static str, Field<'a>)>) {
    line.push_str("{\"timestamp\":\"");
    push_time(line);
    line.push_str("\",\"level\":\"INFO\",\"message\":\"request\"");
    for (name, field) in fields {
        line.push_str(",\"");
        line.push_str(name);
        line.push_str("\":");
        match field {
            Field::Word(text) | Field::Text(text) => push_quoted(line, text),
            Field::Number(number) => push_number(line, number),
            Field::Address(address) => {
                line.push('"');
                push_address(line, address);
                line.push('"');
            }
            Field::Milliseconds(duration) => push_milliseconds(line, duration),
        }
    }
    line.push_str(",\"target\":\"");
    line.push_str(TARGET);
    line.push_str("\"}\n");
}

/// Now, as all lines have it (RFC 3339, to the microsecond). Only the first line of a second works out its date.
fn push_time(line: &mut String) {
    let now = since_epoch();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second == now.as_secs() {
            line.push_str(text);
            line.push('.');
            push_digits(line, u64::from(now.subsec_micros()), 6);
            line.push('Z');
            return;
        }
        let begin = line.len();
        let _ = time::SystemTime.format_time(&mut Writer::new(line));
        let written = line.get(begin..).and_then(|written| written.split_once('.'));
        // The clock may have gone on to the next second in between.
        if let Some((date, _)) = written
            && since_epoch().as_secs() == now.as_secs()
        {
            text.clear();
            text.push_str(date);
            *second = now.as_secs();
        }
    });
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What can stand between quotes as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

fn push_number(line: &mut String, number: u64) {
    line.push_str(itoa::Buffer::new().format(number));
}

/// A number with zeros before it.
fn push_digits(line: &mut String, number: u64, count: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    for _ in digits.len()..count {
        line.push('0');
    }
    line.push_str(digits);
}

fn push_milliseconds(line: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_number(line, micros / 1000);
    line.push('.');
    push_digits(line, micros % 1000, 3);
}

fn push_address(line: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // Writing to a string cannot fail.
        let _ = write!(line, "{address}");
        return;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            line.push('.');
        }
        push_number(line, u64::from(octet));
    }
}

/// A JSON string (RFC 8259, section 7).
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    if is_plain(text) {
        line.push_str(text);
        line.push('"');
        return;
    }
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

    const FIELDS: [(&str, Field<'_>); 7] = [
        ("client", Field::Address(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 255)))),
        ("path", Field::Text("/a b~")),
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
            "crateport::request: request client=10.0.0.255 path=\"/a b~\" method=GET user_agent=\"a \\\"b\\\"\\\\\\n\\u{1b}\" \
             bytes=18446744073709551615 short_ms=0.005 long_ms=61234.560\n"
        );
    }

    #[test]
    fn times_are_those_of_other_lines() {
        let others = || {
            let mut text = String::new();
            time::SystemTime.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        for _ in 0..1000 {
            let (before, mut line) = (others(), String::new());
            push_time(&mut line);
            let after = others();
            assert_eq!(line.len(), before.len());
            assert!(before <= line && line <= after, "{before} {line} {after}");
        }
    }

    #[test]
    fn a_line_of_json_is_an_object_with_every_field() {
        let mut line = String::new();
        json(&mut line, FIELDS.into_iter());
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["user_agent"], "a \"b\"\\\n\u{1b}");
        assert_eq!((&read["client"], &read["path"]), (&"10.0.0.255".into(), &"/a b~".into()));
        assert_eq!(read["bytes"], 18_446_744_073_709_551_615_u64);
        assert_eq!(read["short_ms"], 0.005);
        assert_eq!((&read["level"], &read["target"]), (&"INFO".into(), &TARGET.into()));
        assert!(read["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
