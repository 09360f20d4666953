//! What a replica holds and does, told three ways, and who pulled a crate.

use crateport_testkit::client::{Answer, get};
use crateport_testkit::{Crateport, CrateportOptions, Fault, On, ScriptedUpstream, Times, krate};
use serde_json::Value;

use crate::house::{
    crate_url, crateport, fill, get_until, hasty, index_file_url, options, outcome, publish,
    until_none,
};

const SECRET: &str = "hunter2-is-no-token";

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// What `crateport stats --json` prints.
async fn stats(crateport: &Crateport) -> Value {
    let run = CrateportOptions::default().run(&stats_of(crateport, &["--json"])).await.succeeds();
    serde_json::from_str(&run.stdout).unwrap()
}

fn stats_of<'a>(crateport: &'a Crateport, more: &[&'a str]) -> Vec<&'a str> {
    let address = crateport.ops_url().strip_prefix("http://").unwrap();
    [&["stats", "--ops-listen", address], more].concat()
}

async fn usage(crateport: &Crateport, query: &str) -> Answer {
    get(format!("{}/api/usage?{query}", crateport.ops_url())).send().await
}

#[tokio::test]
async fn what_was_served_filled_and_failed_is_in_the_report() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 3);
    let token = format!("token = \"{SECRET}\"\nindex = \"sparse+https://nowhere.invalid/\"");
    let options = hasty(&upstream).config(&format!("[registries.private]\n{token}\n"));
    let crateport = Crateport::start(options).await;
    fill(&crateport, &upstream, &published).await;
    for _ in 0..5 {
        let url = crate_url(&crateport, "crate-1", "1.0.0");
        assert_eq!(outcome(&get(url).send().await), "hit");
    }
    upstream.fault(On::Index, Fault::Status(502), Times::Always);
    let failing = format!("{}?secret={SECRET}", index_file_url(&crateport, &upstream, "unseen"));
    for _ in 0..2 {
        let agent = format!("agent {SECRET}");
        let answer = get(&failing).header("user-agent", &agent).send().await;
        assert_eq!(answer.status, 503);
    }
    // A report is made every other second, and a request is counted once its answer has left.
    until_none(async || {
        let report = stats(&crateport).await;
        let day = &report["windows"][2];
        let seen = day["all"]["failures"] == 2 && day["crate"]["requests"] == 8;
        (!seen).then_some(report)
    })
    .await;

    let report = stats(&crateport).await;
    let bytes = |range: std::ops::Range<usize>| {
        published[range].iter().map(|krate| krate.bytes.len()).sum::<usize>()
    };
    for (window, hours) in [(0, 1), (1, 6), (2, 24)] {
        let window = &report["windows"][window];
        assert_eq!(window["hours"], hours);
        let counts = &window["crate"];
        assert_eq!((&counts["hits"], &counts["requests"]), (&5.into(), &8.into()), "{report}");
        assert_eq!(counts["hit_bytes"], 5 * bytes(1..2), "{report}");
        assert_eq!(counts["bytes"], 5 * bytes(1..2) + bytes(0..3), "{report}");
    }
    let quarters = report["quarters"].as_array().unwrap();
    let requests = quarters.iter().map(|quarter| quarter["requests"].as_u64().unwrap());
    assert_eq!(quarters.len(), 96);
    assert_eq!(Value::from(requests.sum::<u64>()), report["windows"][2]["all"]["requests"]);
    assert_eq!(report["top_crates"][0]["crate"], "crate-1");
    assert_eq!(report["top_crates"][0]["requests"], 6);
    let filled = report["fills"].as_array().unwrap();
    let filled = filled.iter().map(|fill| fill["what"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(filled, ["crate-2 1.0.0", "crate-1 1.0.0", "crate-0 1.0.0"]);
    let error = &report["errors"][0];
    assert_eq!((&error["status"], &error["upstream_status"]), (&503.into(), &502.into()));
    assert!(error["path"].as_str().unwrap().ends_with("/unseen"), "{error}");
    let held = report["origins"][0]["held"].as_array().unwrap();
    let crates = held.iter().find(|held| held["kind"] == "crate").unwrap();
    assert_eq!((&crates["objects"], &crates["bytes"]), (&3.into(), &bytes(0..3).into()));
    let slowest = report["upstreams"].as_array().unwrap();
    assert!(slowest.iter().any(|times| times["resource"] == "crate" && times["attempts"] == 3));

    let tables = CrateportOptions::default().run(&stats_of(&crateport, &[])).await.succeeds();
    let page = get(crateport.url()).send().await;
    assert_eq!((page.status, page.header("x-cache")), (200, Some("hit")));
    for text in ["crate-1", "crate-2 1.0.0", "/unseen", "crates-io"] {
        assert!(page.text().contains(text), "{text} {}", page.text());
        assert!(tables.stdout.contains(text), "{text} {}", tables.stdout);
    }
    // Neither of those who ask, nor of where upstream is, nor of what is secret.
    let others = page.text().replace(crateport.url(), "");
    assert!(!others.contains("127.0.0.1"), "{others}");
    for told in [page.text(), &tables.stdout, &report.to_string()] {
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn stats_of_nobody_are_an_error() {
    let upstream = ScriptedUpstream::start().await;
    let mut crateport = crateport(&upstream).await;
    let address = crateport.ops_url().strip_prefix("http://").unwrap().to_owned();
    crateport.kill9();
    let run = CrateportOptions::default().run(&["stats", "--ops-listen", &address]).await;
    run.fails().says("cannot be asked");
    let run = CrateportOptions::default().run(&["stats", "--ops-listen", "127.0.0.1:0"]).await;
    run.fails().says("port 0");
}

#[tokio::test]
async fn who_pulled_a_crate_is_told_of_all_replicas_and_on_the_ops_listener_alone() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    krate("a", "2.0.0").publish(&upstream);
    krate("ab", "1.0.0").publish(&upstream);
    let first = Crateport::start(options(&upstream).flag("--replica", "first")).await;
    let shared = options(&upstream).store(first.store());
    let shared = shared.flag("--replica", "second").flag("--usage-flush-every", "100ms");
    let second = Crateport::start(shared).await;
    for (replica, version, agent) in
        [(&first, "1.0.0", "agent-1"), (&second, "2.0.0", "agent-2"), (&first, "2.0.0", "agent-3")]
    {
        let url = crate_url(replica, "a", version);
        assert_eq!(get(url).header("user-agent", agent).send().await.status, 200);
    }
    get(crate_url(&first, "ab", "1.0.0")).send().await;
    // What the second served is told by the first, once it is written.
    let url = format!("{}/api/usage?crate=a", first.ops_url());
    let all = json(&get_until(&url, |answer| answer.text().contains("agent-2")).await);
    let agents = |told: &Value| {
        let uses = told["uses"].as_array().unwrap().iter();
        let mut agents =
            uses.map(|told| told["user_agent"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        agents.sort_unstable();
        agents
    };
    assert_eq!(agents(&all), ["agent-1", "agent-2", "agent-3"]);
    let second_use =
        all["uses"].as_array().unwrap().iter().find(|told| told["user_agent"] == "agent-2");
    let told = second_use.unwrap();
    assert_eq!((&told["replica"], &told["address"]), (&"second".into(), &"127.0.0.1".into()));
    assert_eq!((&told["version"], &told["count"]), (&"2.0.0".into(), &1.into()));
    for (query, expected) in [
        ("crate=a&version=1.0.0", &["agent-1"][..]),
        ("crate=A&registry=crates-io&since=1h", &["agent-1", "agent-2", "agent-3"]),
        ("crate=a&registry=other", &[]),
        ("crate=a&since=2999-01-01", &[]),
    ] {
        let answer = usage(&first, query).await;
        assert_eq!(
            (answer.status, agents(&json(&answer))),
            (200, expected.iter().map(|&agent| agent.into()).collect()),
            "{query}"
        );
    }
    let limited = json(&usage(&first, "crate=a&limit=2").await);
    assert_eq!((agents(&limited).len(), &limited["left_out"]), (2, &1.into()));

    for (query, says) in [
        ("", "crate"),
        ("crate=", "name"),
        ("crate=../a", "name"),
        ("crate=a&version=one", "version"),
        ("crate=a&registry=NO", "registry"),
        ("crate=a&since=yesterday", "since"),
        ("crate=a&limit=0", "limit"),
        ("crate=a&limit=1000000", "limit"),
        ("crate=a&unknown=1", "unknown"),
    ] {
        let answer = usage(&first, query).await;
        assert_eq!(answer.status, 400, "{query}");
        let sentence = json(&answer)["error"].as_str().unwrap().to_owned();
        assert!(sentence.contains(says), "{query}: {sentence}");
    }
    for path in ["/api/usage?crate=a", "/stats"] {
        assert_eq!(get(format!("{}{path}", first.url())).send().await.status, 404, "{path}");
    }
}
