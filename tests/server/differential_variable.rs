//! Directives that set variables, against the C module: the same requests, the same variables.

use crate::harness::{Builder, Httpd, Mpm, PATIENCE, comparable, on_both_modules, poll};
use crate::response_variable::application;

/// Shows variables as response headers, and as they are in the end in a log of their own.
fn server(directives: &str, variables: &[&str]) -> Builder {
    let mut all = String::new();
    let mut format = "path=%U".to_owned();
    for name in variables {
        all.push_str(&format!("Header always set X-Var-{name} %{{{name}}}e\n"));
        format.push_str(&format!(" {name}=%{{{name}}}e"));
    }
    all.push_str(&format!("CustomLog @ROOT@/variables \"{format}\"\n{directives}"));
    Httpd::on(Mpm::Worker).with(&all)
}

/// What a client and the log see of these variables.
fn look(
    httpd: &Httpd,
    variables: &[&str],
    requests: &[(&str, &str)],
) -> Vec<(Option<u16>, Vec<Option<String>>)> {
    let client = httpd.client("127.0.0.61");
    requests
        .iter()
        .map(|(path, headers)| {
            let headers = format!("{headers}Connection: close\r\n");
            let response = client.connect().get_with(path, &headers);
            let status = response.status();
            let response = response.served();
            (status, variables.iter().map(|name| response.var(name).map(str::to_owned)).collect())
        })
        .collect()
}

/// The lines of the variables' log, in no order: threads write them.
fn logged(httpd: &Httpd, count: usize) -> Vec<String> {
    let read = || std::fs::read_to_string(httpd.root().join("variables")).unwrap_or_default();
    let all = poll(PATIENCE, || Some(read()).filter(|text| text.lines().count() >= count));
    let all = all.unwrap_or_else(|| panic!("not all of {count} were logged: {}", read()));
    let mut lines: Vec<String> = all.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Variables as the client and as the log sees them are the same with both modules.
fn compare(directives: &str, variables: &[&str], requests: &[(&str, &str)]) {
    on_both_modules(&server(directives, variables), |httpd| {
        // httpd's reader tells of names in braces that it does not know itself.
        httpd.expect_text("AH00111");
        let seen = look(httpd, variables, requests);
        (seen, logged(httpd, requests.len()))
    });
}

#[test]
fn conditions_set_the_same_variables() {
    compare(
        "SetEnvIf X-A (.+) VA=$1\nSetEnvIf X-B (.+) VB=$1\n\
         QS_SetEnvIf VA=^(x+)(y+)$ V1=$2$1\n\
         QS_SetEnvIf VA=^(x+)(y+)?(z)?$ V2=[$2]\n\
         QS_SetEnvIf VA VB V3=both$1\n\
         QS_SetEnvIf VA !VB V4=first=1\n\
         QS_SetEnvIf !VA VB V5=\n\
         QS_SetEnvIf V4=first V6=\\$1&$0\n\
         QS_SetEnvIf VB=2 !V3\n\
         QS_SetEnvIf VB=3 V7=\n\
         QS_SetEnvIf VA=a=b V8=$0",
        &["V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8"],
        &[
            ("/1", ""),
            ("/2", "X-A: xxy\r\n"),
            ("/3", "X-A: xx\r\n"),
            ("/4", "X-A: 1\r\nX-B: 1\r\n"),
            ("/5", "X-A: 1\r\nX-B: 2\r\n"),
            ("/6", "X-B: 3\r\n"),
            ("/7", "X-A: a=b\r\n"),
            ("/8", "X-A: X\u{e4}y\r\n"),
        ],
    );
}

#[test]
fn queries_set_the_same_variables() {
    compare(
        "QS_SetEnvIfQuery id=([0-9]*) V1=$1\n\
         QS_SetEnvIfQuery %2e V2=$0\n\
         QS_SetEnvIfQuery (?i)UPPER V3\n\
         QS_SetEnvIfQuery drop !V1\n\
         QS_SetEnvIfQuery ^(?!a) V4=not\n\
         <Location /in>\nQS_SetEnvIfQuery id V1=in\n</Location>",
        &["V1", "V2", "V3", "V4"],
        &[
            ("/1", ""),
            ("/2?", ""),
            ("/3?id=17&x=%2e", ""),
            ("/4?a=%2E&upper", ""),
            ("/5?id=1&drop", ""),
            ("/in?id=1", ""),
        ],
    );
}

#[test]
fn composed_and_compared_variables_are_the_same() {
    compare(
        "SetEnvIf X-A (.+) VA=$1\nSetEnvIf X-B (.+) VB=$1\n\
         QS_SetEnv V1 <%{VA}>${VA}-\n\
         QS_SetEnv V2 ${V1}${V1}\n\
         QS_SetEnv V3 ${NONE}x\n\
         QS_SetEnv V4 plain\n\
         <Location />\n\
         QS_SetEnvIfCmp VA eq VB V5=eq\nQS_SetEnvIfCmp VA ne VB V6=ne\nQS_SetEnvIfCmp VA eq VB !V4\n\
         </Location>\n\
         <Location /number>\nQS_SetEnvIfCmp VA gt VB V7=gt\nQS_SetEnvIfCmp VA lt VB V8\n</Location>",
        &["V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8"],
        &[
            ("/1", ""),
            ("/2", "X-A: abc\r\nX-B: ABC\r\n"),
            ("/3", "X-A: 007\r\nX-B: 7\r\n"),
            ("/number/4", "X-A: 10\r\nX-B: 9\r\n"),
            ("/number/5", "X-A: 9\r\nX-B: 10\r\n"),
        ],
    );
}

#[test]
fn variables_of_the_response_are_the_same() {
    let variables = ["X-Login", "X-Secret", "V1", "V2", "V3", "V4", "V5"];
    let requests = [("/login.asis", ""), ("/fine.asis", ""), ("/none", "")];
    let server = server(
        "QS_SetEnvResHeaderMatch X-Login FAIL(ed)?\n\
         QS_SetEnvResHeader X-Secret drop\n\
         QS_SetEnvRes X-Secret ^1(.*)$ V1=$1\n\
         QS_SetEnvRes V1 7 V2\n\
         QS_SetEnvIfStatus 404 V3\n\
         QS_SetEnvIf V3=404 V4=late$0\n\
         QS_SetEnvIf V2=1 V5=late",
        &variables,
    );
    on_both_modules(&application(server), |httpd| {
        let seen = look(httpd, &variables, &requests);
        let secret = httpd.newcomer().get("/login.asis").served().header("X-Secret").is_some();
        (seen, secret, logged(httpd, 4))
    });
}

#[test]
fn what_is_set_late_counts_the_same() {
    let server = server(
        "QS_ClientEventBlockCount 2 60\n\
         QS_SetEnvIfStatus 404 V1=1\n\
         QS_SetEnvIf V1=1 QS_Block=1",
        &["V1", "QS_Block"],
    );
    on_both_modules(&server, |httpd| {
        httpd.expect(60);
        let client = httpd.client("127.0.0.61");
        let first: Vec<_> = ["/a", "/b"].map(|path| client.get(path).status()).into();
        logged(httpd, 2);
        let third = client.get("/c");
        let mut lines = comparable(&httpd.wait_for_events(60, 1));
        for line in &mut lines {
            // The age is in seconds, and both may take some.
            line.2 = line.2.replace("age=1", "age=0");
        }
        (first, third.is_refused(), lines, logged(httpd, 2))
    });
}

#[test]
fn error_documents_know_the_same() {
    compare(
        "ErrorDocument 404 /error.html\n\
         SetEnvIf X-A (.+) QS_Cond=$1\n\
         QS_SetEnvIf QS_Cond=a QS_Event=1\n\
         QS_SetEnvIfQuery x V1=own",
        &["QS_Cond", "QS_Event", "V1", "REDIRECT_V1"],
        &[("/none?x", "X-A: a\r\n"), ("/none", "X-A: b\r\n"), ("/index.html?x", "X-A: a\r\n")],
    );
}
