//! Where `dl` puts a crate, by cargo's own rules: five markers, or `/{crate}/{version}/download` behind it if there is
//! none.

use percent_encoding::percent_decode_str;
use url::Url;

use super::State;
use super::registry::prefix;

const MARKERS: [&str; 5] =
    ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];

impl State {
    /// `dl` as `config.json` says it.
    pub(super) fn dl(&self) -> String {
        let template = &self.settings.dl;
        if !template.starts_with('/') {
            return template.clone();
        }
        let public = self
            .settings
            .public_origin
            .as_ref()
            .filter(|_| self.origins.downloads == self.origins.main);
        format!("{}{template}", public.unwrap_or(&self.origins.downloads))
    }

    /// The decoded path and query under which a crate is asked for.
    pub(super) fn crate_path_and_query(&self, name: &str, version: &str) -> String {
        let key = (name.to_owned(), version.to_owned());
        let cksum = self.registry.crates.get(&key).map_or("", |krate| &krate.cksum);
        let url = expand(&self.dl(), name, version, cksum);
        let url = Url::parse(&url)
            .unwrap_or_else(|error| panic!("`dl` makes {url}, which is no URL: {error}"));
        let path = decode(url.path());
        url.query().map_or(path.clone(), |query| format!("{path}?{query}"))
    }

    pub(super) fn crate_path(&self, name: &str, version: &str) -> String {
        let both = self.crate_path_and_query(name, version);
        both.split_once('?').map_or(both.clone(), |(path, _)| path.to_owned())
    }
}

/// Pure string replacement, nothing escaped: that is what cargo does.
fn expand(dl: &str, name: &str, version: &str, cksum: &str) -> String {
    if !MARKERS.iter().any(|marker| dl.contains(marker)) {
        return format!("{dl}/{name}/{version}/download");
    }
    dl.replace("{crate}", name)
        .replace("{version}", version)
        .replace("{prefix}", &prefix(name))
        .replace("{lowerprefix}", &prefix(name).to_lowercase())
        .replace("{sha256-checksum}", cksum)
}

/// `%2B` and `+` are one path.
pub(super) fn decode(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_dl_expands_as_cargo_expands_it() {
        let table = [
            ("http://h/dl", "http://h/dl/Serde/1.0.0+x/download"),
            ("http://h/dl/", "http://h/dl//Serde/1.0.0+x/download"),
            ("http://h/{crate}-{version}", "http://h/Serde-1.0.0+x"),
            ("http://h/{prefix}/{crate}", "http://h/Se/rd/Serde"),
            ("http://h/{lowerprefix}/{crate}", "http://h/se/rd/Serde"),
            ("http://h/get?sum={sha256-checksum}", "http://h/get?sum=ab12"),
        ];
        for (dl, url) in table {
            assert_eq!(expand(dl, "Serde", "1.0.0+x", "ab12"), url);
        }
    }
}
