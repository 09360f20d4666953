//! How connections to Redis are made: by which client, with which login, certificates and limits.

use std::sync::Arc;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::time::timeout;

use super::address::{Login, Node, Topology};
use super::{InvalidRedisConfig, RedisConfig};

/// Questions under way at once on one connection; more wait for their turn, as long as they would for an answer.
const IN_FLIGHT_MAX: usize = 512;
/// A cluster's client follows a slot that moved, within the time for an answer.
const CLUSTER_RETRIES: u32 = 2;
/// Between two of its tries.
const CLUSTER_RETRY_WAIT_MS_MAX: u64 = 20;

/// Makes connections, and remembers nothing about them.
#[derive(Debug)]
pub(super) struct Connector {
    config: RedisConfig,
    certificates: Option<TlsCertificates>,
}

/// What carries questions. A clone is the same connection.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn ask(&mut self, question: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.req_packed_command(question).await,
            Self::Cluster(connection) => connection.req_packed_command(question).await,
        };
        answer?.extract_error()
    }
}

impl Connector {
    /// # Errors
    ///
    /// When no connection could ever be made with this configuration.
    pub(super) fn new(config: RedisConfig) -> Result<Self, InvalidRedisConfig> {
        config.check()?;
        if config.address.tls {
            // The client takes the process's provider and panics without one. An error means that there is one.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        let certificates = config
            .ca_pem
            .clone()
            .map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
        let connector = Self { config, certificates };
        // What is wrong with the certificates is known now, not when somebody waits.
        let tried = match &connector.config.address.topology {
            Topology::Standalone(node) => connector.client(node, ProtocolVersion::RESP2).map(drop),
            Topology::Cluster(_) => connector.cluster_client().map(drop),
            Topology::Sentinel { sentinels, .. } => sentinels
                .iter()
                .try_for_each(|node| connector.client(node, ProtocolVersion::RESP2).map(drop)),
        };
        match tried {
            Ok(()) => Ok(connector),
            Err(error) => Err(InvalidRedisConfig::Certificates(error.to_string())),
        }
    }

    pub(super) fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// A connection for questions.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        match &self.config.address.topology {
            Topology::Standalone(node) => {
                let client = self.client(node, ProtocolVersion::RESP2)?;
                Ok(Connection::Single(self.open(&client, self.options()).await?))
            }
            Topology::Cluster(_) => {
                let client = self.cluster_client()?;
                let connection =
                    timeout(self.config.limits.discover, client.get_async_connection());
                Ok(Connection::Cluster(connection.await.map_err(|_| too_late())??))
            }
            Topology::Sentinel { sentinels, master, login } => {
                let client = self.master(sentinels, master, login, ProtocolVersion::RESP2).await?;
                Ok(Connection::Single(self.open(&client, self.options()).await?))
            }
        }
    }

    /// A connection of its own for announcements, which `hear` is given as they come. Any node of a cluster will do:
    /// it hears them all. `turn` says which one, so that a dead one is not asked for ever.
    pub(super) async fn connect_to_hear(
        &self,
        turn: usize,
        hear: Arc<dyn Fn(PushInfo) + Send + Sync>,
    ) -> RedisResult<MultiplexedConnection> {
        let protocol = ProtocolVersion::RESP3;
        let client = match &self.config.address.topology {
            Topology::Standalone(node) => self.client(node, protocol)?,
            Topology::Cluster(nodes) => {
                let node = nodes.iter().cycle().nth(turn % nodes.len().max(1));
                self.client(node.ok_or_else(nowhere)?, protocol)?
            }
            Topology::Sentinel { sentinels, master, login } => {
                self.master(sentinels, master, login, protocol).await?
            }
        };
        let options = self.options().set_push_sender(move |push| {
            hear(push);
            Ok::<_, redis::aio::SendError>(())
        });
        self.open(&client, options).await
    }

    async fn open(
        &self,
        client: &Client,
        options: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let connection = client.get_multiplexed_async_connection_with_config(&options);
        timeout(self.config.limits.connect, connection).await.map_err(|_| too_late())?
    }

    /// The time for answers is kept by those who ask.
    fn options(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.limits.connect))
            .set_response_timeout(None)
            .set_concurrency_limit(IN_FLIGHT_MAX)
    }

    fn client(&self, node: &Node, protocol: ProtocolVersion) -> RedisResult<Client> {
        let info = self.info(node)?.set_redis_settings(self.settings(protocol));
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    fn cluster_client(&self) -> RedisResult<ClusterClient> {
        let RedisConfig { address, limits, .. } = &self.config;
        let Topology::Cluster(nodes) = &address.topology else { return Err(nowhere()) };
        let nodes = nodes.iter().map(|node| self.info(node)).collect::<RedisResult<Vec<_>>>()?;
        let mut builder = ClusterClientBuilder::new(nodes)
            .connection_timeout(limits.connect)
            .response_timeout(limits.response)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(1)
            .max_retry_wait(CLUSTER_RETRY_WAIT_MS_MAX)
            .connection_concurrency_limit(IN_FLIGHT_MAX)
            .tcp_settings(tcp());
        if address.tls {
            builder = builder.tls(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        if let Some(user) = &address.login.user {
            builder = builder.username(user);
        }
        if let Some(password) = &address.login.password {
            builder = builder.password(password.reveal());
        }
        builder.build()
    }

    /// Asks the sentinels. Each of these connections is used once: who is master is asked after a failure, and then
    /// nothing that was known before can be trusted.
    async fn master(
        &self,
        sentinels: &[Node],
        master: &str,
        login: &Login,
        protocol: ProtocolVersion,
    ) -> RedisResult<Client> {
        let address = &self.config.address;
        let sentinels = sentinels.iter().map(|node| self.place(node));
        let mut builder =
            SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
                .set_client_to_redis_db(address.database)
                .set_client_to_redis_protocol(protocol)
                .set_client_to_redis_tcp_settings(tcp())
                .set_client_to_sentinel_tcp_settings(tcp());
        if address.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        if let Some(user) = &address.login.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &address.login.password {
            builder = builder.set_client_to_redis_password(password.reveal());
        }
        if let Some(user) = &login.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &login.password {
            builder = builder.set_client_to_sentinel_password(password.reveal());
        }
        let mut client = builder.build()?;
        let found = timeout(self.config.limits.discover, client.async_get_client()).await;
        found.map_err(|_| too_late())?
    }

    fn info(&self, node: &Node) -> RedisResult<ConnectionInfo> {
        Ok(self.place(node).into_connection_info()?.set_tcp_settings(tcp()))
    }

    fn place(&self, node: &Node) -> ConnectionAddr {
        let (host, port) = (node.host.clone(), node.port);
        if self.config.address.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn settings(&self, protocol: ProtocolVersion) -> RedisConnectionInfo {
        let address = &self.config.address;
        let mut settings =
            RedisConnectionInfo::default().set_db(address.database).set_protocol(protocol);
        if let Some(user) = &address.login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &address.login.password {
            settings = settings.set_password(password.reveal());
        }
        settings
    }
}

/// Questions are small and each is waited for.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn too_late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn nowhere() -> RedisError {
    (ErrorKind::InvalidClientConfig, "no server is named").into()
}
