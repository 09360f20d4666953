//! Where Redis is: the text of one setting, parsed.
//!
//! ```text
//! redis[s]://[USER:PASSWORD@]HOST[:PORT][/DATABASE]
//! redis[s]+cluster://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],…
//! redis[s]+sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE][?sentinel-user=…&sentinel-password=…]
//! ```
//!
//! With `rediss`, every connection is TLS. Without a user, the password is the default user's. Characters that mean
//! something in a URL are written as `%40` and so on. A password prints as `***`.

use std::fmt;
use std::str::FromStr;

use crateport_types::Secret;
use percent_encoding::percent_decode_str;

use super::InvalidRedisConfig;

/// Where Redis is, and as whom to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) topology: Topology,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) database: i64,
}

/// What stands behind the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// One server.
    Standalone(Node),
    /// A cluster, of which at least one of these nodes answers.
    Cluster(Vec<Node>),
    /// Sentinels that know who the master is.
    Sentinel { sentinels: Vec<Node>, master: String, login: Login },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// More seeds than this are a mistake; one that answers is enough.
const NODES_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standalone,
    Cluster,
    Sentinel,
}

impl RedisAddress {
    /// The same address with this user and password, which a file or the environment may bring, in place of its own.
    #[must_use]
    pub fn with_login(mut self, user: Option<String>, password: Option<Secret>) -> Self {
        self.login.user = user.or(self.login.user);
        self.login.password = password.or(self.login.password);
        self
    }

    /// Whether the connections are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls
    }
}

impl FromStr for RedisAddress {
    type Err = InvalidRedisConfig;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("has no ://"))?;
        let (tls, kind) = scheme_of(scheme)?;
        let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
        let (authority, path) =
            rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login_of(login)?, hosts),
            None => (Login::default(), authority),
        };
        let mut sentinel_login = Login::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (kind, name) {
                (Kind::Sentinel, "sentinel-user") => sentinel_login.user = Some(decoded(value)?),
                (Kind::Sentinel, "sentinel-password") => {
                    sentinel_login.password = Some(Secret::new(&decoded(value)?));
                }
                _ => return Err(invalid(format!("has the unknown parameter {name}"))),
            }
        }
        if query.split('&').any(|pair| !pair.is_empty() && !pair.contains('=')) {
            return Err(invalid("has a parameter without a value"));
        }
        let (topology, database) = match kind {
            Kind::Standalone => {
                let [node] = <[Node; 1]>::try_from(nodes(hosts, REDIS_PORT)?).map_err(|_| {
                    invalid("names several servers, so it must be a +cluster or a +sentinel")
                })?;
                (Topology::Standalone(node), path)
            }
            Kind::Cluster => (Topology::Cluster(nodes(hosts, REDIS_PORT)?), path),
            Kind::Sentinel => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let master = decoded(master)?;
                if master.is_empty() {
                    return Err(invalid(
                        "does not end with /MASTER, the name that the sentinels know",
                    ));
                }
                let sentinels = nodes(hosts, SENTINEL_PORT)?;
                (Topology::Sentinel { sentinels, master, login: sentinel_login }, database)
            }
        };
        let database = match database.trim_end_matches('/') {
            "" => 0,
            number => number
                .parse::<u16>()
                .map_err(|_| invalid("ends with something that is not the number of a database"))?,
        };
        if kind == Kind::Cluster && database != 0 {
            return Err(invalid("names a database, which clusters do not have"));
        }
        Ok(Self { topology, tls, login, database: database.into() })
    }
}

fn invalid(detail: impl Into<String>) -> InvalidRedisConfig {
    InvalidRedisConfig::Address(detail.into())
}

fn scheme_of(scheme: &str) -> Result<(bool, Kind), InvalidRedisConfig> {
    let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
    let kind = match kind {
        "" => Kind::Standalone,
        "cluster" => Kind::Cluster,
        "sentinel" => Kind::Sentinel,
        _ => return Err(invalid("has neither +cluster nor +sentinel after its scheme")),
    };
    match base {
        "redis" | "valkey" => Ok((false, kind)),
        "rediss" | "valkeys" => Ok((true, kind)),
        _ => Err(invalid("does not begin with redis:// or rediss://")),
    }
}

fn login_of(text: &str) -> Result<Login, InvalidRedisConfig> {
    let (user, password) =
        text.split_once(':').ok_or_else(|| invalid("has a user without a password"))?;
    let user = decoded(user)?;
    let password = decoded(password)?;
    if password.is_empty() {
        return Err(invalid("has a user without a password"));
    }
    Ok(Login { user: (!user.is_empty()).then_some(user), password: Some(Secret::new(&password)) })
}

fn nodes(text: &str, default_port: u16) -> Result<Vec<Node>, InvalidRedisConfig> {
    let nodes =
        text.split(',').map(|text| node(text, default_port)).collect::<Result<Vec<_>, _>>()?;
    if nodes.len() > NODES_MAX {
        return Err(invalid(format!("names more than {NODES_MAX} servers")));
    }
    Ok(nodes)
}

fn node(text: &str, default_port: u16) -> Result<Node, InvalidRedisConfig> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) =
                rest.split_once(']').ok_or_else(|| invalid("has a [ without its ]"))?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")))
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            (host, Some(port))
        }
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(invalid("names a server without a host"));
    }
    let port = match port {
        Some("") => default_port,
        Some(port) => port.parse().map_err(|_| invalid("has a port that is not a number"))?,
        None => return Err(invalid("has something other than a port after a ]")),
    };
    Ok(Node { host: host.to_owned(), port })
}

fn decoded(text: &str) -> Result<String, InvalidRedisConfig> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| invalid("is not UTF-8 once decoded"))
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, nodes) = match &self.topology {
            Topology::Standalone(node) => ("", std::slice::from_ref(node)),
            Topology::Cluster(nodes) => ("+cluster", nodes.as_slice()),
            Topology::Sentinel { sentinels, .. } => ("+sentinel", sentinels.as_slice()),
        };
        write!(f, "redis{}{kind}://", if self.tls { "s" } else { "" })?;
        if self.login.password.is_some() {
            f.write_str("***@")?;
        }
        for (position, node) in nodes.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{node}")?;
        }
        if let Topology::Sentinel { master, .. } = &self.topology {
            write!(f, "/{master}")?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_printed_without_its_password() {
        for (text, printed) in [
            ("redis://redis", "redis://redis:6379"),
            ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("valkey://[fd00::1]/", "redis://[fd00::1]:6379"),
            ("rediss://:s3cret@cache.example", "rediss://***@cache.example:6379"),
            ("rediss://me:p%40ss@cache.example:1", "rediss://***@cache.example:1"),
            ("redis+cluster://a,b:7001", "redis+cluster://a:6379,b:7001"),
            ("rediss+cluster://u:p@a", "rediss+cluster://***@a:6379"),
            ("redis+sentinel://a,b:1/main", "redis+sentinel://a:26379,b:1/main"),
            (
                "redis+sentinel://u:p@a/main/2?sentinel-user=s&sentinel-password=q",
                "redis+sentinel://***@a:26379/main/2",
            ),
        ] {
            let address: RedisAddress =
                text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.to_string(), printed);
            for secret in ["s3cret", "p@ss", "p%40ss"] {
                assert!(!format!("{address:?}").contains(secret));
            }
        }
    }

    #[test]
    fn a_login_is_taken_apart() {
        let login = |text: &str| text.parse::<RedisAddress>().unwrap().login;
        let expected = |user: Option<&str>, password: &str| Login {
            user: user.map(str::to_owned),
            password: Some(Secret::new(password)),
        };
        assert_eq!(login("redis://me:p%40s:s@h"), expected(Some("me"), "p@s:s"));
        assert_eq!(login("redis://me:p@ss@h"), expected(Some("me"), "p@ss"));
        assert_eq!(login("redis://:p@h"), expected(None, "p"));
        let address: RedisAddress = "redis://h".parse().unwrap();
        let given = address.with_login(Some("me".to_owned()), Some(Secret::new("p")));
        assert_eq!(given.login, expected(Some("me"), "p"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_says_why() {
        for (text, part) in [
            ("redis", "://"),
            ("http://h", "redis://"),
            ("redis+ring://h", "+cluster"),
            ("redis://", "without a host"),
            ("redis://a,b", "several"),
            ("redis://a/x", "database"),
            ("redis://a:x", "port"),
            ("redis://a:70000", "port"),
            ("redis://[::1", "]"),
            ("redis://[::1]x", "]"),
            ("redis://u@h", "password"),
            ("redis://u:@h", "password"),
            ("redis://h?a=b", "unknown parameter a"),
            ("redis://h?a", "without a value"),
            ("redis+cluster://a,,b", "without a host"),
            ("redis+cluster://a/1", "clusters do not have"),
            ("redis+sentinel://a", "/MASTER"),
        ] {
            let error = text.parse::<RedisAddress>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
