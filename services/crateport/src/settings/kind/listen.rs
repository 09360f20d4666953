//! Where the main listeners stand: an address and perhaps the files of a certificate.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Word;

/// One main listener: `ADDRESS[,cert=FILE,key=FILE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    /// Where; port 0 takes a free one.
    pub(crate) address: SocketAddr,
    /// With what it speaks TLS, if it does.
    pub(crate) tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate and its chain.
    pub(crate) cert: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

const CERT: &str = "cert=";
const KEY: &str = "key=";

impl Word for ListenAddress {
    type Value = Self;
    const VALUE_NAME: &'static str = "ADDRESS[,cert=FILE,key=FILE]";
    const ALLOWED: &'static str =
        "IP:PORT such as 0.0.0.0:8080 or [::]:8080, perhaps followed by ,cert=FILE,key=FILE";

    fn parse_word(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let address = parse_address(parts.next().unwrap_or_default())?;
        let (mut cert, mut key) = (None, None);
        for part in parts {
            let (slot, path) = if let Some(path) = part.strip_prefix(CERT) {
                (&mut cert, path)
            } else if let Some(path) = part.strip_prefix(KEY) {
                (&mut key, path)
            } else {
                return Err(format!("`{part}` is neither cert=FILE nor key=FILE"));
            };
            if path.is_empty() || slot.replace(PathBuf::from(path)).is_some() {
                return Err("cert= and key= each name one file".to_owned());
            }
        }
        match (cert, key) {
            (None, None) => Ok(Self { address, tls: None }),
            (Some(cert), Some(key)) => Ok(Self { address, tls: Some(TlsFiles { cert, key }) }),
            _ => Err("cert= and key= go together".to_owned()),
        }
    }

    fn continues(part: &str) -> bool {
        part.starts_with(CERT) || part.starts_with(KEY)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

/// An IP address and a port; names are not looked up, so that what is bound is what was written.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no IP address with a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_bring_both_files_or_none() {
        let plain = ListenAddress::parse_word("[::1]:0").unwrap();
        assert_eq!((plain.address.port(), plain.tls), (0, None));
        let tls = ListenAddress::parse_word("0.0.0.0:443, key=/k.pem, cert=/c.pem").unwrap();
        assert_eq!(tls.tls, Some(TlsFiles { cert: "/c.pem".into(), key: "/k.pem".into() }));
        for text in [
            "",
            "8080",
            ":8080",
            "localhost:8080",
            "1.2.3.4:8080,cert=a",
            "1.2.3.4:8080,key=a",
            "1.2.3.4:8080,cert=a,cert=b",
            "1.2.3.4:8080,cert=,key=b",
            "1.2.3.4:8080,tls",
        ] {
            assert!(ListenAddress::parse_word(text).is_err(), "{text}");
        }
    }
}
