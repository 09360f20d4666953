//! TLS listeners: ALPN, certificate errors at the start, reload.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_http::listen::{Limits, ListenError, Listener, ListenerConfig, TlsFiles};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::h2::{body, client, get};
use crate::support::{Running, patiently, read_response, read_to_close, run, send, serve};

/// A certificate and its key in files.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        let certificate = files.renew(2040);
        (files, certificate)
    }

    /// Puts a new pair in the place of the old one.
    fn renew(&self, end_year: i32) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(end_year, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        self.write("key.pem", &key.serialize_pem());
        self.write("certificate.pem", &certificate.pem());
        certificate.der().clone()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn tls(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.directory.path().join("certificate.pem"),
            key: self.directory.path().join("key.pem"),
        }
    }
}

async fn connect(
    server: &Running,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    patiently(TlsConnector::from(Arc::new(config)).connect(name, server.connect().await)).await
}

#[tokio::test]
async fn alpn_chooses_h2_or_http_1_1() {
    let (files, certificate) = Files::new();
    let server = serve(Limits::default(), vec![Some(files.tls())], Duration::ZERO).await;

    let stream = connect(&server, &certificate, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut h2, _connection) = client(stream).await;
    let (answer, _) = h2.send_request(get("/a"), true).unwrap();
    assert_eq!(body(patiently(answer).await.unwrap()).await, "h2 tls GET /a");

    for protocols in [["http/1.1"].as_slice(), &[]] {
        let mut stream = connect(&server, &certificate, protocols).await.unwrap();
        let request = b"GET /a HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
            http2-settings: AAMAAABk\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
        // Over TLS there is no upgrade.
        assert_eq!(read_response(&mut stream).await.1, "http1 tls GET /a");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_or_fails_is_counted_and_cut() {
    let (files, _certificate) = Files::new();
    let limits = Limits { handshake_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = serve(limits, vec![Some(files.tls())], Duration::ZERO).await;
    let mut silent = server.connect().await;
    read_to_close(&mut silent).await;
    let mut plain_http = server.connect().await;
    send(&mut plain_http, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    read_to_close(&mut plain_http).await;
    let (_other, untrusted) = Files::new();
    connect(&server, &untrusted, &["h2"]).await.unwrap_err();
    server.until(|stats| stats.handshake_failures == 3 && stats.connections_open == 0).await;
}

#[tokio::test]
async fn a_changed_certificate_is_taken_and_a_bad_one_is_not() {
    let (files, first) = Files::new();
    let config = ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), tls: Some(files.tls()) };
    let listener = Listener::bind(config).await.unwrap();
    let state = listener.certificate().unwrap();
    let limits = Limits { certificate_interval: Duration::from_millis(20), ..Limits::default() };
    let server = run(limits, vec![listener], Duration::ZERO);
    let mut kept = connect(&server, &first, &["http/1.1"]).await.unwrap();
    let not_after = |year: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(year);
    assert_eq!(state.state().not_after, Some(not_after(2_208_988_800)));

    files.write("certificate.pem", "not a certificate at all");
    server.until(|stats| stats.certificate_reload_failures == 1).await;
    assert!(state.state().problem.unwrap().contains("certificate.pem has no certificate in it"));
    connect(&server, &first, &["h2"]).await.unwrap();

    let second = files.renew(2041);
    server.until(|stats| stats.certificate_reloads > 0).await;
    // The two files are written one after the other, so that more than one change may have been seen.
    let taken = async {
        while state.state().not_after != Some(not_after(2_240_611_200))
            || state.state().problem.is_some()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    patiently(taken).await;
    connect(&server, &second, &["h2"]).await.unwrap();
    connect(&server, &first, &["h2"]).await.unwrap_err();
    // An open connection goes on with the certificate it began with.
    tokio::io::AsyncWriteExt::write_all(&mut kept, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_response(&mut kept).await.1, "http1 tls GET /");
}

#[tokio::test]
async fn a_listener_with_a_bad_certificate_does_not_start_and_says_why() {
    let (files, _certificate) = Files::new();
    files.write("key.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let address = "127.0.0.1:0".parse().unwrap();
    let error =
        Listener::bind(ListenerConfig { address, tls: Some(files.tls()) }).await.unwrap_err();
    assert!(matches!(error, ListenError::Certificate { .. }));
    let text = error.to_string();
    assert!(
        text.starts_with("cannot listen on 127.0.0.1:0 with TLS: the private key in "),
        "{text}"
    );
    assert!(text.contains("does not match the first certificate in"), "{text}");
}
