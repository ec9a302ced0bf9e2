//! SetEnvIfPlus, the directive of another module that the guide's configuration uses.

use crate::harness::{Client, Httpd, Mpm, Response};

fn get(client: &Client, path: &str, headers: &str) -> Response {
    client.connect().get_with(path, &format!("{headers}Connection: close\r\n")).served()
}

fn attributes_set_variables_in_order(mpm: Mpm) {
    let names = ["Slow", "Query", "Net", "Copy", "In", "Late", "Seen"];
    let shown: String =
        names.iter().map(|v| format!("Header always set X-Var-{v} %{{{v}}}e\n")).collect();
    let httpd = Httpd::on(mpm)
        .with(&format!(
            "{shown}SetEnvIfPlus Request_URI / Slow=1\n\
             SetEnvIfPlus Request_URI /generateReport.php Slow=2\n\
             SetEnvIfPlus Request_URI .*\\.(jpg)|(jpeg)|(gif)|(png)|(js)|(css)$ !Slow\n\
             SetEnvIfPlus Request_Query id=([0-9]+) Query=$1\n\
             SetEnvIfPlus Remote_Net ^127.0.0.0/24$ Net\n\
             SetEnvIfPlusNoCase X-A ^(yes)$ Copy=$1:%{{Slow}}\n\
             SetEnvIf Slow 2 Seen=1\n\
             QS_SetEnvIf Slow=(.*) Late=early\n\
             SetEnvIfPlus Late early Late=late late\n\
             <Location /in>\nSetEnvIfPlus Slow . In=$0\nQS_SetEnvIf In=1 In=2\n</Location>",
        ))
        .start();
    let client = httpd.client("127.0.0.61");
    let shown =
        |response: &Response| names.map(|name| response.var(name).unwrap_or("-").to_owned());
    let response = get(&client, "/generateReport.php?id=17", "X-A: YES\r\n");
    assert_eq!(shown(&response), ["2", "17", "1", "YES:%{Slow}", "-", "late", "-"]);
    let response = get(&client, "/in/x", "");
    assert_eq!(shown(&response), ["1", "-", "1", "-", "2", "late", "-"]);
    let response = get(&httpd.client("127.0.1.61"), "/in/x.css", "X-A: yes!\r\n");
    assert_eq!(shown(&response), ["-"; 7]);
}

fn what_it_sets_counts_before_the_request_is_judged(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_ClientEventBlockCount 3 60\nSetEnvIfPlus Request_URI ^/b QS_Block=2")
        .start();
    httpd.expect(60);
    let (bad, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    assert_eq!(get(&bad, "/b", "").status, 404);
    assert_eq!(get(&bad, "/b", "").status, 500);
    bad.get("/index.html").assert_refused();
    assert_eq!(get(&good, "/index.html", "").status, 200);
}

on_each_mpm!(attributes_set_variables_in_order, what_it_sets_counts_before_the_request_is_judged,);
