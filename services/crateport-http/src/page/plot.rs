//! Plots of the last 24 hours: one bar for each quarter of an hour, drawn here, with no script.

use std::fmt::Write as _;

use super::escaped;
use crate::report::{BAR_MINUTES, Counts};

/// A bar and the gap beside it, in units of the drawing.
const BAR_WIDTH: usize = 10;
const GAP: usize = 2;
/// How high the highest bar is.
const HEIGHT: u64 = 100;

/// One bar: what was here, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) here: u64,
    pub(super) all: u64,
}

impl Bar {
    pub(super) fn requests(counts: &Counts) -> Self {
        Self { here: counts.hits, all: counts.requests }
    }

    pub(super) fn bytes(counts: &Counts) -> Self {
        Self { here: counts.hit_bytes, all: counts.bytes }
    }
}

/// A figure of `bars`, the oldest first; `number` says how a number reads.
pub(super) fn plot(title: &str, bars: &[Bar], number: fn(u64) -> String) -> String {
    let highest = bars.iter().map(|bar| bar.all).max().unwrap_or_default();
    let mut drawn = String::new();
    for (place, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.all > 0) {
        let (here, rest) = heights(*bar, highest);
        let (x, width) = (place * BAR_WIDTH, BAR_WIDTH - GAP);
        let (rest_y, here_y) = (HEIGHT - here - rest, HEIGHT - here);
        let minutes_ago = (bars.len() - place) as u64 * BAR_MINUTES;
        let says = format!(
            "{}, {} of them from here; {}",
            number(bar.all),
            number(bar.here),
            quarter(minutes_ago)
        );
        // Writing to a string cannot fail.
        let _ = write!(
            drawn,
            "<g><title>{says}</title><rect class=rest x={x} y={rest_y} width={width} height={rest} />\
             <rect class=here x={x} y={here_y} width={width} height={here} /></g>"
        );
    }
    let (title, highest, width) = (escaped(title), number(highest), bars.len() * BAR_WIDTH);
    format!(
        "<figure><figcaption>{title} <small>highest bar: {highest}</small></figcaption>\
         <svg viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=none role=img aria-label=\"{title}\">\
         {drawn}</svg><div class=axis><span>24 h ago</span><span>12 h</span><span>now</span></div></figure>"
    )
}

/// Of the two parts of a bar. What is there is seen, however little.
fn heights(bar: Bar, highest: u64) -> (u64, u64) {
    let scaled = |part: u64| {
        let scaled = u128::from(part) * u128::from(HEIGHT) / u128::from(highest.max(1));
        u64::try_from(scaled).unwrap_or(HEIGHT).clamp(u64::from(part > 0), HEIGHT)
    };
    let here = scaled(bar.here);
    let all = scaled(bar.all).max(here);
    let rest = all - here;
    if rest == 0 && bar.all > bar.here {
        // One unit of the part that is larger.
        return (here.saturating_sub(1), 1);
    }
    (here, rest)
}

fn quarter(minutes_ago: u64) -> String {
    match (minutes_ago / 60, minutes_ago % 60) {
        (0, minutes) => format!("{minutes} min ago"),
        (hours, 0) => format!("{hours} h ago"),
        (hours, minutes) => format!("{hours} h {minutes} min ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_numbers_and_never_vanish() {
        for (here, all, highest, expected) in [
            (0, 0, 0, (0, 0)),
            (0, 0, 10, (0, 0)),
            (10, 10, 10, (100, 0)),
            (5, 10, 10, (50, 50)),
            (0, 10, 10, (0, 100)),
            (1, 1, 1_000_000, (1, 0)),
            (0, 1, 1_000_000, (0, 1)),
            (999_999, 1_000_000, 1_000_000, (99, 1)),
            (u64::MAX, u64::MAX, u64::MAX, (100, 0)),
        ] {
            assert_eq!(heights(Bar { here, all }, highest), expected, "{here} {all} {highest}");
        }
    }

    #[test]
    fn a_plot_draws_what_there_is() {
        let bars = [Bar { here: 0, all: 0 }, Bar { here: 3, all: 4 }];
        let svg = plot("a < b", &bars, |number| number.to_string());
        assert!(svg.contains("<title>4, 3 of them from here; 15 min ago</title>"), "{svg}");
        assert!(svg.contains("<rect class=here x=10 y=25 width=8 height=75 />"), "{svg}");
        assert_eq!(svg.matches("<g>").count(), 1);
        assert!(svg.contains("a &lt; b") && svg.contains("viewBox=\"0 0 20 100\""), "{svg}");
    }
}
