//! Credentials, region and address as AWS tools find them. The environment belongs to a whole process, so each row
//! runs this program once more, with an environment of its own.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crateport_store::{ObjectStore as _, Payload, PutOptions, Read, S3Config, S3Store};
use crateport_testkit::S3Server;
use crateport_types::StoreKey;

/// Set in the programs that this one starts: what they must see.
const EXPECTED: &str = "CRATEPORT_TEST_EXPECTED";
/// As long as a URL lives in these tests, unless its credentials end sooner.
const LIFETIME: Duration = Duration::from_secs(3600);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match std::env::var(EXPECTED) {
        Ok(expected) => runtime.block_on(in_a_process_of_its_own(&expected)),
        Err(_) => runtime.block_on(every_source_of_credentials_is_found()),
    }
}

async fn every_source_of_credentials_is_found() {
    let server = S3Server::start().await;
    let endpoint = server.endpoint();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, secret) = (S3Server::ACCESS_KEY, S3Server::SECRET_KEY);
    let profile = format!("[ci]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(path("credentials"), profile).unwrap();
    std::fs::write(
        path("config"),
        format!("[profile ci]\nregion = eu-west-1\nendpoint_url = {endpoint}\n"),
    )
    .unwrap();
    let container = container_credentials();

    let (no_file, s3_endpoint) = (path("none"), ("AWS_ENDPOINT_URL_S3", endpoint.as_str()));
    let files = [("AWS_CONFIG_FILE", no_file.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", &no_file)];
    let keys = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
    for (source, environment, expected) in [
        ("environment", [&keys[..], &files, &[s3_endpoint]].concat(), "3600"),
        (
            "profile",
            vec![
                ("AWS_PROFILE", "ci"),
                ("AWS_CONFIG_FILE", &path("config")),
                ("AWS_SHARED_CREDENTIALS_FILE", &path("credentials")),
            ],
            "3600",
        ),
        (
            "container, with credentials that end",
            [&files[..], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container), s3_endpoint]]
                .concat(),
            "less",
        ),
        ("nothing", [&files[..], &[s3_endpoint]].concat(), "refusal"),
    ] {
        let child = Command::new(std::env::current_exe().unwrap())
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment)
            .env(EXPECTED, expected)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{source}: {output}");
        println!("credentials from {source} ... ok");
    }
}

async fn in_a_process_of_its_own(expected: &str) {
    let location = format!("s3://{}", S3Server::BUCKET).parse().unwrap();
    let store = S3Store::open(S3Config::new(location)).await.unwrap();
    let key = StoreKey::check(1);
    let put = store.put(&key, Payload::Bytes("a".into()), PutOptions::default()).await;
    if expected == "refusal" {
        let error = put.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("credentials"), "{error}: {cause}");
        return;
    }
    put.unwrap();
    let open = store.get(&key, Read::whole()).await.unwrap().unwrap();
    assert_eq!(open.collect(9).await.unwrap(), "a");
    let url = store.presign(&key, LIFETIME).await.unwrap().unwrap();
    let lives = url.query_pairs().find(|(name, _)| name == "X-Amz-Expires").unwrap().1.into_owned();
    match expected {
        "less" => assert!(lives.parse::<u64>().unwrap() < 1000, "{lives}"),
        expected => assert_eq!(lives, expected),
    }
}

/// What ECS and EKS Pod Identity offer a container: its credentials, for 15 minutes.
fn container_credentials() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let ends = std::time::SystemTime::now() + Duration::from_secs(900);
            let body = serde_json::json!({
                "AccessKeyId": S3Server::ACCESS_KEY,
                "SecretAccessKey": S3Server::SECRET_KEY,
                "Token": "a session token",
                "Expiration": rfc3339(ends),
            })
            .to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}/credentials")
}

fn rfc3339(at: std::time::SystemTime) -> String {
    let at = aws_sdk_s3::primitives::DateTime::from(at);
    at.fmt(aws_sdk_s3::primitives::DateTimeFormat::DateTime).unwrap()
}
