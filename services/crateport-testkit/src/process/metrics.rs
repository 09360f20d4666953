//! The Prometheus text format, as far as tests ask: the sum of the samples that bear some labels.

pub(super) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample);
    let wanted = samples
        .filter(|sample| sample.name == name && labels.iter().all(|&label| sample.bears(label)));
    wanted.map(|sample| sample.value).sum()
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl Sample<'_> {
    fn bears(&self, (name, value): (&str, &str)) -> bool {
        self.labels.iter().any(|(own, own_value)| *own == name && own_value == value)
    }
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, rest) = match line.split_once('{') {
        Some((name, rest)) => (name, rest),
        None => line.split_once(' ').map(|(name, _)| (name, &line[name.len()..]))?,
    };
    let mut labels = Vec::new();
    let mut rest = rest;
    if line.contains('{') {
        while let Some((label, after)) = rest.trim_start_matches(',').split_once("=\"") {
            let (value, after) = quoted(after)?;
            labels.push((label.trim(), value));
            rest = after;
            if rest.starts_with('}') {
                break;
            }
        }
        rest = rest.trim_start_matches(',').strip_prefix('}')?;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.trim(), labels, value })
}

/// The value up to its closing quote, with `\\`, `\"` and `\n` resolved, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_the_labels_not_named() {
        let text = concat!(
            "# HELP fills how many\n# TYPE fills counter\n",
            "fills{resource=\"crate\",result=\"stored\"} 3\n",
            "fills{resource=\"index\",result=\"stored\"} 4 1700000000\n",
            "fills{resource=\"crate\",result=\"say \\\"no}\\\"\"} 5\n",
            "fills_other{resource=\"crate\"} 100\nplain 1.5\nempty{} 2\n",
        );
        type Labels = &'static [(&'static str, &'static str)];
        let table: [(&str, Labels, f64); 7] = [
            ("fills", &[], 12.0),
            ("fills", &[("resource", "crate")], 8.0),
            ("fills", &[("resource", "crate"), ("result", "stored")], 3.0),
            ("fills", &[("result", "say \"no}\"")], 5.0),
            ("fills", &[("resource", "none")], 0.0),
            ("plain", &[], 1.5),
            ("empty", &[], 2.0),
        ];
        for (name, labels, total) in table {
            assert!((sum(text, name, labels) - total).abs() < f64::EPSILON, "{name} {labels:?}");
        }
    }
}
