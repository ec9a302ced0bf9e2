//! Limits of events per client, against the C module: the same requests are counted, denied and told of.

use crate::harness::{
    Builder, Httpd, Mpm, Outcome, PATIENCE, comparable, on_both_modules, wait_until,
};

const EVENTS: &str = "\
    SetEnvIf Request_URI ^/one EVT=1\n\
    SetEnvIf Request_URI ^/two EVT=2\n\
    SetEnvIf Request_URI ^/empty EVT\n\
    SetEnvIf Request_URI ^/zero EVT=0\n\
    SetEnvIf Request_URI ^/word EVT=word\n\
    SetEnvIf Request_URI ^/clear EVT_Clear\n\
    SetEnvIf Request_URI ^/less EVT_Decrement=1\n\
    SetEnvIf Request_URI ^/none EVT_Decrement\n\
    SetEnvIf Request_URI ^/limit QS_Limit\n\
    SetEnvIf Request_URI ^/block QS_Block\n\
    SetEnvIf Request_URI ^/pardon QS_Block_Decrement=1\n\
    SetEnvIf Request_URI bad$ QS_Cond=bad\n\
    SetEnvIf Request_URI good$ QS_Cond=good\n\
    Header always set X-Var-EVT_Counter %{EVT_Counter}e\n\
    Header always set X-Var-QS_Limit_Counter %{QS_Limit_Counter}e";

fn server(rules: &str) -> Builder {
    Httpd::on(Mpm::Worker).with(rules).with(EVENTS)
}

/// What a request of a client leads to: status and counters, its lines without their ages, the access log.
type Seen = (Option<u16>, [Option<String>; 2], Vec<(String, Option<u16>, String)>, String);

fn ask(httpd: &Httpd, source: &str, path: &str) -> Seen {
    let all = || httpd.access_log().into_iter();
    let (mark, before) = (httpd.mark(), all().count());
    let outcome = httpd.client(source).get(path);
    let counters = match &outcome {
        Outcome::Served(response) => ["X-Var-EVT_Counter", "X-Var-QS_Limit_Counter"]
            .map(|name| response.header(name).map(str::to_owned)),
        _ => [None, None],
    };
    let logged = if outcome.is_refused() {
        String::new()
    } else {
        wait_until("it is logged", PATIENCE, || all().count() > before);
        let line = all().next_back().expect("a line");
        format!("{:?} {:?}", line.letters(), line.notes())
    };
    let lines: Vec<_> =
        [60, 67].into_iter().flat_map(|event| httpd.events_since(mark, event)).collect();
    let mut lines = comparable(&lines);
    for (_, _, text) in &mut lines {
        if let Some((before, after)) = text.clone().split_once(", age=") {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            *text = format!("{before}, age=*{after}");
        }
    }
    (outcome.status(), counters, lines, logged)
}

fn compare(rules: &str, source: &str, paths: &[&str]) {
    on_both_modules(&server(rules), |httpd| {
        httpd.expect(60).expect(67);
        let see = |path: &&str| ((*path).to_owned(), ask(httpd, source, path));
        paths.iter().map(see).collect::<Vec<_>>()
    });
}

#[test]
fn events_count_up_to_the_limit_and_all_is_denied_then() {
    compare(
        "QS_ClientEventLimitCount 3 600 EVT",
        "127.0.0.61",
        &["/", "/one", "/", "/one", "/one", "/", "/one", "/clear", "/", "/one"],
    );
}

#[test]
fn points_are_what_the_variable_says() {
    compare(
        "QS_ClientEventLimitCount 9 600 EVT",
        "127.0.0.62",
        &[
            "/two", "/empty", "/zero", "/word", "/less", "/none", "/two", "/two", "/two", "/two",
            "/",
        ],
    );
}

#[test]
fn several_limits_count_side_by_side() {
    compare(
        "QS_ClientEventLimitCount 2 600 EVT\nQS_ClientEventLimitCount 3",
        "127.0.0.63",
        &["/limit", "/one", "/limit", "/one", "/limit", "/clear", "/"],
    );
}

#[test]
fn a_condition_decides_who_is_denied_once_the_limit_is_reached() {
    compare(
        "QS_CondClientEventLimitCount 2 600 EVT bad",
        "127.0.0.64",
        &["/one", "/one/bad", "/bad", "/good", "/", "/one/good", "/one/bad"],
    );
}

#[test]
fn block_events_close_the_connections_of_the_client() {
    compare(
        "QS_ClientEventBlockCount 3 600",
        "127.0.0.65",
        &["/block", "/", "/block", "/pardon", "/block", "/block", "/", "/block"],
    );
}

#[test]
fn nobody_is_denied_in_log_only_mode() {
    compare(
        "QS_LogOnly on\nQS_ClientEventLimitCount 2 600 EVT",
        "127.0.0.66",
        &["/one", "/one", "/one", "/"],
    );
}
