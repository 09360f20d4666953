//! Part 6 on the page.

use super::markdown::{Page, Table, bytes, number, sample, times};
use crate::delivery::{DISTANCES_MS, Found, SIZES, Sort};
use crate::fetch::Scheme;
use crate::samples::ratio;

pub(super) fn write(page: &mut Page, found: &Found) {
    page.heading(2, "Redirect or stream");
    page.text(&format!(
        "Seconds of a `cargo fetch --locked` of {} packages with an empty home through a warm replica on S3, by the size \
         from which crates leave by redirect (`redirect-size-min`). Two links stand between: one to the replica, one to \
         the S3 server, to which cargo opens two connections of HTTP/1.1.",
        found.packages
    ));
    for (replica_ms, s3_ms) in DISTANCES_MS {
        page.heading(3, &format!("{replica_ms} ms to the replica, {s3_ms} ms to the S3 server"));
        let mut table = Table::new(&[
            "redirected from",
            "http",
            "to streaming",
            "https",
            "to streaming",
            "replica's CPU, https",
            "from the replica",
            "from S3",
        ]);
        for redirect_bytes_min in SIZES {
            let sort =
                |scheme, redirect_bytes_min| Sort { scheme, replica_ms, s3_ms, redirect_bytes_min };
            let cell = |scheme| found.cell(sort(scheme, redirect_bytes_min));
            let (Some(http), Some(https)) = (cell(Scheme::Http), cell(Scheme::Https)) else {
                continue;
            };
            let to_streaming = |scheme, seconds| {
                times(found.cell(sort(scheme, None)).and_then(|all| ratio(seconds, &all.seconds)))
            };
            table.row(vec![
                redirect_bytes_min.map_or("never".to_owned(), |from| bytes(from as f64)),
                sample(&http.seconds),
                to_streaming(Scheme::Http, &http.seconds),
                sample(&https.seconds),
                to_streaming(Scheme::Https, &https.seconds),
                format!("{} s", number(https.server_cpu_seconds.median())),
                bytes(https.replica_bytes.median()),
                bytes(https.s3_bytes.median()),
            ]);
        }
        page.table(&table);
    }
}
