//! What people paste into their clients' configuration to use this Crateport.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crateport_types::{BaseUrl, CRATES_IO, InvalidBaseUrl, RUSTUP, RegistryId};

use crate::route::INSTALLER;

/// Under which name cargo knows the registry that replaces crates.io.
const REPLACEMENT: &str = "crateport";
/// The same, if another registry has that id.
const OTHER_REPLACEMENT: &str = "crateport-crates-io";

/// The lines for `$CARGO_HOME/config.toml`, under `base`.
///
/// crates.io is replaced through `[registries]`, not `[source]` alone: so `--registry` and tokens work, and lock files
/// still name crates.io.
#[must_use]
pub fn cargo_lines(base: &BaseUrl, registries: &[RegistryId]) -> String {
    let is_taken = registries.iter().any(|id| id.as_str() == REPLACEMENT);
    let replacement = if is_taken { OTHER_REPLACEMENT } else { REPLACEMENT };
    let mut blocks = Vec::new();
    for id in registries {
        let is_crates_io = id.as_str() == CRATES_IO;
        let name = if is_crates_io { replacement } else { id.as_str() };
        blocks.push(format!("[registries.{name}]\nindex = \"{}\"\n", base.index_url(id)));
        if is_crates_io {
            blocks.push(format!("[source.{CRATES_IO}]\nreplace-with = \"{replacement}\"\n"));
        }
    }
    blocks.join("\n")
}

/// The lines for a shell's profile or a container's environment, under `base`: where rustup gets toolchains, and
/// itself. Both are needed; with the first alone rustup still asks the internet for its own updates.
#[must_use]
pub fn rustup_lines(base: &BaseUrl) -> String {
    format!(
        "export RUSTUP_DIST_SERVER={base}/{RUSTUP}\nexport RUSTUP_UPDATE_ROOT={base}/{RUSTUP}/rustup\n"
    )
}

/// The line that installs rustup where there is none, and points it and cargo here.
#[must_use]
pub fn rustup_install_line(base: &BaseUrl) -> String {
    format!("curl -fsSL {base}/{RUSTUP}/{INSTALLER} | sh\n")
}

/// The base under which clients on this machine reach a listener, when nobody named a public one.
///
/// # Errors
///
/// None that a socket address could cause.
pub fn local_base(address: SocketAddr, scheme: Scheme) -> Result<BaseUrl, InvalidBaseUrl> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port())).parse()
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// With TLS.
    Https,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<RegistryId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn crates_io_is_replaced_and_every_other_registry_is_named() {
        let base = "http://127.0.0.1:8080".parse().unwrap();
        let lines = cargo_lines(&base, &ids(&["crates-io", "internal"]));
        let expected = r#"[registries.crateport]
index = "sparse+http://127.0.0.1:8080/crates-io/index/"

[source.crates-io]
replace-with = "crateport"

[registries.internal]
index = "sparse+http://127.0.0.1:8080/internal/index/"
"#;
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_registry_called_crateport_keeps_its_name() {
        let base = "https://crates.example.com/rust".parse().unwrap();
        let lines = cargo_lines(&base, &ids(&["crates-io", "crateport"]));
        assert!(lines.contains("[registries.crateport-crates-io]\n"), "{lines}");
        assert!(lines.contains("replace-with = \"crateport-crates-io\"\n"), "{lines}");
    }

    #[test]
    fn rustup_is_told_where_toolchains_are_and_where_it_is_itself() {
        let base = "https://crates.example.com/rust".parse().unwrap();
        let expected = "export RUSTUP_DIST_SERVER=https://crates.example.com/rust/rustup\n\
                        export RUSTUP_UPDATE_ROOT=https://crates.example.com/rust/rustup/rustup\n";
        assert_eq!(rustup_lines(&base), expected);
        let expected = "curl -fsSL https://crates.example.com/rust/rustup/rustup-init.sh | sh\n";
        assert_eq!(rustup_install_line(&base), expected);
    }

    #[test]
    fn every_address_of_this_machine_is_reached_by_the_loopback() {
        for (address, scheme, expected) in [
            ("127.0.0.1:8080", Scheme::Http, "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", Scheme::Http, "http://127.0.0.1:8080"),
            ("[::]:8443", Scheme::Https, "https://[::1]:8443"),
            ("10.0.0.7:80", Scheme::Http, "http://10.0.0.7"),
        ] {
            let base = local_base(address.parse().unwrap(), scheme).unwrap();
            assert_eq!(base.as_str(), expected);
        }
    }
}
