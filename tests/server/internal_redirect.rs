//! A request that httpd answers elsewhere than it was sent to: rules go by what the client sent.

use crate::harness::{Client, Httpd, Mpm, PATIENCE, poll};

fn get(client: &Client, path: &str) -> Option<u16> {
    client.get(path).status()
}

fn a_rewritten_request_counts_where_it_was_sent_to(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .modules(&["rewrite"])
        .with(
            "RewriteEngine on\nRewriteRule ^/short/(.*) /index.html?made=$1 [PT]\n\
             QS_LocRequestLimit /short 9\nQS_LocRequestLimitMatch made= 9\n\
             QS_SetEnvIfQuery made MADE\nQS_SetEnvIfQuery sent SENT\n\
             Header always set X-Var-MADE %{MADE}e\nHeader always set X-Var-SENT %{SENT}e",
        )
        .start();
    let client = httpd.client("127.0.0.61");
    let response = client.get("/short/a?sent=1").served();
    assert_eq!(
        (response.status, response.var("MADE"), response.var("SENT")),
        (200, None, Some(""))
    );
    // Counted by the location; the pattern, which would come first, knows nothing of it.
    let lines = httpd.wait_for_access("/index.html", 1);
    assert_eq!(lines[0].cr(), Some("1"));
    let response = client.get("/index.html?sent=1").served();
    assert_eq!((response.status, response.var("SENT")), (200, Some("")));
    assert_eq!(httpd.wait_for_access("/index.html", 2)[1].cr(), None);
}

fn an_error_document_is_no_event_of_the_client(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with(
            "ErrorDocument 404 /sorry.html\n\
             QS_ClientEventLimitCount 3 60 PAGE\nSetEnvIf Request_URI \\.html$ PAGE\n\
             QS_ClientEventLimitCount 3 60 MISSED\nQS_SetEnvIfStatus 404 MISSED\n\
             <Location /sorry.html>\nQS_SetEnvIfStatus 404 WORSE=1\n</Location>\n\
             QS_ClientEventLimitCount 9 60 AGAIN\nQS_SetEnvIf WORSE=1 AGAIN=1\n\
             Header always set X-Var-PAGE_Counter %{PAGE_Counter}e\n\
             Header always set X-Var-MISSED_Counter %{MISSED_Counter}e\n\
             Header always set X-Var-AGAIN_Counter %{AGAIN_Counter}e",
        )
        .file("sorry.html", b"sorry\n".to_vec())
        .start();
    httpd.expect(67).expect(301);
    let (bad, probe) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    let response = bad.get("/none.gif").served();
    assert_eq!((response.status, response.text().as_str()), (404, "sorry\n"));
    assert_eq!(get(&bad, "/none.gif"), Some(404));
    // What the document's URL would be an event for is none; what its response is, is one of the client.
    let pages = poll(PATIENCE, || {
        let response = bad.get("/").served();
        let counts = ["MISSED_Counter", "AGAIN_Counter"].map(|name| response.count(name));
        (counts == [2, 2]).then(|| response.count("PAGE_Counter"))
    });
    assert_eq!(pages, Some(0));
    assert_eq!(get(&bad, "/none.gif"), Some(404));
    poll(PATIENCE, || (get(&bad, "/") == Some(500)).then_some(())).expect("it is denied");
    assert_eq!(get(&probe, "/"), Some(200));
}

on_each_mpm!(
    a_rewritten_request_counts_where_it_was_sent_to,
    an_error_document_is_no_event_of_the_client,
);
