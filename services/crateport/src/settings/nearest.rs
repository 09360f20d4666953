//! Finds the word that was meant.

use super::error::Hint;

/// Points at the one of `known` that is nearest to `word`, else at the place that lists them.
pub(super) fn hint(word: &str, known: impl IntoIterator<Item = String>) -> Hint {
    nearest(word, known).map_or_else(
        || Hint::See("`crateport serve --help` lists the settings".to_owned()),
        Hint::Nearest,
    )
}

/// The nearest of `known`, if it differs in no more than a third of the letters.
pub(super) fn nearest(word: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (distance(word, &candidate), candidate))
        .filter(|(distance, _)| *distance <= word.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (other, above) in to.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(letter != other)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_the_letters_that_differ() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("a-b", "a-b", 0),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_word_like_none_of_them_has_no_nearest() {
        let known = || ["index-ttl", "absent-ttl"].map(str::to_owned);
        assert_eq!(nearest("index-tll", known()).as_deref(), Some("index-ttl"));
        assert_eq!(nearest("zzz", known()), None);
    }
}
