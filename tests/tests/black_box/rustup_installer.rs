//! The installer of our own, in a home without anything.

use crateport_testkit::client::get;
use crateport_testkit::rustup::rustup_bytes;
use crateport_testkit::{
    Cargo, Crateport, Rustup, ScriptedUpstream, krate, release_rustup, toolchain,
};

use crate::toolchains::{distribution, eager};

const ARGUMENTS: &str = "-y --profile minimal --default-toolchain stable";

/// What people paste, with the shell that a Debian or Alpine image has.
fn install(crateport: &Crateport, arguments: &str) -> String {
    let shell = if std::path::Path::new("/bin/dash").exists() { "dash" } else { "sh" };
    let url = format!("{}/rustup/rustup-init.sh", crateport.url());
    format!("curl -fsSL {url} | {shell} -s -- {arguments}")
}

async fn distribution_with_rustup() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    release_rustup(&upstream, "1.29.0", &rustup_bytes());
    upstream
}

#[tokio::test]
async fn one_line_installs_rust_and_points_rustup_and_cargo_here_for_good() {
    let upstream = distribution_with_rustup().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(eager(&upstream)).await;
    let home = Rustup::of(crateport.url());
    home.shell(&install(&crateport, ARGUMENTS)).await.succeeds();

    // A new shell knows where toolchains come from, by its profile alone.
    let fresh = "unset CARGO_HOME; . \"$HOME/.profile\"; env";
    home.shell(fresh)
        .await
        .succeeds()
        .says(&format!("RUSTUP_DIST_SERVER={}/rustup\n", crateport.url()))
        .says(&format!("RUSTUP_UPDATE_ROOT={}/rustup/rustup\n", crateport.url()));
    toolchain("1.1.0", "2026-02-12").release(&upstream, &["stable"]);
    let update = ". \"$HOME/.profile\"; rustup update --no-self-update && rustc --version";
    home.shell(update).await.succeeds().says("rustc 1.1.0 (tiny)");

    // The lines for cargo are those that the real one understands.
    let config = std::fs::read_to_string(home.cargo_home().join("config.toml")).unwrap();
    let cargo = Cargo::new().config(&config).project(|project| project.dep("a", "1"));
    cargo.run(&["fetch"]).await.succeeds();
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}

#[tokio::test]
async fn the_installer_can_run_again_and_leaves_what_others_wrote() {
    let upstream = distribution_with_rustup().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    let home = Rustup::of(crateport.url());
    let config = home.cargo_home().join("config.toml");
    std::fs::create_dir_all(home.cargo_home()).unwrap();
    std::fs::write(&config, "[net]\nretry = 5\n").unwrap();
    for _ in 0..2 {
        home.shell(&install(&crateport, ARGUMENTS)).await.succeeds();
    }
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.starts_with("[net]\nretry = 5\n"), "{text}");
    assert_eq!(text.matches("[registries.crateport]").count(), 1, "{text}");
    let profile = std::fs::read_to_string(home.home().join(".profile")).unwrap();
    assert_eq!(profile.matches("crateport.sh").count(), 1, "{profile}");

    let own = "[source.crates-io]\nreplace-with = \"mine\"\n";
    std::fs::write(&config, own).unwrap();
    let run = home.shell(&install(&crateport, ARGUMENTS)).await.succeeds();
    run.says("stays as it is").says("[registries.crateport]");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
}

#[tokio::test]
async fn no_profile_is_touched_when_that_is_not_wanted_and_no_question_is_asked_of_nobody() {
    let upstream = distribution_with_rustup().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    let home = Rustup::of(crateport.url());
    let line = install(&crateport, "--no-modify-path --profile minimal");
    home.shell(&format!("setsid sh -c '{line}'")).await.succeeds();
    assert!(!home.home().join(".profile").exists());
    assert_eq!(home.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
}

#[tokio::test]
async fn wget_will_do_where_there_is_no_curl() {
    let upstream = distribution_with_rustup().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    let home = Rustup::of(crateport.url());
    let tools = home.home().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let link = "for tool in sh uname ldd getconf grep ls mktemp rm cut sha256sum chmod mkdir cat sed \
                wget; do ln -s \"$(command -v $tool)\" tools/; done";
    home.shell(link).await.succeeds();
    let script = get(format!("{}/rustup/rustup-init.sh", crateport.url())).send().await;
    std::fs::write(home.home().join("init.sh"), &script.body).unwrap();
    let line = format!("PATH=\"$HOME/tools\" sh init.sh {ARGUMENTS}");
    home.shell(&line).await.succeeds();
    assert_eq!(home.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
}

#[tokio::test]
async fn a_rustup_init_that_was_changed_on_the_way_does_not_run() {
    let upstream = distribution_with_rustup().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    let home = Rustup::of(crateport.url());
    // A curl that changes what it fetches.
    let tools = home.home().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let curl = "#!/bin/sh\n/usr/bin/curl \"$@\" || exit\n\
                while [ $# -gt 1 ]; do [ \"$1\" != -o ] || file=\"$2\"; shift; done\n\
                case \"$file\" in */rustup-init) echo x >>\"$file\" ;; esac\n";
    std::fs::write(tools.join("curl"), curl).unwrap();
    let script = get(format!("{}/rustup/rustup-init.sh", crateport.url())).send().await;
    std::fs::write(home.home().join("init.sh"), &script.body).unwrap();
    let line = format!("chmod +x tools/curl; PATH=\"$HOME/tools:$PATH\" sh init.sh {ARGUMENTS}");
    home.shell(&line).await.fails().says("the checksum of rustup-init");
    assert!(!home.cargo_home().exists());
}

#[tokio::test]
async fn the_installer_names_the_address_by_which_it_was_asked_for() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    let url = format!("{}/rustup/rustup-init.sh", crateport.url());
    let script = get(&url).header("host", "crates.example.com").send().await;
    assert_eq!(script.header("cache-control"), Some("no-store"));
    assert!(script.text().contains("\nbase='http://crates.example.com'\n"), "{}", script.text());
    let page = get(format!("{}/", crateport.url())).send().await;
    assert!(page.text().contains(&format!("curl -fsSL {url} | sh")), "{}", page.text());
    assert_eq!(upstream.total_hits(), 0);
    let without = distribution(&upstream).config("enabled = false");
    let crateport = Crateport::start(without).await;
    let url = format!("{}/rustup/rustup-init.sh", crateport.url());
    assert_eq!(get(&url).send().await.status, 404);
    assert!(!get(crateport.url()).send().await.text().contains("RUSTUP"));
}
