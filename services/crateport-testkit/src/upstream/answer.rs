//! The honest answer to a request, before any fault: what a static sparse registry says.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::State;
use super::condition::Validators;
use super::download_url::decode;
use super::journal::SeenRequest;
use super::registry::Stored;

/// Where the upstream can be reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins {
    pub(super) main: String,
    /// The same unless downloads have a port of their own.
    pub(super) downloads: String,
}

/// What a URL means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Config,
    /// By index key.
    Index(String),
    Search,
    /// Below `/dist/` and `/rustup/`, and wherever else a file was put.
    File(String),
    /// Everything else is a download; `None` where nothing is there.
    Crate(Option<(String, String)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Whether a client that has the file already is told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    Honoured,
    Ignored,
}

impl Answer {
    pub(super) fn text(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status, headers, body: body.into() }
    }

    fn not_found() -> Self {
        // The words of the bucket behind crates.io.
        let body =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code></Error>";
        Self::text(StatusCode::NOT_FOUND, "application/xml", body)
    }
}

impl State {
    pub(super) fn target(&self, request: &SeenRequest) -> Target {
        match request.path.as_str() {
            "/index/config.json" => Target::Config,
            "/api/v1/crates" => Target::Search,
            path if self.is_dist(path) => Target::File(path.to_owned()),
            path => match path.strip_prefix("/index/") {
                Some(key) => Target::Index(key.to_owned()),
                None => Target::Crate(self.find_crate(request)),
            },
        }
    }

    fn is_dist(&self, path: &str) -> bool {
        let is_below = ["/dist/", "/rustup/"].iter().any(|folder| path.starts_with(folder));
        is_below || self.registry.dist.contains_key(path)
    }

    fn find_crate(&self, request: &SeenRequest) -> Option<(String, String)> {
        let path = decode(&request.path);
        let asked = request.query.as_ref().map_or(path.clone(), |query| format!("{path}?{query}"));
        // Every form of `dl` names the crate or its checksum, and looking for those is cheaper than making each URL.
        let named = |name: &String, cksum: &String| asked.contains(name) || asked.contains(cksum);
        let mut candidates =
            self.registry.crates.iter().filter(|((name, _), krate)| named(name, &krate.cksum));
        let found = candidates
            .find(|((name, version), _)| self.crate_path_and_query(name, version) == asked);
        found.map(|(key, _)| key.clone())
    }

    pub(super) fn answer(
        &mut self,
        request: &SeenRequest,
        target: &Target,
        conditions: Conditions,
    ) -> Answer {
        let given = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if self.settings.token.as_ref().is_some_and(|token| given != Some(token.as_bytes())) {
            let mut answer =
                Answer::text(StatusCode::UNAUTHORIZED, "text/plain", "a token is required");
            answer.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Cargo"));
            return answer;
        }
        self.registry.answers += 1;
        let turn = self.registry.answers;
        match target {
            Target::Config => {
                let stored = Stored { bytes: self.config_json().into(), revision: 0 };
                self.file(request, &stored, "application/json", turn, conditions)
            }
            Target::Search => self.search(request),
            Target::Index(key) => match self.registry.files.get(key) {
                Some(stored) => {
                    let answer = self.file(request, stored, "text/plain", turn, conditions);
                    if self.settings.gzip_index { gzip(request, answer) } else { answer }
                }
                None => Answer::not_found(),
            },
            Target::File(path) => match self.registry.dist.get(path) {
                Some(stored) => {
                    self.file(request, stored, "application/octet-stream", turn, conditions)
                }
                None => Answer::not_found(),
            },
            Target::Crate(key) => {
                match key.as_ref().and_then(|key| self.registry.crates.get(key)) {
                    Some(krate) => {
                        self.file(request, &krate.file, "application/gzip", turn, conditions)
                    }
                    None => Answer::not_found(),
                }
            }
        }
    }

    fn file(
        &self,
        request: &SeenRequest,
        stored: &Stored,
        kind: &'static str,
        turn: u64,
        conditions: Conditions,
    ) -> Answer {
        let validators: Validators = self.settings.validators;
        let mut answer = Answer::text(StatusCode::OK, kind, stored.bytes.clone());
        answer.headers.insert(CACHE_CONTROL, HeaderValue::from_static("public,max-age=600"));
        answer.headers.extend(validators.headers(stored, turn));
        if conditions == Conditions::Honoured && validators.match_request(stored, &request.headers)
        {
            answer.status = StatusCode::NOT_MODIFIED;
            answer.body = Bytes::new();
            answer.headers.remove(CONTENT_TYPE);
        }
        answer
    }

    fn config_json(&self) -> String {
        if let Some(text) = &self.settings.config_json {
            return text.clone();
        }
        let mut config = BTreeMap::from([("dl", Value::from(self.dl()))]);
        if let Some(api) = &self.settings.api {
            let origin = self.settings.public_origin.as_ref().unwrap_or(&self.origins.main);
            let whole = if api.is_empty() || api.starts_with('/') {
                format!("{origin}{api}")
            } else {
                api.clone()
            };
            config.insert("api", whole.into());
        }
        if self.settings.token.is_some() {
            config.insert("auth-required", true.into());
        }
        json!(config).to_string()
    }

    /// `GET /api/v1/crates?q=…&per_page=…`: every crate whose name contains the words.
    fn search(&self, request: &SeenRequest) -> Answer {
        let pairs =
            url::form_urlencoded::parse(request.query.as_deref().unwrap_or_default().as_bytes());
        let pairs = pairs.into_owned().collect::<BTreeMap<_, _>>();
        let wanted = pairs.get("q").cloned().unwrap_or_default();
        let per_page = pairs.get("per_page").and_then(|text| text.parse().ok()).unwrap_or(10);
        // The keys are sorted, so that the last version of a name is the one that stays.
        let found = self.registry.crates.keys().filter(|(name, _)| name.contains(&wanted));
        let found = found.map(|(name, version)| (name, version)).collect::<BTreeMap<_, _>>();
        let crates = found.iter().take(per_page);
        let crates = crates.map(|(name, version)| {
            json!({ "name": name, "max_version": version, "description": "made for a test" })
        });
        let body =
            json!({ "crates": crates.collect::<Vec<_>>(), "meta": { "total": found.len() } });
        Answer::text(StatusCode::OK, "application/json", body.to_string())
    }
}

/// As crates.io's content network does it: the tag turns weak.
fn gzip(request: &SeenRequest, mut answer: Answer) -> Answer {
    answer.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let accepts = request.headers.get_all(ACCEPT_ENCODING).iter();
    let accepts =
        accepts.filter_map(|value| value.to_str().ok()).any(|value| value.contains("gzip"));
    if !accepts || answer.status != StatusCode::OK {
        return answer;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&answer.body).expect("a gzip stream in memory");
    answer.body = encoder.finish().expect("a gzip stream in memory").into();
    answer.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let strong = answer
        .headers
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
        .filter(|tag| !tag.starts_with("W/"));
    if let Some(weak) =
        strong.map(|tag| HeaderValue::try_from(format!("W/{tag}")).expect("a tag stays ASCII"))
    {
        answer.headers.insert(ETAG, weak);
    }
    answer
}
