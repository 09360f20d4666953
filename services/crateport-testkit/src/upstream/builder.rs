//! The settings of a scripted upstream, before and while it runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use super::answer::Origins;
use super::condition::Validators;
use super::connection;
use super::delivery::Framing;
use super::fault::Rules;
use super::journal::Journal;
use super::registry::Registry;
use super::{ScriptedUpstream, Shared, State};
use crate::own_runtime::OwnRuntime;
use crate::port::Port;
use crate::tls::TestCa;

/// What can change while the upstream runs, through [`ScriptedUpstream::change`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// The validators it sends and honours.
    pub validators: Validators,
    /// How bodies are framed.
    pub framing: Framing,
    /// Before each answer.
    pub latency: Duration,
    /// For each body; no bound if `None`.
    pub bytes_per_second: Option<u64>,
    /// Asked for in `Authorization`, on every path; `config.json` then says `auth-required`.
    pub token: Option<String>,
    /// `dl` in `config.json`, with or without cargo's markers. A template that starts with `/` is put behind the
    /// upstream's own origin; anything else is sent as it is.
    pub dl: String,
    /// `api` in `config.json`; empty means the upstream's own origin, `None` leaves the key out.
    pub api: Option<String>,
    /// The whole of `config.json`, instead of one made from the above.
    pub config_json: Option<String>,
    /// Whether index files go out gzip'd to those who accept it, as crates.io does.
    pub gzip_index: bool,
    /// The origin that `config.json` names instead of its own, for a proxy in front.
    pub public_origin: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            validators: Validators::Strong,
            framing: Framing::ContentLength,
            latency: Duration::ZERO,
            bytes_per_second: None,
            token: None,
            dl: "/dl".to_owned(),
            api: Some(String::new()),
            config_json: None,
            gzip_index: false,
            public_origin: None,
        }
    }
}

/// Settings for [`ScriptedUpstream::builder`]. Ends with [`UpstreamBuilder::start`].
#[derive(Debug, Clone, Default)]
#[must_use = "nothing runs before start()"]
pub struct UpstreamBuilder {
    settings: Settings,
    wants_tls: bool,
    wants_download_port: bool,
}

impl UpstreamBuilder {
    /// Any setting.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// See [`Settings::validators`].
    pub fn validators(self, validators: Validators) -> Self {
        self.with(|settings| settings.validators = validators)
    }

    /// Bodies go out chunked, without a length.
    pub fn chunked(self) -> Self {
        self.with(|settings| settings.framing = Framing::Chunked)
    }

    /// See [`Settings::latency`].
    pub fn latency(self, latency: Duration) -> Self {
        self.with(|settings| settings.latency = latency)
    }

    /// See [`Settings::bytes_per_second`].
    pub fn bandwidth(self, bytes_per_second: u64) -> Self {
        self.with(|settings| settings.bytes_per_second = Some(bytes_per_second))
    }

    /// See [`Settings::token`].
    pub fn token(self, token: &str) -> Self {
        self.with(|settings| settings.token = Some(token.to_owned()))
    }

    /// See [`Settings::dl`].
    pub fn dl(self, template: &str) -> Self {
        self.with(|settings| template.clone_into(&mut settings.dl))
    }

    /// See [`Settings::api`].
    pub fn api(self, api: Option<&str>) -> Self {
        self.with(|settings| settings.api = api.map(str::to_owned))
    }

    /// HTTPS with an authority of its own ([`ScriptedUpstream::ca`]); h2 by ALPN.
    pub fn tls(mut self) -> Self {
        self.wants_tls = true;
        self
    }

    /// A second port, which a `dl` that starts with `/` then names.
    pub fn separate_download_port(mut self) -> Self {
        self.wants_download_port = true;
        self
    }

    /// Listens on a free port; ready when this returns.
    pub async fn start(self) -> ScriptedUpstream {
        let runtime = Arc::new(OwnRuntime::start("scripted-upstream"));
        let ca = self.wants_tls.then(TestCa::new);
        let acceptor = ca.as_ref().map(|ca| TlsAcceptor::from(ca.server_config()));
        let state = State {
            settings: self.settings,
            origins: Origins::default(),
            registry: Registry::default(),
            rules: Rules::default(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), journal: Journal::default() });
        let open = || {
            let (shared, acceptor) = (shared.clone(), acceptor.clone());
            Port::open(&runtime, move |stream| {
                connection::serve(stream, shared.clone(), acceptor.clone())
            })
        };
        let port = open();
        let downloads = self.wants_download_port.then(open);
        let scheme = if ca.is_some() { "https" } else { "http" };
        let main = format!("{scheme}://{}", port.address());
        let downloads_origin =
            downloads.as_ref().map(|port| format!("{scheme}://{}", port.address()));
        shared.state().origins =
            Origins { downloads: downloads_origin.unwrap_or_else(|| main.clone()), main };
        ScriptedUpstream { shared, port, downloads, ca, runtime }
    }
}
