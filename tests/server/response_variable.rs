//! Variables that responses set: QS_SetEnvResHeader, QS_SetEnvResHeaderMatch, QS_SetEnvRes.

use crate::harness::{Builder, Httpd, Mpm, PATIENCE, wait_until};

/// An application says more than it means its clients to know.
pub fn application(builder: Builder) -> Builder {
    let answer = |headers: &str| format!("Status: 200 OK\n{headers}\nbody\n").into_bytes();
    builder
        .modules(&["asis"])
        .with("AddHandler send-as-is asis")
        .file("login.asis", answer("Content-Type: text/plain\nX-Login: failed\nX-Secret: 17\n"))
        .file("fine.asis", answer("Content-Type: text/plain\nX-Login: well\n"))
}

fn headers_of_the_response_become_variables(mpm: Mpm) {
    let httpd = application(Httpd::on(mpm))
        .with(
            "QS_SetEnvResHeaderMatch X-Login FAIL(ed)?\n\
             QS_SetEnvResHeader X-Secret drop\n\
             QS_SetEnvRes X-Secret ^1(.)$ V1=<$1>\n\
             QS_SetEnvRes X-Login . V2\n\
             Header always set X-Var-X-Login %{X-Login}e\n\
             Header always set X-Var-X-Secret %{X-Secret}e\n\
             Header always set X-Var-V1 %{V1}e\nHeader always set X-Var-V2 %{V2}e",
        )
        .start();
    let client = httpd.client("127.0.0.61");
    let response = client.get("/login.asis").served();
    assert_eq!((response.status, response.text().as_str()), (200, "body\n"));
    assert_eq!(response.header("X-Login"), Some("failed"));
    assert_eq!(response.header("X-Secret"), None, "it is dropped");
    let shown = ["X-Login", "X-Secret", "V1", "V2"].map(|name| response.var(name));
    assert_eq!(shown, [Some("failed"), Some("17"), Some("<7>"), Some("1")]);
    let response = client.get("/fine.asis").served();
    let shown = ["X-Login", "X-Secret", "V1", "V2"].map(|name| response.var(name));
    assert_eq!(shown, [None; 4]);
}

fn an_application_can_have_its_clients_blocked(mpm: Mpm) {
    let httpd = application(Httpd::on(mpm))
        .with(
            "QS_ClientEventBlockCount 2 60\n\
             QS_SetEnvResHeaderMatch X-Login ^failed$\n\
             QS_SetEnvRes X-Login failed QS_Block=1",
        )
        .start();
    httpd.expect(60);
    let (bad, good) = (httpd.client("127.0.0.61"), httpd.client("127.0.0.62"));
    for _ in 0..2 {
        assert_eq!(bad.get("/login.asis").status(), Some(200));
        assert_eq!(good.get("/fine.asis").status(), Some(200));
    }
    wait_until("it is blocked", PATIENCE, || bad.get("/fine.asis").is_refused());
    assert_eq!(good.get("/fine.asis").status(), Some(200));
}

on_each_mpm!(headers_of_the_response_become_variables, an_application_can_have_its_clients_blocked,);
