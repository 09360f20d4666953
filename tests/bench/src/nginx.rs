//! nginx as a cache for cargo, configured as people copy it from each other: Debian's defaults, one cache for the index
//! that revalidates, one for crates, a `config.json` of its own. It is given what such recipes lack only where the
//! measurement would not be fair without: connections that last as long as the load.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::child::{Child, Cores};
use crate::cpu::Group;
use crate::stand::{Ports, Stand};

/// How long it may take until it listens.
const READY_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
const PROGRAM: &str = "/usr/sbin/nginx";

/// A running nginx with empty caches.
pub(crate) struct Nginx {
    child: Child,
    /// Where cargo is pointed at: HTTP/1.1 and TLS with h2.
    pub(crate) ports: Ports,
    /// nginx cannot tell h2c from HTTP/1.1 on one port.
    pub(crate) h2c: SocketAddr,
}

impl Nginx {
    /// Starts it; `upstream` is the TLS port of the upstream or of a link to it.
    pub(crate) fn start(
        stand: &Stand,
        name: &str,
        upstream: SocketAddr,
        cores: Cores,
    ) -> Result<Self> {
        let folder = stand.fresh_folder(name)?;
        let [plain, tls, h2c] = free_ports()?;
        let ports = Ports { plain, tls };
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(stand, &folder, upstream, &ports, h2c))?;
        let mut command = cores.command(Path::new(PROGRAM));
        command.arg("-c").arg(&file).arg("-p").arg(&folder).arg("-e").arg(folder.join("error.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = Child::start(command, "nginx", &stand.log(name))?;
        let start = Instant::now();
        while std::net::TcpStream::connect(plain).is_err() {
            child.check().with_context(|| format!("see {}", stand.log(name).display()))?;
            ensure!(start.elapsed() < READY_DEADLINE, "nginx does not listen");
            std::thread::sleep(POLL);
        }
        Ok(Self { child, ports, h2c })
    }

    /// Its processes.
    pub(crate) fn group(&self) -> Result<Group> {
        self.child.group()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is killed leaves its workers behind.
        let _ = self.child.terminate();
    }
}

/// Its version, as `nginx/1.22.1`.
pub(crate) fn version() -> Result<String> {
    let output = Command::new(PROGRAM).arg("-v").output().context("nginx, a Debian package")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(text.rsplit(": ").next().unwrap_or_default().trim().to_owned())
}

fn free_ports() -> Result<[SocketAddr; 3]> {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [any()?, any()?, any()?];
    let [first, second, third] = held.each_ref().map(TcpListener::local_addr);
    Ok([first?, second?, third?])
}

fn configuration(
    stand: &Stand,
    folder: &Path,
    upstream: SocketAddr,
    ports: &Ports,
    h2c: SocketAddr,
) -> String {
    let (certificate, key) = (stand.certificate(), stand.key());
    let (certificate, key, folder) = (certificate.display(), key.display(), folder.display());
    let Ports { plain, tls } = ports;
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        r#"# What Debian installs.
{user}
worker_processes 1;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 16384; }}
worker_rlimit_nofile 20000;
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {folder}/access.log;
    gzip on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    # The default of 1000 would count new connections, which none of the others makes.
    keepalive_requests 100000000;

    # The recipe.
    proxy_cache_path {folder}/index levels=1:2 keys_zone=index:64m max_size=2g inactive=30d use_temp_path=off;
    proxy_cache_path {folder}/crates levels=1:2 keys_zone=crates:64m max_size=20g inactive=365d use_temp_path=off;
    server {{
        listen {plain} backlog=4096;
        listen {tls} ssl http2 backlog=4096;
        listen {h2c} http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};

        location = /index/config.json {{
            default_type application/json;
            return 200 '{{"dl":"$scheme://$http_host/crates","api":"$scheme://$http_host"}}';
        }}
        location /index/ {{
            proxy_pass https://{upstream};
            proxy_ssl_server_name on;
            proxy_cache index;
            proxy_cache_valid 200 5m;
            proxy_cache_valid 404 1m;
            proxy_cache_revalidate on;
            proxy_cache_lock on;
            proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
        }}
        location /crates/ {{
            proxy_pass https://{upstream};
            proxy_ssl_server_name on;
            proxy_cache crates;
            proxy_cache_valid 200 365d;
            proxy_cache_lock on;
            proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504;
        }}
    }}
}}
"#
    )
}
