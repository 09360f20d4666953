//! Part 3 on the page.

use super::markdown::{Page, Table, bytes, count, number, sample};
use crate::stampede::{CLIENTS, Found, What, Whom, transfer_many};

pub(super) fn write(page: &mut Page, found: &Found) {
    page.heading(2, "The stampede");
    page.text(&format!(
        "{CLIENTS} clients at once, over HTTP/1.1, behind a line of limited bandwidth and 30 ms to the upstream. \
         Milliseconds; *first byte* and *last byte* are when half of the clients and when all of them had it.",
    ));
    for (what, title, alone) in [
        (What::One, "All for one cold crate of 2 MB, at 1 MB/s", found.transfer_one_ms.median()),
        (
            What::Many,
            "Each for a cold crate of its own, 100 KB, at 10 MB/s",
            transfer_many().as_secs_f64() * 1e3,
        ),
    ] {
        page.heading(3, title);
        page.text(&format!("The line alone needs {} ms for these bytes.", number(alone)));
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
                count(cell.upstream_crates.median()),
                count(cell.upstream_most.max()),
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
