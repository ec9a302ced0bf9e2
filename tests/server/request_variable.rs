//! Variables that requests set: QS_SetEnvIf, QS_SetEnvIfQuery, QS_SetEnv, QS_SetEnvIfCmp, QS_LogEnv.

use crate::harness::{Builder, Client, Httpd, Mpm, PATIENCE, Response, wait_until};

fn server(mpm: Mpm, directives: &str, variables: &[&str]) -> Builder {
    let shown: String =
        variables.iter().map(|v| format!("Header always set X-Var-{v} %{{{v}}}e\n")).collect();
    Httpd::on(mpm)
        .with(&format!("SetEnvIf X-A (.+) VA=$1\nSetEnvIf X-B (.+) VB=$1\n{shown}{directives}"))
}

fn get(client: &Client, path: &str, headers: &str) -> Response {
    client.connect().get_with(path, &format!("{headers}Connection: close\r\n")).served()
}

fn variables_follow_from_variables_in_server_and_location(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_SetEnvIf VA=^(x+)(y+)$ V1=$2$1\n\
         QS_SetEnvIf VA VB V2=both\n\
         QS_SetEnvIf VA !VB V2=only\n\
         QS_SetEnvIfQuery id=([0-9]+) V3=$1\n\
         QS_SetEnvIfQuery id=([0-9]+) V4=again\n\
         QS_SetEnv V5 ${V1}/${V3}\n\
         <Location /in>\nQS_SetEnvIf V1=yx !V2\nQS_SetEnvIfCmp VA gt VB V6=more\n</Location>\n\
         <Location /in/side>\nQS_SetEnvIf V1 VA V2=inner\n</Location>",
        &["V1", "V2", "V3", "V4", "V5", "V6"],
    )
    .start();
    // httpd's reader tells of names in braces that it does not know itself.
    httpd.expect_text("AH00111");
    let client = httpd.client("127.0.0.61");
    let response = get(&client, "/?id=17", "X-A: xy\r\n");
    let all = ["V1", "V2", "V3", "V4", "V5", "V6"];
    let shown = |response: &Response| all.map(|name| response.var(name).unwrap_or("-").to_owned());
    assert_eq!(shown(&response), ["yx", "only", "17", "again", "yx/17", "-"]);
    let response = get(&client, "/in", "X-A: xy\r\nX-B: 1\r\n");
    assert_eq!(shown(&response), ["yx", "-", "-", "-", "-", "more"]);
    let response = get(&client, "/in/side", "X-A: xy\r\nX-B: 1\r\n");
    assert_eq!(shown(&response), ["yx", "inner", "-", "-", "-", "more"]);
    let response = get(&client, "/", "");
    assert_eq!(shown(&response), ["-"; 6], "nothing is set without a reason");
}

fn what_is_set_before_a_request_is_judged_counts(mpm: Mpm) {
    let httpd =
        server(mpm, "QS_ClientEventBlockCount 2 60\nQS_SetEnvIf VA=bad QS_Block=1", &[]).start();
    httpd.expect(60);
    let (bad, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    assert_eq!(get(&bad, "/index.html", "X-A: bad\r\n").status, 200);
    assert_eq!(get(&bad, "/index.html", "X-A: bad\r\n").status, 500);
    bad.get("/").assert_refused();
    for _ in 0..3 {
        assert_eq!(get(&good, "/index.html", "X-A: good\r\n").status, 200);
    }
}

fn what_the_response_sets_counts_when_the_request_is_logged(mpm: Mpm) {
    let rules = "QS_ClientEventBlockCount 2 60\n\
                 QS_SetEnvIfStatus 404 QS_Missed=1\n\
                 QS_SetEnvIf QS_Missed=1 QS_Block=1\n\
                 QS_SetEnvIf VA=forgiven !QS_Block";
    let httpd = server(mpm, rules, &[]).start();
    httpd.expect(60);
    let (bad, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    for _ in 0..2 {
        assert_eq!(get(&bad, "/none", "").status, 404);
        assert_eq!(get(&good, "/none", "X-A: forgiven\r\n").status, 404);
    }
    wait_until("the second is logged", PATIENCE, || bad.get("/").is_refused());
    assert_eq!(get(&good, "/index.html", "").status, 200);
}

fn an_error_document_knows_what_its_request_knew(mpm: Mpm) {
    let httpd = server(
        mpm,
        "ErrorDocument 404 /error.html\nQS_SetEnvIf VA=(.*) QS_Cond=$1\nQS_SetEnvIf VA=a QS_Event=1",
        &["QS_Cond", "QS_Event"],
    )
    .file("error.html", b"sorry\n".to_vec())
    .start();
    let response = get(&httpd.client("127.0.0.61"), "/none", "X-A: a\r\n");
    assert_eq!((response.status, response.text().as_str()), (404, "sorry\n"));
    assert_eq!((response.var("QS_Cond"), response.var("QS_Event")), (Some("a"), Some("1")));
}

fn a_virtual_host_adds_to_the_rules_of_the_base(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_SetEnv V1 base\nQS_SetEnvIf VA=. V2=base\n\
         <VirtualHost *:@PORT1@>\nQS_SetEnv V1 host\nQS_SetEnvIf V2=base V2=host\n\
         Header always set X-Var-V1 %{V1}e\nHeader always set X-Var-V2 %{V2}e\n</VirtualHost>",
        &["V1", "V2"],
    )
    .ports(2)
    .start();
    for (port, value) in [(0, "base"), (1, "host")] {
        let response = get(&httpd.client_of_port(port, "127.0.0.61"), "/", "X-A: 1\r\n");
        assert_eq!((response.var("V1"), response.var("V2")), (Some(value), Some(value)));
    }
}

fn all_variables_are_logged_where_that_is_wanted(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_LogEnv on\nQS_SetEnvIf VA=1 V1=2\n\
         <VirtualHost *:@PORT1@>\nQS_LogEnv off\n</VirtualHost>",
        &[],
    )
    .ports(2)
    .start();
    get(&httpd.client_of_port(1, "127.0.0.61"), "/", "X-A: 1\r\n");
    get(&httpd.client("127.0.0.61"), "/index.html", "X-A: 1\r\n");
    let lines = httpd.wait_for_events(210, 7);
    let markers = [">PR_1", ">PR_2", ">HP_1", ">HP_2", ">HP_3", ">FX_1", "<LG_1"];
    assert_eq!(lines.len(), markers.len(), "{lines:?}");
    for (line, marker) in lines.iter().zip(markers) {
        assert!(line.text.starts_with(&format!("ENV {marker} ")), "{}", line.text);
        assert_eq!(line.level, "notice");
        assert_eq!(line.text.contains("VA=1;"), marker != ">PR_1", "{}", line.text);
    }
    assert!(lines[6].text.starts_with("ENV <LG_1 V1=2;"), "newest first: {}", lines[6].text);
}

on_each_mpm!(
    variables_follow_from_variables_in_server_and_location,
    what_is_set_before_a_request_is_judged_counts,
    what_the_response_sets_counts_when_the_request_is_logged,
    an_error_document_knows_what_its_request_knew,
    a_virtual_host_adds_to_the_rules_of_the_base,
    all_variables_are_logged_where_that_is_wanted,
);

/// One request cannot hold a worker: what would take PCRE seconds is given up, and told of.
#[test]
fn a_pattern_that_takes_too_many_steps_is_given_up() {
    let httpd = server(
        Mpm::Event,
        "QS_SetEnvIfQuery ^(?=a)(a|aa|b\\1?)+$ V1=1\nQS_SetEnvIfQuery ^(a+)+$ V2=1",
        &["V1", "V2"],
    )
    .start();
    httpd.expect(304);
    let client = httpd.client("127.0.0.61");
    let response = get(&client, &format!("/?{}!", "a".repeat(2000)), "");
    assert_eq!((response.var("V1"), response.var("V2")), (None, None));
    let lines = httpd.wait_for_events(304, 1);
    assert_eq!(
        lines[0].without_id(),
        "QS_SetEnvIfQuery rule: regular expression reached its step limit, taken as no match, \
         rule=^(?=a)(a|aa|b\\\\1?)+$, c=127.0.0.61"
    );
    let response = get(&client, "/?aa", "");
    assert_eq!((response.var("V1"), response.var("V2")), (Some("1"), Some("1")));
}

#[test]
fn a_broken_pattern_fails_the_check_with_pattern_and_reason() {
    for (line, reason) in [
        (
            "QS_SetEnvIf VA=(x V1=1",
            "'(x' is not a regular expression that works here: a ')' is missing",
        ),
        ("QS_SetEnvIfQuery [z-a] V1", "runs backwards"),
        ("QS_SetEnvIfCmp A eq B C=1", "may only be used in a location"),
        ("SetEnvIfPlus Request_URI", "takes an attribute, a pattern and variables"),
    ] {
        let check = Httpd::check(line);
        assert!(!check.is_ok && check.text.contains(reason), "{line}: {}", check.text);
    }
}
