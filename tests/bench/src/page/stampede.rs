//! Part 3 on the page.

use super::markdown::{Page, Table, bytes, number, sample};
use crate::stampede::{CLIENTS, Found, What, Whom};

pub(super) fn write(page: &mut Page, found: &Found) {
    page.heading(2, "The stampede");
    page.text(&format!(
        "{CLIENTS} clients at once, over HTTP/1.1, behind a line of limited bandwidth and 30 ms to the upstream. \
         Milliseconds; *first byte* and *last byte* are when half of the clients and when all of them had it.",
    ));
    for (what, title, alone) in [
        (What::One, "All for one cold crate of 2 MB, at 1 MB/s", &found.transfer_one_ms),
        (
            What::Many,
            "Each for a cold crate of its own, 100 KB, at 10 MB/s",
            &found.transfer_many_ms,
        ),
    ] {
        page.heading(3, title);
        page.text(&format!("The line alone needs {} ms for these bytes.", number(alone.median())));
        let mut table = Table::new(&[
            "server",
            "upstream GETs",
            "of one crate",
            "first byte, half",
            "first byte, all",
            "last byte, half",
            "last byte, all",
            "CPU",
            "memory, peak",
        ]);
        for whom in [Whom::Nginx, Whom::Crateport, Whom::Fleet] {
            let Some(cell) = found.cell(whom, what) else { continue };
            table.row(vec![
                name(whom).to_owned(),
                number(cell.upstream_crates.median()).trim_end_matches(".00").to_owned(),
                number(cell.upstream_most.max()).trim_end_matches(".00").to_owned(),
                sample(&cell.first_byte_p50_ms),
                sample(&cell.first_byte_last_ms),
                sample(&cell.last_byte_p50_ms),
                sample(&cell.last_byte_last_ms),
                sample(&cell.cpu_ms),
                bytes(cell.resident_bytes_peak.median()),
            ]);
        }
        page.table(&table);
    }
}

fn name(whom: Whom) -> &'static str {
    match whom {
        Whom::Nginx => "nginx, proxy_cache_lock",
        Whom::Crateport => "Crateport",
        Whom::Fleet => "three replicas, Redis and S3",
    }
}
