//! What a denied request is answered with: QS_ErrorPage, its variable, the page that stands ready without
//! both; and a request line in which there is no path to judge.

use crate::harness::{Builder, Httpd, Mpm, Response};

/// Who asks for /no is denied, and says himself which page he gets.
fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm)
        .with(
            "SetEnvIf Request_URI ^/no NO\nQS_EventRequestLimit NO 0\n\
             SetEnvIf X-Page (.+) QS_ErrorPage=$1\n\
             CustomLog @ROOT@/notes \"%>s %{ERROR_NOTES}e\"",
        )
        .with(directives)
        .file("sorry.html", b"sorry\n".to_vec())
}

fn ask(httpd: &Httpd, path: &str, headers: &str) -> Response {
    httpd.newcomer().connect().get_with(path, &format!("{headers}Connection: close\r\n")).served()
}

fn a_url_is_where_the_client_is_sent(mpm: Mpm) {
    let httpd = server(mpm, "QS_ErrorPage httpd/elsewhere").start();
    httpd.expect(12);
    let response = ask(&httpd, "/no", "");
    assert_eq!((response.status, response.header("Location")), (302, Some("httpd/elsewhere")));
    assert!(response.closes());
    httpd.wait_for_file("notes", "302 012\n");
    let response = ask(&httpd, "/no", "X-Page: HTTP://other/?a=b\r\n");
    assert_eq!((response.status, response.header("Location")), (302, Some("HTTP://other/?a=b")));
    let response = ask(&httpd, "/no", "X-Page: /sorry.html\r\n");
    assert_eq!((response.status, response.text().as_str()), (500, "sorry\n"));
    // What is neither a path nor a URL is no page, and surely not the text of one.
    let response = ask(&httpd, "/no", "X-Page: <b>bold</b>\r\n");
    assert_eq!((response.status, response.header("Location")), (302, Some("httpd/elsewhere")));
}

fn a_page_stands_ready_below_the_server_root(mpm: Mpm) {
    let ready = |mpm, directives: &str| {
        server(mpm, directives)
            .with("ServerRoot @ROOT@/htdocs\nAlias /errorpages @ROOT@/htdocs/work/errorpages")
            .file("work/errorpages/error.html", b"third choice\n".to_vec())
            .file("work/errorpages/500.html", b"second choice\n".to_vec())
    };
    let httpd = ready(mpm, "QS_ErrorResponseCode 503").start();
    httpd.expect(12).expect(9);
    let notice = "found default error document '/errorpages/500.html'. Use the QS_ErrorPage directive to \
                  override this default page.";
    let lines = httpd.events(9);
    let told = lines.iter().find(|line| line.text == notice).expect("told at start");
    assert_eq!(told.level, "notice");
    let response = ask(&httpd, "/no", "");
    assert_eq!((response.status, response.text().as_str()), (503, "second choice\n"));
    drop(httpd);
    let httpd = ready(mpm, "QS_ErrorPage /sorry.html").start();
    httpd.expect(12).expect(9);
    assert!(httpd.events(9).iter().all(|line| !line.text.contains("default error document")));
    assert_eq!(ask(&httpd, "/no", "").text(), "sorry\n");
}

fn a_request_line_without_a_path_is_refused(mpm: Mpm) {
    let httpd = server(mpm, "QS_LogOnly on\nQS_ErrorPage /sorry.html").start();
    httpd.expect(12).expect(9).expect(45);
    for (line, count) in
        [("GET http://localhost", 1), ("CONNECT localhost:443", 2), ("GET ?a=b", 3)]
    {
        let mut connection = httpd.newcomer().connect();
        let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        connection.send(request.as_bytes()).expect("the server reads");
        assert_eq!(connection.response().status(), Some(400), "{line}");
        let told = httpd.wait_for_events(45, count).pop().expect("a line");
        assert_eq!(told.level, "error");
        let words = "access denied, invalid request line: can't parse uri, c=127.99.";
        assert!(told.text.starts_with(words) && told.text.contains(", id="), "{}", told.text);
    }
    let mut connection = httpd.newcomer().connect();
    connection.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
    assert_eq!(connection.response().status(), Some(200));
}

on_each_mpm!(
    a_url_is_where_the_client_is_sent,
    a_page_stands_ready_below_the_server_root,
    a_request_line_without_a_path_is_refused,
);
