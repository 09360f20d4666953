//! The figures that alerts and dashboards stand on, as a scrape sees them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crateport_testkit::client::get;
use crateport_testkit::process::crateport_binary;
use crateport_testkit::{
    Crateport, CrateportOptions, KIB, S3Fault, S3Operation, S3Server, ScriptedUpstream, TestCa,
    Times, krate,
};

use crate::house::{crate_url, get_until, metric_is, on_bucket, options, outcome};

async fn value(crateport: &Crateport, name: &str, label: (&str, &str)) -> f64 {
    crateport.metric(name, &[label]).await
}

#[tokio::test]
async fn limits_disks_runtime_and_certificates_are_told() {
    let (upstream, ca) = (ScriptedUpstream::start().await, TestCa::new());
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = ca.issue().write_into(folder.path(), "server");
    let tls = format!("127.0.0.1:0,cert={},key={}", cert.display(), key.display());
    let options = options(&upstream).also_listens(&tls).flag("--requests-max", "77");
    let options = options.flag("--connections-max", "100");
    let crateport = Crateport::start(options).await;
    for (what, limit) in [
        ("requests", 77.0),
        ("connections", 100.0),
        ("fills", 256.0),
        ("index-memory-bytes", f64::from(128 << 20)),
    ] {
        metric_is(&crateport, "crateport_limit", &[("what", what)], limit).await;
    }
    for area in ["spool", "store"] {
        let size = value(&crateport, "crateport_disk_size_bytes", ("area", area)).await;
        let free = value(&crateport, "crateport_disk_free_bytes", ("area", area)).await;
        assert!(0.0 < free && free <= size, "{area}: {free} of {size}");
    }
    assert!(crateport.metric("crateport_runtime_workers", &[]).await >= 1.0);
    assert!(crateport.metric("crateport_runtime_tasks", &[]).await >= 1.0);
    let end = crateport
        .metric("crateport_tls_certificate_expiry_timestamp_seconds", &[("address", "127.0.0.1:0")])
        .await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(end > now, "{end} is not after {now}");
    metric_is(&crateport, "crateport_ready", &[], 1.0).await;
    let text = crateport.metrics().await;
    assert!(text.contains("crateport_build_info{"), "{text}");
    for zero in [
        "crateport_fills_total{resource=\"crate\",result=\"checksum-mismatch\"} 0\n",
        "crateport_filled_bytes_total{resource=\"crate\"} 0\n",
    ] {
        assert!(text.contains(zero), "{zero} {text}");
    }
}

#[tokio::test]
async fn where_too_few_files_may_be_open_fewer_connections_are_taken() {
    let upstream = ScriptedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let limited = folder.path().join("crateport");
    let binary = tokio::task::spawn_blocking(|| crateport_binary().to_owned()).await.unwrap();
    let script = format!("#!/bin/sh\nulimit -n 600 && exec '{}' \"$@\"\n", binary.display());
    std::fs::write(&limited, script).unwrap();
    std::fs::set_permissions(&limited, Permissions::from_mode(0o755)).unwrap();
    let crateport = Crateport::start(options(&upstream).binary(&limited)).await;
    crateport.wait_for_log("fewer connections are taken").await;
    metric_is(&crateport, "crateport_limit", &[("what", "connections")], 300.0).await;
    metric_is(&crateport, "process_max_fds", &[], 600.0).await;
    let check = CrateportOptions::default().binary(&limited);
    check.run(&["check"]).await.says("only 600 files may be open");
}

#[tokio::test]
async fn bytes_saved_are_what_was_served_or_redirected_to_less_what_was_filled() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let large = krate("large", "1.0.0").payload(200 * KIB).publish(&upstream);
    let size = f64::from(u32::try_from(large.bytes.len()).unwrap());
    let options = on_bucket(options(&upstream), &s3).flag("--redirect-size-min", "64KiB");
    let crateport = Crateport::start(options).await;
    let url = crate_url(&crateport, "large", "1.0.0");
    get(&url).send().await;
    get_until(&url, |answer| outcome(answer) == "hit").await;
    for (outcome, delivery, bytes) in [("fill", "spool", size), ("hit", "redirect", size)] {
        let labels = [("resource", "crate"), ("outcome", outcome), ("delivery", delivery)];
        metric_is(&crateport, "crateport_served_bytes_total", &labels, bytes).await;
    }
    metric_is(&crateport, "crateport_filled_bytes_total", &[("resource", "crate")], size).await;
    metric_is(&crateport, "crateport_spool_bytes", &[], 0.0).await;
    let presigned = [("operation", "presign"), ("result", "ok")];
    metric_is(&crateport, "crateport_store_requests_total", &presigned, 1.0).await;
}

#[tokio::test]
async fn a_store_that_asks_for_fewer_requests_is_counted_though_the_retry_helps() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(on_bucket(options(&upstream), &s3)).await;
    for operation in ["get", "head", "put", "list", "delete"] {
        let text = crateport.metrics().await;
        for name in ["throttled", "retries"] {
            let zero = format!("crateport_store_{name}_total{{operation=\"{operation}\"}} 0\n");
            assert!(text.contains(&zero), "{zero} {text}");
        }
    }
    s3.fault(&[S3Operation::PutObject], S3Fault::SLOW_DOWN, Times::Next(1));
    get(crate_url(&crateport, "a", "1.0.0")).send().await;
    let put = [("operation", "put")];
    metric_is(&crateport, "crateport_store_throttled_total", &put, 1.0).await;
    metric_is(&crateport, "crateport_store_retries_total", &put, 1.0).await;
    let failed = crateport.metric("crateport_cache_store_failures_total", &[]).await;
    assert!(failed == 0.0, "the retry helped");
    let head = [("operation", "head")];
    metric_is(&crateport, "crateport_store_throttled_total", &head, 0.0).await;
}
