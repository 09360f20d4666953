//! What the settings come to, and the sentences they are refused with.

use std::time::Duration;

use super::*;

fn inputs() -> Inputs {
    let (flags, variables, usual_files) = (BTreeMap::new(), Vec::new(), Vec::new());
    Inputs { flags, config: None, variables, usual_files }
}

fn with_file(text: &str) -> (tempfile::TempDir, Inputs) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    (directory, Inputs { config: Some(path), ..inputs() })
}

fn variables(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    list.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn row<'a>(loaded: &'a Loaded, name: &str) -> (&'a str, String) {
    let row = loaded.rows.iter().find(|row| row.name == name).unwrap();
    (&row.value, row.source.to_string())
}

#[test]
fn no_settings_at_all_are_a_cache_of_crates_io_on_this_machine() {
    let loaded = inputs().load().unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.listen.len(), 1);
    assert_eq!(settings.listen[0].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.index_ttl, Duration::from_mins(1));
    assert_eq!(settings.index_size_max, 16 << 20);
    assert_eq!((settings.public_url.clone(), settings.trusted_proxies.len()), (None, 0));
    let [crates_io] = settings.registries.as_slice() else { panic!("{:?}", settings.registries) };
    assert_eq!(crates_io.id.as_str(), "crates-io");
    let index = crates_io.index.to_string();
    assert_eq!(index, tame_index::CRATES_IO_HTTP_INDEX);
    assert!(crates_io.is_enabled && crates_io.token.is_none());
    assert!(loaded.rows.iter().all(|row| row.source == Source::Default));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let text = "index-ttl = '1m'\nabsent_ttl = '2m'\n\nconfig-ttl = '3m'\nfills-max = 1_000\n";
    let (_directory, mut inputs) = with_file(text);
    inputs.variables =
        variables(&[("CRATEPORT_INDEX_TTL", "4m"), ("CRATEPORT_ABSENT_TTL", "5m"), ("HOME", "/")]);
    inputs.flags = BTreeMap::from([("index-ttl", vec!["6m".to_owned()])]);
    let loaded = inputs.load().unwrap();
    let (value, source) = row(&loaded, "index-ttl");
    assert_eq!((value, source.as_str()), ("6m", "flag --index-ttl"));
    let (value, source) = row(&loaded, "absent-ttl");
    assert_eq!((value, source.as_str()), ("5m", "environment variable CRATEPORT_ABSENT_TTL"));
    let (value, source) = row(&loaded, "config-ttl");
    assert!(value == "3m" && source.ends_with("c.toml, line 4"), "{source}");
    assert_eq!(row(&loaded, "wait-max").1, "default");
    assert_eq!(loaded.settings.fills_max, 1000);
    assert_eq!(loaded.settings.config_ttl, Duration::from_mins(3));
}

#[test]
fn a_list_is_a_repeated_flag_or_has_commas_or_is_an_array() {
    let both = "127.0.0.1:1,cert=c,key=k|127.0.0.1:2";
    let flags = both.split('|').map(str::to_owned).collect();
    let by_flags = Inputs { flags: BTreeMap::from([("listen", flags)]), ..inputs() };
    let variable = both.replace('|', ",");
    let by_variable =
        Inputs { variables: variables(&[("CRATEPORT_LISTEN", &variable)]), ..inputs() };
    let (_a, by_array) = with_file(&format!("listen = ['{}']", both.replace('|', "', '")));
    let (_b, by_text) = with_file(&format!("listen = '{variable}'"));
    for inputs in [by_flags, by_variable, by_array, by_text] {
        let listen = inputs.load().unwrap().settings.listen;
        assert_eq!(listen.len(), 2);
        assert!(listen[0].tls.is_some() && listen[1].tls.is_none());
    }
}

#[test]
fn the_variable_names_the_file_unless_the_flag_does_and_both_win_over_the_usual_places() {
    let (directory, named) = with_file("index-ttl = '1m'");
    let usual = directory.path().join("usual.toml");
    std::fs::write(&usual, "index-ttl = '2m'").unwrap();
    let path = named.config.unwrap();
    let missing = directory.path().join("missing.toml");
    let by_variable = vec![(OsString::from("CRATEPORT_CONFIG"), path.into_os_string())];
    for (config, variables, expected) in [
        (None, Vec::new(), 120),
        (None, by_variable.clone(), 60),
        (Some(usual.clone()), by_variable, 120),
    ] {
        let usual_files = vec![missing.clone(), usual.clone()];
        let loaded = Inputs { config, variables, usual_files, ..inputs() }.load().unwrap();
        assert_eq!(loaded.settings.index_ttl, Duration::from_secs(expected));
    }
}

#[test]
fn a_registry_is_a_table_and_its_token_comes_from_three_places_and_shows_nowhere() {
    let (directory, mut inputs) = with_file("");
    let token = directory.path().join("token");
    std::fs::write(&token, "from-file\n").unwrap();
    let text = format!(
        "[registries.z]\nindex = 'sparse+https://z.example/i'\ntoken-file = '{}'\n\
         [registries.a-b]\nindex = 'sparse+http://a.example/'\ntoken = 'hunter2'\n\
         hosts = ['dl.a.example', 'a.example:81']\nallow = '10.0.0.0/8'\nindex_ttl = '5m'\n\
         [registries.m]\nindex = 'sparse+http://m.example/'\ntoken = 'hunter2'\n\
         [registries.crates-io]\nenabled = false\n",
        token.display()
    );
    std::fs::write(inputs.config.as_ref().unwrap(), text).unwrap();
    inputs.variables = variables(&[("CRATEPORT_REGISTRIES_M_TOKEN", "from-environment")]);
    let loaded = inputs.load().unwrap();
    let registries = &loaded.settings.registries;
    let ids: Vec<_> = registries.iter().map(|registry| registry.id.as_str()).collect();
    assert_eq!(ids, ["crates-io", "a-b", "m", "z"]);
    let tokens: Vec<_> =
        registries.iter().map(|it| it.token.as_ref().map_or("", |token| token.reveal())).collect();
    assert_eq!(tokens, ["", "hunter2", "from-environment", "from-file"]);
    assert!(!registries[0].is_enabled && registries[1].is_enabled);
    assert_eq!((registries[1].hosts.len(), registries[1].allow.len()), (2, 1));
    assert_eq!(registries[1].index_ttl, Some(Duration::from_mins(5)));
    assert_eq!(registries[3].index.url().as_str(), "https://z.example/i/");
    let rows = format!("{:?} {registries:?}", loaded.rows);
    assert!(!rows.contains("from-environment") && !rows.contains("from-file"), "{rows}");
    assert!(loaded.rows.iter().all(|row| !row.value.contains("hunter2")), "{rows}");
    assert_eq!(row(&loaded, "registries.a-b.token").0, "***");
    let source = row(&loaded, "registries.m.token").1;
    assert_eq!(source, "environment variable CRATEPORT_REGISTRIES_M_TOKEN");
}

#[test]
fn toolchains_come_from_rusts_own_server_and_from_every_origin_that_has_a_table() {
    let [rustup] = inputs().load().unwrap().settings.dists.try_into().unwrap();
    assert_eq!((rustup.id.as_str(), rustup.is_enabled), ("rustup", true));
    assert_eq!(rustup.url.to_string(), "https://static.rust-lang.org/");

    let (_directory, mut inputs) = with_file(
        "dist-ttl = '1m'\ndist-grace = '2s'\n[dist.toolchains]\nurl = 'https://t.example/rust'\n\
         token = 'hunter2'\nttl = '9m'\nallow = ['10.0.0.0/8']\n\
         [dist.rustup]\nurl = 'http://mirror.example'\nenabled = false\n",
    );
    inputs.variables = variables(&[("CRATEPORT_DIST_TOOLCHAINS_TOKEN", "from-environment")]);
    let loaded = inputs.load().unwrap();
    let [rustup, toolchains] = loaded.settings.dists.as_slice() else { panic!("{loaded:?}") };
    assert!(!rustup.is_enabled && toolchains.is_enabled);
    assert_eq!(rustup.url.to_string(), "http://mirror.example/");
    assert_eq!(toolchains.url.to_string(), "https://t.example/rust/");
    assert_eq!(toolchains.ttl, Some(Duration::from_mins(9)));
    assert_eq!(toolchains.token.as_ref().map(|token| token.reveal()), Some("from-environment"));
    assert_eq!(row(&loaded, "dist.toolchains.token").0, "***");
    assert_eq!(loaded.settings.dist_ttl, Duration::from_mins(1));
}

#[test]
fn what_a_file_must_not_say_is_refused_in_one_sentence() {
    for (text, expected) in [
        (
            "\nindex-ttl = 60",
            "index-ttl (c.toml, line 2) cannot be `60`: it has no unit; \
             allowed is a duration such as 250ms, 60s, 10m or 1h",
        ),
        (
            "fills-max = -1",
            "fills-max (c.toml, line 1) cannot be `-1`: it is no whole number; \
             allowed is a whole number from 1",
        ),
        (
            "index-ttl = ['1s', '2s']",
            "index-ttl (c.toml, line 1) cannot be `1s`: it holds one value, not several; \
             allowed is a duration such as 250ms, 60s, 10m or 1h",
        ),
        (
            "store = { fs = '/a' }",
            "store (c.toml, line 1) cannot be `…`: it has the wrong shape; \
             allowed is fs:DIRECTORY or s3://BUCKET/PREFIX",
        ),
        ("index-tll = '1s'", "`index-tll` (c.toml, line 1) is no setting; did you mean index-ttl?"),
        (
            "quux = 1",
            "`quux` (c.toml, line 1) is no setting; `crateport serve --help` lists the settings",
        ),
        (
            "index-ttl = '1s'\nindex_ttl = '1s'",
            "`index-ttl` (c.toml, line 2) is set twice: write it once, with dashes",
        ),
        (
            "index-ttl = ",
            "c.toml, line 1 is not TOML: string values must be quoted, expected literal string",
        ),
        (
            "dist = 'a'",
            "dist (c.toml, line 1) cannot be `…`: it has the wrong shape; \
             allowed is one table per dist origin, as in [dist.toolchains]",
        ),
        (
            "[dist.toolchains]\nttl = '1m'",
            "dist.toolchains (c.toml, line 1) cannot be used: it has no url; \
             needed is a URL such as https://toolchains.example.com",
        ),
        (
            "[dist.toolchains]\nurl = 'sparse+https://a.example/'",
            "dist.toolchains.url (c.toml, line 2) cannot be `sparse+https://a.example/`: \
             it must begin with https:// or http://, not sparse+https://; \
             allowed is a URL such as https://toolchains.example.com",
        ),
        (
            "[dist.crates-io]\nurl = 'https://a.example/'",
            "registries.crates-io and dist.crates-io cannot both be: give one of them another id",
        ),
        ("dist-grace = '31s'", "dist-grace (31s) cannot be longer than 30s: clients wait for it"),
        (
            "registries = 'a'",
            "registries (c.toml, line 1) cannot be `…`: it has the wrong shape; \
             allowed is one table per registry, as in [registries.internal]",
        ),
        (
            "[registries.rustup]\nindex = 'sparse+https://a.example/'",
            "registries.rustup (c.toml, line 1) cannot be used: \
             `rustup` cannot be a registry id: Crateport uses the word itself",
        ),
        (
            "[registries.a]\ntoken = 't'",
            "registries.a (c.toml, line 1) cannot be used: it has no index; \
             needed is a sparse index such as sparse+https://crates.example.com/index/",
        ),
        (
            "[registries.a]\nindex = 'https://a.example/'",
            "registries.a.index (c.toml, line 2) cannot be `https://a.example/`: \
             an index URL must begin with `sparse+https://`; \
             allowed is a sparse index such as sparse+https://crates.example.com/index/",
        ),
        (
            "[registries.crates-io]\nindx = 'a'",
            "`registries.crates-io.indx` (c.toml, line 2) is no setting; \
             did you mean registries.crates-io.index?",
        ),
        (
            "[registries.crates-io]\ntoken = 'hunter2\u{e4}'",
            "registries.crates-io.token (c.toml, line 2) cannot be `***`: \
             it holds something that no header can; allowed is printable ASCII",
        ),
        (
            "[registries.crates-io]\ntoken = 'a'\ntoken-file = 'b'",
            "registries.crates-io (c.toml, line 1) cannot be used: \
             token and token-file are both set: keep one",
        ),
        (
            "[registries.crates-io]\ntoken-file = '/missing'",
            "registries.crates-io.token-file (c.toml, line 2) cannot be `/missing`: \
             No such file or directory (os error 2); \
             allowed is a readable file that holds the token",
        ),
        (
            "[registries.crates-io]\nenabled = false\n[dist.rustup]\nenabled = false",
            "no registry is enabled, so that there is nothing to serve",
        ),
    ] {
        let (directory, inputs) = with_file(text);
        let error = inputs.load().unwrap_err().to_string();
        let error = error.replace(&format!("{}/", directory.path().display()), "");
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn what_the_environment_must_not_say_is_refused_in_one_sentence() {
    for (name, value, expected) in [
        (
            "CRATEPORT_INDEX_TTL",
            "",
            "index-ttl (environment variable CRATEPORT_INDEX_TTL) cannot be ``: it is empty; \
             allowed is a duration such as 250ms, 60s, 10m or 1h",
        ),
        (
            "CRATEPORT_INDEX_TLL",
            "1s",
            "the environment variable CRATEPORT_INDEX_TLL is no setting; \
             did you mean CRATEPORT_INDEX_TTL?",
        ),
        (
            "CRATEPORT_REGISTRIES_CRATES_OI_TOKEN",
            "t",
            "the environment variable CRATEPORT_REGISTRIES_CRATES_OI_TOKEN is no setting; \
             did you mean CRATEPORT_REGISTRIES_CRATES_IO_TOKEN?",
        ),
        (
            "CRATEPORT_COORD",
            "redis://:hunter2@redis:6379:1",
            "coord (environment variable CRATEPORT_COORD) cannot be `redis://***@redis:6379:1`: \
             the address has a port that is not a number; allowed is local, or an address such \
             as redis://HOST:PORT (or rediss://, redis+cluster://HOST,HOST, \
             redis+sentinel://HOST,HOST/MASTER)",
        ),
        (
            "CRATEPORT_CONFIG",
            "/missing.toml",
            "the configuration file /missing.toml cannot be read: \
             No such file or directory (os error 2)",
        ),
    ] {
        let inputs = Inputs { variables: variables(&[(name, value)]), ..inputs() };
        assert_eq!(inputs.load().unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_bad_value_of_each_kind_is_refused_in_one_sentence() {
    for (name, value, expected) in [
        (
            "listen",
            "localhost:8080",
            "`localhost:8080` is no IP address with a port; allowed is IP:PORT such as \
             0.0.0.0:8080 or [::]:8080, perhaps followed by ,cert=FILE,key=FILE",
        ),
        (
            "ops-listen",
            "8081",
            "`8081` is no IP address with a port; allowed is IP:PORT such as 127.0.0.1:8081",
        ),
        (
            "store",
            "gs://bucket/a",
            "it begins with neither fs: nor s3:; allowed is fs:DIRECTORY or s3://BUCKET/PREFIX",
        ),
        (
            "public-url",
            "crates.corp",
            "it is no URL; allowed is a URL such as https://crates.example.com",
        ),
        (
            "public-url",
            "ftp://a/",
            "it must begin with http:// or https://; allowed is a URL such as https://crates.example.com",
        ),
        (
            "trusted-proxies",
            "10.0.0.0/33",
            "it is neither; allowed is an address or a network such as 10.0.0.7 or 10.0.0.0/8",
        ),
        ("delivery", "fast", "it is not known; allowed is auto, stream or redirect"),
        (
            "index-memory",
            "1M",
            "`M` is no unit of size; allowed is a number of bytes such as 16MiB, 500GiB, 1MB or 65536",
        ),
        ("fills-max", "0", "it must be at least 1; allowed is a whole number from 1"),
        (
            "header-timeout",
            "0s",
            "it must be longer than zero; allowed is a duration such as 250ms, 60s, 10m or 1h",
        ),
        (
            "upstream-allow",
            "http://a",
            "it names neither; allowed is a host, host:port or network such as mirror.corp, mirror.corp:8443 or 10.0.0.0/8",
        ),
        ("log-format", "xml", "it is not known; allowed is text or json"),
        (
            "log",
            "inof",
            "`inof` is no level, and a module needs one, as in `inof=debug`; allowed is error, warn, info, debug, trace or off, and module=level, parted by commas",
        ),
        (
            "otlp-endpoint",
            "grpc://a:4317",
            "it does not begin with http:// or https://; allowed is a URL such as http://collector.example:4318",
        ),
        (
            "replica",
            "a b",
            "it holds something else; allowed is a name of letters, digits, `-`, `_` and `.`",
        ),
    ] {
        let flags = BTreeMap::from([(name, vec![value.to_owned()])]);
        let error = Inputs { flags, ..inputs() }.load().unwrap_err().to_string();
        assert_eq!(error, format!("{name} (flag --{name}) cannot be `{value}`: {expected}"));
    }
}

#[test]
fn settings_that_cannot_go_together_are_refused_in_one_sentence() {
    for (flags, expected) in [
        (
            &[("delivery", "redirect"), ("store", "fs:/a")][..],
            "delivery=redirect cannot be with store=fs:/a, which no client can reach: \
             use delivery=auto or delivery=stream",
        ),
        (
            &[("refresh-patience", "30s")],
            "refresh-patience (30s) cannot be longer than upstream-deadline (20s)",
        ),
        (
            &[("upstream-connect-timeout", "30s")],
            "upstream-connect-timeout (30s) cannot be longer than upstream-deadline (20s)",
        ),
        (
            &[("listen", "0.0.0.0:1,127.0.0.1:1")],
            "listen names 0.0.0.0:1 and 127.0.0.1:1, which cannot both be had",
        ),
        (
            &[("listen", "127.0.0.1:8081")],
            "listen 127.0.0.1:8081 and ops-listen 127.0.0.1:8081 cannot both be had: \
             use another port",
        ),
        (&[("listen", "none")], "listen names no address, so that no client could connect"),
        (
            &[("advertise-address", "replica-1")],
            "advertise-address cannot be reached with ops-listen 127.0.0.1:8081, \
             which is for this machine alone",
        ),
        (
            &[("advertise-address", "127.0.0.1")],
            "advertise-address is of no use with coord=local: name the Redis in coord",
        ),
    ] {
        let flags = flags.iter().map(|(name, value)| (*name, vec![(*value).to_owned()])).collect();
        let error = Inputs { flags, ..inputs() }.load().unwrap_err().to_string();
        assert_eq!(error, expected);
    }
}
