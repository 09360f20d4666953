//! Part 1 on the page.

use anyhow::Result;

use super::markdown::{Page, Table, bytes, number, sample, times};
use super::plot::Bars;
use crate::load::Protocol;
use crate::samples::ratio;
use crate::warm::{Case, Cell, Found, Server};

/// Servers that the plot shows.
const PLOTTED: [Server; 4] =
    [Server::Floor, Server::Nginx, Server::Crateport, Server::ReplicaRedirect];

pub(super) fn write(page: &mut Page, found: &Found) -> Result<()> {
    page.heading(2, "Warm answers: CPU time per request");
    page.text(
        "Microseconds of the server's CPU time, user and system, by the kernel's accounting; in brackets the ratio to \
         the floor, a minimal hyper server that answers with static bytes of the same length. Each server has one \
         processor for itself, the clients another one.",
    );
    for protocol in Protocol::ALL {
        page.heading(3, protocol.name());
        cpu(page, found, protocol);
    }
    let groups = Case::all().into_iter().map(|case| {
        let bars =
            PLOTTED.map(|server| Some(found.cell(case, Protocol::Http1, server)?.cpu_us.median()));
        (case.name(), bars.to_vec())
    });
    let bars = Bars {
        title: "CPU time per request, HTTP/1.1, logarithmic",
        series: PLOTTED.map(|server| server.name().to_owned()).to_vec(),
        groups: groups.collect(),
        is_logarithmic: true,
        unit: "µs",
    };
    page.plot("warm-cpu", "CPU time per request over HTTP/1.1", &bars.svg())?;
    page.heading(2, "Warm answers: throughput and latencies");
    page.text(
        "32 requests in flight, 8 where bodies are large; requests per second, and the microseconds within which 50 \
         and 99 of 100 answers were complete. Where the server is fast the clients' processor is the limit.",
    );
    for protocol in Protocol::ALL {
        page.heading(3, protocol.name());
        speed(page, found, protocol);
    }
    page.text(
        "Over HTTP/1.1 and at about 100 KB nginx waits 40 ms for each answer: with `tcp_nopush`, which Debian turns on, \
         the end of a cached file is held back until the client's delayed acknowledgement. Its CPU time is not \
         touched by that.",
    );
    tail(page, found);
    page.heading(3, "Memory after all of it");
    let mut table = Table::new(&["server", "most that was resident"]);
    for memory in &found.memory {
        table.row(vec![memory.server.name().to_owned(), bytes(memory.resident_bytes_peak)]);
    }
    page.table(&table);
    Ok(())
}

fn servers(found: &Found, protocol: Protocol) -> Vec<Server> {
    let has = |server: &Server| {
        found.cells.iter().any(|cell| cell.server == *server && cell.protocol == protocol)
    };
    Server::ALL.into_iter().filter(has).collect()
}

fn cpu(page: &mut Page, found: &Found, protocol: Protocol) {
    let servers = servers(found, protocol);
    let mut head = vec!["answer", "body"];
    head.extend(servers.iter().map(|server| server.name()));
    let mut table = Table::new(&head);
    for case in Case::all() {
        let cell = |server| found.cell(case, protocol, server);
        let Some(floor) = cell(Server::Floor) else { continue };
        let mut row = vec![case.name(), bytes(floor.body_bytes as f64)];
        row.extend(servers.iter().map(|&server| match cell(server) {
            None => "–".to_owned(),
            Some(cell) if server == Server::Floor => sample(&cell.cpu_us),
            Some(cell) => {
                format!("{} ({})", sample(&cell.cpu_us), times(ratio(&cell.cpu_us, &floor.cpu_us)))
            }
        }));
        table.row(row);
    }
    page.table(&table);
}

fn speed(page: &mut Page, found: &Found, protocol: Protocol) {
    let servers = servers(found, protocol);
    let mut head = vec!["answer"];
    head.extend(servers.iter().map(|server| server.name()));
    let mut table = Table::new(&head);
    for case in Case::all() {
        let mut row = vec![case.name()];
        row.extend(servers.iter().map(|&server| {
            found.cell(case, protocol, server).map_or_else(|| "–".to_owned(), speed_of)
        }));
        table.row(row);
    }
    page.table(&table);
}

fn speed_of(cell: &Cell) -> String {
    let Cell { per_second, p50_us, p99_us, .. } = cell;
    let [per_second, p50, p99] =
        [per_second, p50_us, p99_us].map(|samples| number(samples.median()));
    format!("{per_second}/s, {p50} / {p99}")
}

fn tail(page: &mut Page, found: &Found) {
    if found.tails.is_empty() {
        return;
    }
    page.heading(2, "The tail at half of the load");
    page.text(
        "Warm index files of 5 KB, asked for at half of the rate that saturates the server, whether or not earlier \
         ones were answered, and with cold crates being fetched beside them; *alone* is without those. Microseconds from \
         the moment a request was due. The floor fetches nothing, and shows what the machine itself does to a tail.",
    );
    let head = ["server", "requests per second", "p50", "p99", "p99 / p50", "p99, alone"];
    let mut table = Table::new(&head);
    for tail in &found.tails {
        table.row(vec![
            tail.server.name().to_owned(),
            sample(&tail.per_second),
            sample(&tail.p50_us),
            sample(&tail.p99_us),
            times(ratio(&tail.p99_us, &tail.p50_us)),
            sample(&tail.p99_alone_us),
        ]);
    }
    page.table(&table);
}
