//! A tree of generated crates, as large as that of a real project.

use std::time::Duration;

use crateport_testkit::cargo::Project;
use crateport_testkit::{Cargo, Crateport, Published, ScriptedUpstream, krate};

use crate::house::CRATES_IO;

/// Several hundred, as real projects have.
pub(crate) const CRATES: usize = 300;
/// On two busy cores a build of all of them takes a while.
const BUILD_DEADLINE: Duration = Duration::from_secs(300);

/// Publishes the tree. Each crate depends on up to three others of later numbers and adds up what they say.
pub(crate) fn publish(upstream: &ScriptedUpstream) -> Vec<Published> {
    (0..CRATES)
        .map(|number| {
            let children = children(number);
            let sum = children.iter().map(|child| format!(" + crate_{child}::sum()"));
            let text = format!("pub fn sum() -> u64 {{ 1{} }}", sum.collect::<String>());
            let krate = krate(&name(number), "1.0.0").lib(&text);
            let krate = children.iter().fold(krate, |krate, child| krate.dep(&name(*child), "1"));
            krate.publish(upstream)
        })
        .collect()
}

/// What the root of the tree adds up to.
pub(crate) fn sum() -> u64 {
    let mut sums = vec![0_u64; CRATES];
    for number in (0..CRATES).rev() {
        sums[number] = 1 + children(number).into_iter().map(|child| sums[child]).sum::<u64>();
    }
    sums[0]
}

/// A cargo that has Crateport in place of crates.io, and a project that needs the whole tree.
pub(crate) fn cargo(crateport: &Crateport) -> Cargo {
    Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .deadline(BUILD_DEADLINE)
        .project(project)
}

/// It prints what the root adds up to.
pub(crate) fn project(project: Project) -> Project {
    project.dep(&name(0), "1").main("fn main() { println!(\"{}\", crate_0::sum()) }")
}

fn name(number: usize) -> String {
    format!("crate_{number}")
}

/// A heap, with a short cut here and there.
fn children(number: usize) -> Vec<usize> {
    let mut children = vec![2 * number + 1, 2 * number + 2];
    if number % 7 == 3 {
        children.push(2 * number + 8);
    }
    children.retain(|child| *child < CRATES);
    children
}
