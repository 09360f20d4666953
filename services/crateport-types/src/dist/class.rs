//! Which dist files change in place, which never do, and what proves each: one table, whose first fitting row holds.

use super::DistPath;

/// Whether a dist file can change, and what proves its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistClass {
    /// Changes in place. The `.sha256` beside it proves it, and both are given from one snapshot.
    Snapshot,
    /// Never changes. A manifest that names it proves it, or the `.sha256` beside it.
    Artifact,
    /// Changes in place, and nothing lies beside it: only its form can be checked.
    Record(RecordForm),
}

/// What a record must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordForm {
    /// TOML with a `version`: what rustup updates itself to.
    Release,
    /// A list of manifests, one address per line.
    Manifests,
    /// A detached signature, in armour (RFC 9580, section 6.2).
    Signature,
}

use DistClass::{Artifact, Record, Snapshot};

impl RecordForm {
    /// Whether `bytes` look as they must.
    #[must_use]
    pub fn fits(self, bytes: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        match self {
            Self::Release => {
                let version = text.parse::<toml::Table>().ok().and_then(|table| {
                    table.get("version").and_then(|it| it.as_str()).map(is_version)
                });
                version == Some(true)
            }
            Self::Manifests => {
                let is_address = |line: &str| {
                    line.contains('/')
                        && line.ends_with(".toml")
                        && line.bytes().all(|byte| byte.is_ascii_graphic())
                };
                !text.is_empty() && text.ends_with('\n') && text.lines().all(is_address)
            }
            Self::Signature => {
                text.starts_with("-----BEGIN PGP SIGNATURE-----")
                    && text.trim_end().ends_with("-----END PGP SIGNATURE-----")
            }
        }
    }
}

/// In a row, `*` fits any characters of one segment, `**` any segments, `{version}` a version such as `1.95.0` and
/// `{date}` a day such as `2026-04-16`.
///
/// Other origins mirror these paths or have their own: for those the last rows hold.
const TABLE: &[(&str, DistClass)] = &[
    // What rustup updates itself to, and the list of all manifests.
    ("rustup/release-*.toml", Record(RecordForm::Release)),
    ("manifests.txt", Record(RecordForm::Manifests)),
    ("**/*.asc", Record(RecordForm::Signature)),
    // rustup-init: of one version for ever, and the newest one, which installers take.
    ("rustup/archive/{version}/**", Artifact),
    ("rustup/dist/**", Snapshot),
    // Releases of one day: manifests in both formats and components.
    ("dist/{date}/**", Artifact),
    // The manifest of one version is written once; a channel's (stable, beta, nightly, 1.95) with each release.
    ("dist/channel-rust-{version}.toml", Artifact),
    ("dist/channel-rust-{version}", Artifact),
    ("dist/channel-rust-*", Snapshot),
    // Stand-alone installers: rust-1.95.0-… is written once, rust-nightly-… with each release.
    ("dist/*-{version}-*", Artifact),
    ("dist/*", Snapshot),
    // Any other layout: what bears a day or a version in its path is taken to be written once.
    ("**/{date}/**", Artifact),
    ("**/{version}/**", Artifact),
    ("**/*-{version}*", Artifact),
    ("**", Snapshot),
];

/// Longer than any version, and short enough that looking for one everywhere in a name costs nothing.
const VERSION_LENGTH_MAX: usize = 40;

/// What stands in a row for other text, and for which.
type Placeholder = (&'static str, fn(&str) -> bool);

const PLACEHOLDERS: [Placeholder; 3] =
    [("*", |_| true), ("{version}", is_version), ("{date}", is_date)];

/// The class of `path`.
pub(super) fn of(path: &DistPath) -> DistClass {
    let segments: Vec<&str> = path.as_str().split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        path_fits(&pattern, &segments)
    };
    TABLE.iter().find(|(pattern, _)| fits(pattern)).map_or(Snapshot, |(_, class)| *class)
}

fn path_fits(pattern: &[&str], segments: &[&str]) -> bool {
    match (pattern.split_first(), segments.split_first()) {
        (None, None) => true,
        // Something must be left at the end of a row for `**` to stand for; before that it may stand for nothing.
        (Some((&"**", [])), segment) => segment.is_some(),
        (Some((&"**", rest)), segment) => {
            path_fits(rest, segments) || segment.is_some_and(|(_, left)| path_fits(pattern, left))
        }
        (Some((first, rest)), Some((segment, left))) => {
            segment_fits(first, segment) && path_fits(rest, left)
        }
        _ => false,
    }
}

/// Tries each length that a placeholder can stand for; segments are short.
fn segment_fits(pattern: &str, text: &str) -> bool {
    if pattern.is_empty() {
        return text.is_empty();
    }
    for (mark, is_one) in PLACEHOLDERS {
        if let Some(rest) = pattern.strip_prefix(mark) {
            return (0..=text.len()).any(|length| {
                text.split_at_checked(length)
                    .is_some_and(|(head, tail)| is_one(head) && segment_fits(rest, tail))
            });
        }
    }
    match (pattern.split_at_checked(1), text.split_at_checked(1)) {
        (Some((wanted, rest)), Some((found, left))) => wanted == found && segment_fits(rest, left),
        _ => false,
    }
}

/// `MAJOR.MINOR.PATCH`, perhaps with a pre-release such as `-beta.3`.
fn is_version(text: &str) -> bool {
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let is_number = |part: &str| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_pre = |pre: &str| {
        let word = pre.split('.').next().unwrap_or_default();
        matches!(word, "alpha" | "beta" | "rc")
            && pre.split('.').skip(1).all(is_number)
            && pre.split('.').count() <= 2
    };
    text.len() <= VERSION_LENGTH_MAX
        && numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && pre.is_none_or(is_pre)
}

/// `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_a_distribution_has_its_class() {
        let release = Record(RecordForm::Release);
        for (path, expected) in [
            ("dist/channel-rust-stable.toml", Snapshot),
            ("dist/channel-rust-beta.toml", Snapshot),
            ("dist/channel-rust-nightly.toml", Snapshot),
            ("dist/channel-rust-1.95.toml", Snapshot),
            ("dist/channel-rust-nightly", Snapshot),
            ("dist/channel-rust-1.95.0.toml", Artifact),
            ("dist/channel-rust-1.96.0-beta.2.toml", Artifact),
            ("dist/channel-rust-1.95.0", Artifact),
            ("dist/2026-04-16/channel-rust-nightly.toml", Artifact),
            ("dist/2026-04-16/channel-rust-nightly", Artifact),
            ("dist/2026-04-16/rustc-1.95.0-x86_64-unknown-linux-gnu.tar.xz", Artifact),
            ("dist/2026-04-16/rust-std-nightly-wasm32-wasip1.tar.xz", Artifact),
            ("dist/2026-4-16/x.tar.xz", Snapshot),
            ("dist/rust-1.95.0-x86_64-unknown-linux-gnu.tar.gz", Artifact),
            ("dist/rust-nightly-x86_64-unknown-linux-gnu.tar.gz", Snapshot),
            ("dist/rustc-1.95.0-src.tar.xz", Artifact),
            ("rustup/release-stable.toml", release),
            ("rustup/release-beta.toml", release),
            ("rustup/archive/1.29.0/x86_64-unknown-linux-gnu/rustup-init", Artifact),
            ("rustup/archive/1.29.0/x86_64-pc-windows-msvc/rustup-init.exe", Artifact),
            ("rustup/dist/x86_64-unknown-linux-gnu/rustup-init", Snapshot),
            ("rustup/rustup-init.sh", Snapshot),
            ("manifests.txt", Record(RecordForm::Manifests)),
            ("dist/2026-04-16/rustc-1.95.0-src.tar.xz.asc", Record(RecordForm::Signature)),
            ("tools/2026-04-16/x", Artifact),
            ("tools/1.2.3/linux/tool", Artifact),
            ("tools/tool-1.2.3.tar.gz", Artifact),
            ("tools/tool-1.2.tar.gz", Snapshot),
            ("tools/tool-latest.tar.gz", Snapshot),
            ("anything", Snapshot),
        ] {
            assert_eq!(path.parse::<DistPath>().unwrap().class(), expected, "{path}");
        }
    }

    #[test]
    fn a_record_that_is_cut_or_a_page_for_people_does_not_fit() {
        use RecordForm::{Manifests, Release, Signature};
        let armour = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";
        for (form, text, expected) in [
            (Release, "schema-version = '1'\nversion = '1.29.0'\n", true),
            (Release, "schema-version = '1'\n", false),
            (Release, "version = '1.29'\n", false),
            (Release, "version = 1\n", false),
            (Release, "<html></html>", false),
            (Release, "", false),
            (Manifests, "a.example/dist/2026-04-16/channel-rust-nightly.toml\n", true),
            (Manifests, "a.example/dist/2026-04-16/channel-rust-nightly.toml\na.exa", false),
            (Manifests, "a.example/dist/2026-04-16/channel-rust-nightly.tom", false),
            (Manifests, "<html>\n", false),
            (Manifests, "", false),
            (Signature, armour, true),
            (Signature, "-----BEGIN PGP SIGNATURE-----\nabc", false),
            (Signature, "<html>", false),
        ] {
            assert_eq!(form.fits(text.as_bytes()), expected, "{form:?} {text}");
        }
    }

    #[test]
    fn versions_and_days_are_told_from_other_words() {
        for (text, expected) in [
            ("1.95.0", true),
            ("1.96.0-beta.2", true),
            ("1.0.0-alpha", true),
            ("1.95", false),
            ("1.95.0.1", false),
            ("1.95.0-x86_64", false),
            ("1..0", false),
            ("1.95.0-beta.2.3", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
        assert!(is_date("2026-04-16") && !is_date("2026-04-1x") && !is_date("20260416"));
    }

    proptest::proptest! {
        #[test]
        fn every_path_has_a_class(path in "[a-z0-9.*-]{1,20}(/[a-z0-9.-]{1,20}){0,5}") {
            if let Ok(path) = path.parse::<DistPath>() {
                let _ = path.class();
            }
        }
    }
}
