//! `qosctl`, the program, against a real server: what it says, does, and ends with.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Builder, Httpd, Mpm, module_under_test};

const PAGES: &str = "<Location /qos>\nSetHandler qos-viewer\n</Location>\n\
                     <Location /qos/console>\nSetHandler qos-console\n</Location>\n\
                     QS_ConsoleRequirePost on";

fn server(mpm: Mpm) -> Builder {
    Httpd::on(mpm).with(PAGES)
}

/// The program that was built beside the module.
fn program() -> PathBuf {
    let path = module_under_test().with_file_name("qosctl");
    assert!(path.exists(), "no program at {}: run \"make build\" first", path.display());
    path
}

fn command(httpd: &Httpd, words: &str) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("QOSCTL_URL", format!("http://127.0.0.1:{}/qos", httpd.port()));
    command.args(words.split(' ').filter(|word| !word.is_empty())).stdin(Stdio::null());
    command
}

/// What the program ends with, and what it said: on stdout, or else on stderr.
fn run(httpd: &Httpd, words: &str) -> (i32, String) {
    let output = command(httpd, words).output().expect("the program runs");
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8(text).expect("text"))
}

#[track_caller]
fn assert_says(httpd: &Httpd, words: &str, code: i32, text: &str) {
    let (found, said) = run(httpd, words);
    assert_eq!(found, code, "qosctl {words}: {said}");
    assert!(said.contains(text), "qosctl {words} says\n{said}not: {text}");
}

fn clients_are_banned_explained_and_freed(mpm: Mpm) {
    let httpd = server(mpm)
        .with("QS_ClientEventBlockCount 3 300\nQS_ClientEventLimitCount 2 600")
        .with("QS_ClientEventBlockExcludeIP 127.0.0.9\nSetEnvIf Request_URI ^/limited QS_Limit")
        .start();
    httpd.expect(60).expect(67);
    let client = httpd.client("127.0.0.61");
    assert_says(&httpd, "bans", 0, "nobody is blocked\n");
    assert_says(&httpd, "why 127.0.0.61", 1, "nothing holds 127.0.0.61\n");
    assert_says(&httpd, "unban 127.0.0.61", 1, "nothing holds 127.0.0.61\n");
    assert_says(&httpd, "ban 127.0.0.61", 0, "127.0.0.61 is blocked for 5 min 0 s\n");
    client.get("/").assert_refused();
    assert_says(&httpd, "why 127.0.0.61", 0, "QS_ClientEventBlockCount   1003      3  ");
    assert_says(&httpd, "why 127.0.0.61 --json", 0, r#""directive":"QS_ClientEventBlockCount""#);
    assert_says(
        &httpd,
        "ban 2001:db8:1:2::3 --json",
        0,
        r#"{"address":"2001:db8:1:2::3","count":1003,"#,
    );
    let (_, list) = run(&httpd, "bans");
    let lines: Vec<&str> = list.lines().collect();
    let headings: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!((lines.len(), headings), (3, vec!["ADDRESS", "LEFT", "EVENTS"]), "{list}");
    assert_says(&httpd, "bans --json", 0, r#""address":"2001:db8:1:2::/64""#);
    assert_says(&httpd, "unban 127.0.0.61", 0, "127.0.0.61 is free of QS_ClientEventBlockCount\n");
    assert_eq!(client.get("/").status(), Some(200));

    // And networks, which bans of addresses are freed with.
    assert_says(&httpd, "ban 127.0.0.48/28", 0, "127.0.0.48/28 is blocked for 5 min 0 s\n");
    client.get("/").assert_refused();
    assert_says(&httpd, "bans", 0, "127.0.0.48/28");
    assert_says(&httpd, "unban 127.0.0.61", 0, "127.0.0.61 is free of QS_ClientEventBlockCount\n");
    assert_eq!(client.get("/").status(), Some(200));

    // Limits of events hold a client, too.
    assert_eq!(client.get("/limited").status(), Some(404));
    assert_eq!(client.get("/limited").status(), Some(500));
    assert_says(&httpd, "why 127.0.0.61", 0, "QS_ClientEventLimitCount(QS_Limit)      2      2  ");
    assert_says(
        &httpd,
        "--json unban 127.0.0.61",
        0,
        r#""lifted":["QS_ClientEventLimitCount(QS_Limit)"]"#,
    );
    assert_eq!(client.get("/").status(), Some(200));

    // A ban that the server does not enforce is told of.
    let output = command(&httpd, "ban 127.0.0.9").output().expect("the program runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("QS_ClientEventBlockExcludeIP"));
    assert_eq!(httpd.client("127.0.0.9").get("/").status(), Some(200));
}

fn each_kind_of_failure_has_its_code(mpm: Mpm) {
    let httpd = server(mpm)
        .with("QS_ClientEventLimitCount 2 600")
        .modules(&["auth_basic", "authn_core", "authn_file", "authz_user"])
        .with("<Location /locked>\nSetHandler qos-console\nAuthType Basic\nAuthName qos\nRequire valid-user")
        .with("AuthUserFile @ROOT@/htdocs/users\n</Location>")
        .file("users", b"admin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n".to_vec())
        .with("<Location /closed>\nSetHandler qos-console\nRequire all denied\n</Location>")
        .file("other.json", b"{\"schema\": 2}".to_vec())
        .start();
    httpd.expect(70).expect_text("AH01630: client denied by server configuration");
    let here = format!("http://127.0.0.1:{}", httpd.port());
    for words in [
        "",
        "nonsense",
        "ban",
        "ban abc",
        "ban 127.0.0.0/7",
        "why 127.0.0.1 127.0.0.2",
        "status --url ftp://127.0.0.1/qos",
        "status --timeout 0",
        "top -n 0",
    ] {
        assert_eq!(run(&httpd, words).0, 2, "{words}");
    }
    assert_eq!(run(&httpd, "--help").0, 0);
    // Nobody listens there.
    assert_says(&httpd, "status --url http://127.0.0.1:1/qos", 3, "qosctl: not reachable: ");
    assert_says(&httpd, "top --url http://127.0.0.1:1/qos", 3, "qosctl: not reachable: ");
    for (words, url) in [
        ("status --url", "/"),
        ("status --url", "/other.json"),
        ("why ::1 --console-url", "/"),
        ("bans --console-url", "/"),
    ] {
        assert_says(&httpd, &format!("{words} {here}{url}"), 3, "qosctl: answer not understood: ");
    }
    for (words, said) in [
        (format!("bans --console-url {here}/closed"), "refused by the server: 403"),
        (format!("ban ::1 --console-url {here}/closed"), "refused by the server: 403"),
        (format!("bans --console-url {here}/nowhere"), "refused by the server: 404"),
        (format!("bans --console-url {here}/locked"), "refused by the server: 401"),
        // No rule blocks clients.
        (
            "ban 127.0.0.61".to_owned(),
            "406 not acceptable, qos client control has not been activated",
        ),
    ] {
        assert_says(&httpd, &words, 4, said);
    }
    let with_password = here.replace("http://", "http://admin:secr%65t@");
    assert_says(
        &httpd,
        &format!("bans --console-url {with_password}/locked"),
        0,
        "nobody is blocked",
    );
}

fn status_and_top_tell_how_the_server_is(mpm: Mpm) {
    let httpd = server(mpm)
        .with("QS_ClientEventBlockCount 3 300\nQS_SrvMaxConn 40\nQS_SrvMaxConnPerIP 20")
        .start();
    let _held: Vec<_> = (0..3).map(|_| httpd.client("127.0.0.61").hold()).collect();
    assert_says(&httpd, "ban 127.0.0.62", 0, "is blocked");
    for words in ["status", "top --once"] {
        let (code, text) = run(&httpd, words);
        assert_eq!(code, 0, "{text}");
        for part in [" of 32 connections, ", " 1 blocked, ", "QS_SrvMaxConn ", "127.0.0.62"] {
            assert!(text.contains(part), "qosctl {words} does not say {part:?}:\n{text}");
        }
    }
    assert_says(&httpd, "top --once", 0, "127.0.0.61          3\n");
    assert_says(&httpd, "status --json", 0, r#""schema":1"#);

    let mut top = command(&httpd, "top -n 1").stdout(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(top.stdout.take().expect("its words")).lines();
    let looks = lines.map_while(Result::ok).filter(|line| line.contains(" of 32 connections, "));
    assert_eq!(looks.take(2).count(), 2, "it looks again");
    // Nobody reads any more: it ends, and that is no failure.
    assert_eq!(top.wait().expect("it ends").code(), Some(0));
}

on_each_mpm!(
    clients_are_banned_explained_and_freed,
    each_kind_of_failure_has_its_code,
    status_and_top_tell_how_the_server_is,
);
