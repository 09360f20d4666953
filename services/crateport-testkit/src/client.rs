//! A thin HTTP client for tests: no redirects, no decoding, no proxies from the environment, a deadline on everything.
//! For what exactly comes over the wire, there is [`RawRequest`].

mod raw;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

pub use self::raw::{Ending, RawAnswer, RawRequest};
use crate::tls::TestCa;

/// How long a whole exchange may take, and each wait in a streaming one.
const DEADLINE: Duration = Duration::from_secs(60);

/// A client with its own connection pool. The short ways are [`get`] and [`head`].
#[derive(Clone)]
pub struct Client(reqwest::Client);

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it came (a gzip'd one stays gzip'd).
    pub body: Bytes,
}

/// An answer whose body comes in pieces.
#[derive(Debug)]
pub struct Streaming {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    early: BytesMut,
}

/// A request that is being described.
#[must_use = "a request goes out with send() or open()"]
pub struct Outgoing {
    client: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// `GET` over HTTP/1.1 on a connection of its own.
pub fn get(url: impl Into<String>) -> Outgoing {
    Client::h1().get(url)
}

/// `HEAD` over HTTP/1.1 on a connection of its own.
pub fn head(url: impl Into<String>) -> Outgoing {
    Client::h1().head(url)
}

impl Client {
    /// HTTP/1.1 only.
    #[track_caller]
    pub fn h1() -> Self {
        Self::build(reqwest::Client::builder().http1_only())
    }

    /// h2 only: with prior knowledge on `http://`, by ALPN on `https://`.
    #[track_caller]
    pub fn h2() -> Self {
        Self::build(reqwest::Client::builder().http2_prior_knowledge())
    }

    /// TLS that trusts this authority and no other; h2 if the server offers it.
    #[track_caller]
    pub fn trusting(ca: &TestCa) -> Self {
        let root = reqwest::Certificate::from_pem(ca.pem().as_bytes()).expect("the kit's own PEM");
        Self::build(reqwest::Client::builder().tls_certs_only([root]))
    }

    #[track_caller]
    fn build(builder: reqwest::ClientBuilder) -> Self {
        let none = reqwest::redirect::Policy::none();
        let builder = builder.no_proxy().redirect(none).retry(reqwest::retry::never());
        Self(builder.build().expect("a client without files or network"))
    }

    /// A `GET`.
    pub fn get(&self, url: impl Into<String>) -> Outgoing {
        self.request(Method::GET, url)
    }

    /// A `HEAD`.
    pub fn head(&self, url: impl Into<String>) -> Outgoing {
        self.request(Method::HEAD, url)
    }

    /// Any method.
    pub fn request(&self, method: Method, url: impl Into<String>) -> Outgoing {
        Outgoing {
            client: self.0.clone(),
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Outgoing {
    /// Adds a header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Gives it a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and reads the whole answer; fails the test if there is none.
    pub async fn send(self) -> Answer {
        let url = self.url.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// Sends it and reads the whole answer.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.request().timeout(DEADLINE).send().await?;
        let (status, version, headers) =
            (response.status().as_u16(), response.version(), response.headers().clone());
        Ok(Answer { status, version, headers, body: response.bytes().await? })
    }

    /// Sends it and reads only the head; the test fails if none comes.
    pub async fn open(self) -> Streaming {
        let answer = tokio::time::timeout(DEADLINE, self.request().send()).await;
        let answer = answer.unwrap_or_else(|_| panic!("{}: no head within {DEADLINE:?}", self.url));
        let response = answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.url));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Streaming { status, headers, response, early: BytesMut::new() }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let request = self.client.request(self.method.clone(), &self.url);
        let request = request.headers(self.headers.clone());
        if self.body.is_empty() { request } else { request.body(self.body.clone()) }
    }
}

impl Answer {
    /// A header's value as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }
}

impl Streaming {
    /// A header's value as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next bytes as they come; `None` at the end, an error if the body is cut.
    pub async fn next(&mut self) -> Result<Option<Bytes>, reqwest::Error> {
        if !self.early.is_empty() {
            return Ok(Some(self.early.split().freeze()));
        }
        let chunk = tokio::time::timeout(DEADLINE, self.response.chunk()).await;
        chunk.unwrap_or_else(|_| panic!("{}: nothing for {DEADLINE:?}", self.response.url()))
    }

    /// Waits until some of the body is here, and returns its first byte; [`Streaming::next`] and [`Streaming::rest`]
    /// still give it.
    pub async fn first_byte(&mut self) -> Result<u8, reqwest::Error> {
        while self.early.is_empty() {
            let chunk = self.next().await?;
            self.early.extend_from_slice(
                &chunk.unwrap_or_else(|| panic!("{}: empty body", self.response.url())),
            );
        }
        Ok(self.early[0])
    }

    /// Everything that [`Streaming::next`] has not handed out.
    pub async fn rest(mut self) -> Result<Bytes, reqwest::Error> {
        let mut body = std::mem::take(&mut self.early);
        while let Some(chunk) = self.next().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
