//! Each goal beside what was measured.

use super::markdown::{Page, Table, bytes, count, number};
use crate::fetch::{self, Scheme, Sort, Through, Warmth};
use crate::load::Protocol;
use crate::results::Results;
use crate::samples::ratio;
use crate::warm::{self, Case, Server};
use crate::{growth, stampede};

/// One line: what, the goal, what was measured, whether that is enough.
struct Goal {
    what: String,
    goal: String,
    measured: String,
    is_reached: bool,
}

/// Writes the table, with the goals of those parts that were measured.
pub(super) fn write(page: &mut Page, results: &Results) {
    let mut goals = Vec::new();
    if let Some(found) = &results.warm {
        goals.extend(warm(found));
        goals.extend(tail(found));
    }
    if let Some(found) = &results.fetch {
        goals.extend(fetch(found));
    }
    if let Some(found) = &results.stampede {
        goals.extend(stampede(found));
    }
    if let Some(found) = &results.growth {
        goals.extend(growth(found));
    }
    if let Some(found) = &results.soak {
        let growth = found.growth();
        goals.push(Goal {
            what: "soak: memory of the replica that stays, last quarter to second".to_owned(),
            goal: "flat (× 1.1)".to_owned(),
            measured: format!("× {growth:.2}"),
            is_reached: growth <= 1.1,
        });
        goals.push(Goal {
            what: "soak: errors".to_owned(),
            goal: "0".to_owned(),
            measured: (found.errors + found.cargo_failures).to_string(),
            is_reached: found.errors + found.cargo_failures == 0,
        });
    }
    page.heading(2, "Goals");
    let mut table = Table::new(&["what", "goal", "measured", ""]);
    for Goal { what, goal, measured, is_reached } in goals {
        let mark = if is_reached { "reached" } else { "**not reached**" };
        table.row(vec![what, goal, measured, mark.to_owned()]);
    }
    page.table(&table);
}

/// Answers, the most that their CPU time may be of the floor's, and of nginx's.
fn warm(found: &warm::Found) -> Vec<Goal> {
    let small = [Case::NotModified, Case::Index(0), Case::IndexGzip(0), Case::Redirect];
    let large = [
        Case::Index(1),
        Case::IndexGzip(1),
        Case::Index(2),
        Case::IndexGzip(2),
        Case::Crate(0),
        Case::Crate(1),
        Case::Crate(2),
    ];
    let small = small.into_iter().map(|case| (case, 1.25, 1.0));
    let large = large.into_iter().map(|case| (case, 1.15, 1.1));
    let mut goals = Vec::new();
    for (case, floor_max, nginx_max) in small.chain(large) {
        for protocol in Protocol::ALL {
            let server =
                if case == Case::Redirect { Server::ReplicaRedirect } else { Server::Crateport };
            let cpu = |server| found.cell(case, protocol, server).map(|cell| &cell.cpu_us);
            let Some(own) = cpu(server) else { continue };
            let to = |other| cpu(other).and_then(|other| ratio(own, other));
            let (to_floor, to_nginx) = (to(Server::Floor), to(Server::Nginx));
            let text =
                |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            goals.push(Goal {
                what: format!("CPU: {}, {}", case.name(), protocol.name()),
                goal: format!("floor × {floor_max}, nginx × {nginx_max}"),
                measured: format!("floor × {}, nginx × {}", text(to_floor), text(to_nginx)),
                is_reached: to_floor.is_some_and(|ratio| ratio <= floor_max)
                    && to_nginx.is_none_or(|ratio| ratio <= nginx_max),
            });
        }
    }
    goals
}

fn tail(found: &warm::Found) -> Option<Goal> {
    let tail = found.tails.iter().find(|tail| tail.server == Server::Crateport)?;
    let measured = ratio(&tail.p99_us, &tail.p50_us)?;
    Some(Goal {
        what: "tail: p99 at half of the load, cold fills beside".to_owned(),
        goal: "p50 × 3".to_owned(),
        measured: format!("p50 × {measured:.2}"),
        is_reached: measured <= 3.0,
    })
}

fn fetch(found: &fetch::Found) -> Vec<Goal> {
    let mut goals = Vec::new();
    for cell in &found.cells {
        let sort = cell.sort;
        let is_ours = sort.through == Through::Crateport && sort.scheme == Scheme::Http;
        if !is_ours || sort.packages < 400 {
            continue;
        }
        let other = |through, scheme| found.cell(Sort { through, scheme, ..sort });
        let to = |other: &fetch::Cell| ratio(&cell.seconds, &other.seconds);
        if sort.warmth == Warmth::Warm {
            if sort.client_ms == 30
                && sort.packages == 400
                && let Some(faster) = other(Through::Nginx, Scheme::Http).and_then(to)
            {
                goals.push(Goal {
                    what: "fetch: 400 packages, warm, http, 30 ms".to_owned(),
                    goal: "nginx / 5".to_owned(),
                    measured: format!("nginx / {:.1}", 1.0 / faster),
                    is_reached: 1.0 / faster >= 5.0,
                });
            }
        } else if let Some(slower) = other(Through::Directly, Scheme::Https).and_then(to) {
            goals.push(Goal {
                what: format!(
                    "fetch: {} packages, cold, http, upstream at {} ms",
                    sort.packages, sort.upstream_ms
                ),
                goal: "directly × 1".to_owned(),
                measured: format!("directly × {slower:.2}"),
                is_reached: slower <= 1.0,
            });
        }
    }
    goals.extend(bytes_on_the_wire(found));
    goals
}

/// All that came down but the crates, which no cache can make smaller, is put down to index files.
fn bytes_on_the_wire(found: &fetch::Found) -> Vec<Goal> {
    let goal = |project: &crate::registry::Project| {
        let cell = found.cells.iter().find(|cell| {
            cell.sort.through == Through::Crateport
                && cell.sort.warmth == Warmth::Warm
                && cell.sort.scheme == Scheme::Http
                && cell.sort.packages.abs_diff(project.packages) < 20
        })?;
        let index = cell.down_bytes.median() - project.crate_bytes as f64;
        let share = index / project.index_bytes as f64;
        Some(Goal {
            what: format!("bytes of index files, {} packages, http", cell.sort.packages),
            goal: "identity / 10".to_owned(),
            measured: format!("identity / {:.1} ({})", 1.0 / share, bytes(index)),
            is_reached: share <= 0.1,
        })
    };
    found.projects.iter().filter_map(goal).collect()
}

fn stampede(found: &stampede::Found) -> Vec<Goal> {
    let Some(cell) = found.cell(stampede::Whom::Fleet, stampede::What::One) else {
        return Vec::new();
    };
    let last = ratio(&cell.last_byte_last_ms, &found.transfer_one_ms).unwrap_or(f64::NAN);
    vec![
        Goal {
            what: "stampede: upstream GETs for one crate, 3 replicas".to_owned(),
            goal: "1".to_owned(),
            measured: count(cell.upstream_most.max()),
            is_reached: cell.upstream_most.max() <= 1.0,
        },
        Goal {
            what: "stampede: last client done, 3 replicas".to_owned(),
            goal: "the transfer alone × 1.2, and the store's put".to_owned(),
            measured: format!("the transfer alone × {last:.2}, with the put"),
            is_reached: last <= 1.2,
        },
    ]
}

fn growth(found: &growth::Found) -> Vec<Goal> {
    let mut goals = Vec::new();
    let most = found.objects.iter().max_by_key(|objects| objects.known);
    if let Some(objects) = most {
        let start = objects.start_ms.median();
        goals.push(Goal {
            what: format!("start with {} objects", objects.known),
            goal: "100 ms".to_owned(),
            measured: format!("{} ms", number(start)),
            is_reached: start < 100.0,
        });
        let rest = objects.resident_bytes_started.median();
        goals.push(Goal {
            what: "memory at rest".to_owned(),
            goal: "64 MB".to_owned(),
            measured: bytes(rest),
            is_reached: rest <= 64e6,
        });
    }
    goals
}
