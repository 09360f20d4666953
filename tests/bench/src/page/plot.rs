//! Plots as SVG, readable on light and on dark ground.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 90.0;
const BAR_HEIGHT: f64 = 13.0;
const GROUP_GAP: f64 = 12.0;
const LINES_LEFT: f64 = 80.0;
const LINES_HEIGHT: f64 = 260.0;
const LINES_BOTTOM: f64 = 44.0;
const TOP: f64 = 44.0;
const COLORS: [&str; 6] = ["#8a8f98", "#3a8f5c", "#d8572a", "#e6a23c", "#4a78c0", "#8e5bb5"];

/// Bars in groups: one group for each thing, one bar for each server.
pub(super) struct Bars<'a> {
    /// What is compared.
    pub(super) title: &'a str,
    /// Names of the bars of a group.
    pub(super) series: Vec<String>,
    /// Each group's name and bars; a bar that was not measured is left out.
    pub(super) groups: Vec<(String, Vec<Option<f64>>)>,
    /// Bars grow with the logarithm.
    pub(super) is_logarithmic: bool,
    /// What stands behind a number.
    pub(super) unit: &'a str,
}

/// Lines over a common axis.
pub(super) struct Lines<'a> {
    /// What is shown.
    pub(super) title: &'a str,
    /// Below the axis.
    pub(super) x_name: &'a str,
    /// Beside the numbers.
    pub(super) unit: &'a str,
    /// Each line's name and points.
    pub(super) series: Vec<(String, Vec<(f64, f64)>)>,
    /// The horizontal axis grows with the logarithm.
    pub(super) is_x_logarithmic: bool,
}

fn color(index: usize) -> &'static str {
    COLORS.get(index % COLORS.len()).copied().unwrap_or("#888888")
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\" rx=\"4\"/>\n\
         <text x=\"12\" y=\"18\" font-size=\"13\" font-weight=\"600\" fill=\"#222222\">{}</text>\n",
        escape(title)
    )
}

fn legend(svg: &mut String, names: impl Iterator<Item = String>) {
    let mut x = 12.0;
    for (index, name) in names.enumerate() {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"25\" width=\"9\" height=\"9\" fill=\"{}\"/><text x=\"{:.1}\" y=\"33\" fill=\"#444444\">{}</text>",
            color(index),
            x + 13.0,
            escape(&name)
        );
        x += 26.0 + 6.2 * name.len() as f64;
    }
}

impl Bars<'_> {
    pub(super) fn svg(&self) -> String {
        let bars: usize = self.groups.iter().map(|(_, bars)| bars.iter().flatten().count()).sum();
        let height = TOP + bars as f64 * BAR_HEIGHT + self.groups.len() as f64 * GROUP_GAP + 8.0;
        let all = || self.groups.iter().flat_map(|(_, bars)| bars.iter().flatten().copied());
        let max = all().fold(f64::MIN_POSITIVE, f64::max);
        let min = all().filter(|value| *value > 0.0).fold(max, f64::min);
        let length = |value: f64| {
            let share = if self.is_logarithmic {
                // The smallest bar keeps a visible length.
                ((value / min).max(1.0).ln() + 0.5) / ((max / min).ln() + 0.5)
            } else {
                value / max
            };
            share * (WIDTH - LEFT - RIGHT)
        };
        let mut svg = open(height, self.title);
        legend(&mut svg, self.series.iter().cloned());
        let mut y = TOP;
        for (name, bars) in &self.groups {
            let middle = y + bars.iter().flatten().count() as f64 * BAR_HEIGHT / 2.0 + 3.0;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\" fill=\"#222222\">{}</text>",
                LEFT - 8.0,
                escape(name)
            );
            for (index, value) in bars.iter().enumerate() {
                let Some(value) = value else { continue };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#444444\">{} {}</text>",
                    length(*value),
                    BAR_HEIGHT - 2.0,
                    color(index),
                    LEFT + length(*value) + 4.0,
                    y + BAR_HEIGHT - 4.0,
                    super::markdown::number(*value),
                    self.unit
                );
                y += BAR_HEIGHT;
            }
            y += GROUP_GAP;
        }
        svg + "</svg>\n"
    }
}

impl Lines<'_> {
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|(_, points)| points.iter().copied());
        let x_of = |x: f64| if self.is_x_logarithmic { x.max(1.0).ln() } else { x };
        let x_min = points().map(|(x, _)| x_of(x)).fold(f64::INFINITY, f64::min);
        let x_max = points().map(|(x, _)| x_of(x)).fold(f64::NEG_INFINITY, f64::max);
        let y_max = points().map(|(_, y)| y).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
        let x_span = if x_max > x_min { x_max - x_min } else { 1.0 };
        let (width, bottom) = (WIDTH - LINES_LEFT - 24.0, TOP + LINES_HEIGHT);
        let place = |(x, y): (f64, f64)| {
            (LINES_LEFT + (x_of(x) - x_min) / x_span * width, bottom - y / y_max * LINES_HEIGHT)
        };
        let mut svg = open(bottom + LINES_BOTTOM, self.title);
        legend(&mut svg, self.series.iter().map(|(name, _)| name.clone()));
        for step in 0..=4 {
            let value = y_max * f64::from(step) / 4.0;
            let y = bottom - LINES_HEIGHT * f64::from(step) / 4.0;
            let _ = writeln!(
                svg,
                "<line x1=\"{LINES_LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444444\">{} {}</text>",
                WIDTH - 24.0,
                LINES_LEFT - 6.0,
                y + 4.0,
                super::markdown::number(value),
                self.unit
            );
        }
        let mut marks: Vec<f64> = points().map(|(x, _)| x).collect();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        // A few marks say enough of an axis with many points.
        let every = marks.len().div_ceil(8).max(1);
        for x in marks.into_iter().step_by(every) {
            let (place_x, _) = place((x, 0.0));
            let _ = writeln!(
                svg,
                "<text x=\"{place_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444444\">{}</text>",
                bottom + 16.0,
                super::markdown::number(x).trim_end_matches(".00")
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444444\">{}</text>",
            LINES_LEFT + width / 2.0,
            bottom + 34.0,
            escape(self.x_name)
        );
        for (index, (_, points)) in self.series.iter().enumerate() {
            let path: Vec<String> = points
                .iter()
                .map(|point| {
                    let (x, y) = place(*point);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                path.join(" "),
                color(index)
            );
        }
        svg + "</svg>\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_bar_and_every_line_its_points() {
        let groups = vec![("a".to_owned(), vec![Some(1.0), None, Some(3.0)])];
        let series = vec!["x".to_owned(), "y".to_owned(), "z <".to_owned()];
        let bars = Bars { title: "t & u", series, groups, is_logarithmic: true, unit: "µs" }.svg();
        assert_eq!(bars.matches("<rect").count(), 1 + 3 + 2);
        assert!(bars.contains("t &amp; u") && bars.contains("z &lt;"));

        let series = vec![("a".to_owned(), vec![(1.0, 2.0), (10.0, 3.0)])];
        let lines = Lines { title: "t", x_name: "x", unit: "MB", series, is_x_logarithmic: true };
        assert_eq!(lines.svg().matches("<polyline").count(), 1);
    }
}
