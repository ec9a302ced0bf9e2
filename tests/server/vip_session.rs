//! VIPs: sessions by a cookie, marks of addresses, and how one becomes a VIP: by what the application
//! answers, by a login, by a variable.

use crate::harness::{Builder, Client, Curl, Httpd, Mpm, PATIENCE, Response, poll, wait_until};

/// The application: `/login.asis` makes a VIP of whoever asks for it, `/secret/` lets in `ann`, and every
/// response shows which cookies reached it.
fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm)
        .modules(&["asis", "authn_core", "auth_basic", "authn_file", "authz_user"])
        .file(
            "login.asis",
            b"Status: 200 OK\nContent-Type: text/plain\nX-Vip: gold\n\nhello\n".to_vec(),
        )
        // The password is `password`.
        .file("users", b"ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n".to_vec())
        .with("AddHandler send-as-is asis\nHeader always set X-Cookies \"expr=%{req:Cookie}\"")
        .with(
            "Alias /secret @ROOT@/htdocs\n\
             <Location /secret>\n\
             AuthType Basic\nAuthName x\nAuthUserFile @ROOT@/htdocs/users\nRequire valid-user\n\
             ErrorDocument 401 /secret/index.html\n\
             </Location>",
        )
        .with(directives)
}

const GOOD: &str = "Authorization: Basic YW5uOnBhc3N3b3Jk\r\n";
const WRONG: &str = "Authorization: Basic YW5uOndyb25n\r\n";

fn ask(client: &Client, path: &str, headers: &str) -> Response {
    client.connect().get_with(path, headers).served()
}

fn with_cookie(client: &Client, cookie: &str) -> Response {
    ask(client, "/index.html", &format!("Cookie: {cookie}\r\n"))
}

fn is_vip(response: &Response) -> bool {
    response.var("QS_IsVipRequest") == Some("yes")
}

/// The cookie that a response sets: `name=value`, and what follows.
#[track_caller]
fn set_cookie(response: &Response) -> (String, String) {
    let header = response.header("Set-Cookie").unwrap_or_else(|| panic!("no cookie: {response:?}"));
    let (pair, rest) = header.split_once("; ").expect("attributes");
    (pair.to_owned(), rest.to_owned())
}

fn a_session_makes_a_vip_wherever_it_is_shown(mpm: Mpm) {
    let httpd = server(mpm, "QS_VipHeaderName X-Vip drop").start();
    let response = ask(&httpd.client("127.0.0.81"), "/login.asis", "");
    let (cookie, attributes) = set_cookie(&response);
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    assert_eq!(
        response.header("X-Vip"),
        None,
        "it is dropped, though it is a header of the error table"
    );
    assert!(is_vip(&response));
    let mut letters = None;
    wait_until("it is logged", PATIENCE, || {
        letters =
            httpd.wait_for_access("/login.asis", 1).first().map(|line| line.letters().to_owned());
        letters.is_some()
    });
    assert!(letters.is_some_and(|letters| letters.contains("V;") && letters.contains("v;")));

    // More requests than one child takes: all have the same key.
    let other = httpd.client("127.0.0.82");
    for _ in 0..8 {
        let response = with_cookie(&other, &format!("a=b; {cookie}; c=d"));
        assert!(is_vip(&response), "{response:?}");
        assert_eq!(
            response.header("X-Cookies"),
            Some("a=b; c=d"),
            "the application does not see it"
        );
        assert_eq!(response.header("Set-Cookie"), None, "it is not renewed");
    }
    let stranger = with_cookie(&httpd.client("127.0.0.83"), "a=b; c=d");
    assert!(!is_vip(&stranger));
    assert_eq!(stranger.header("X-Cookies"), Some("a=b; c=d"));
}

fn a_cookie_that_does_not_hold_makes_no_vip(mpm: Mpm) {
    let httpd = server(mpm, "QS_VipHeaderName X-Vip\nQS_SessionTimeout 1").start();
    httpd.expect(21).expect(23);
    let client = httpd.client("127.0.0.81");
    let (cookie, _) = set_cookie(&ask(&client, "/login.asis", ""));
    let mut changed = cookie.clone().into_bytes();
    changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    let old = "MODQOS=XI5v4IEv5EXoQYrWGDh3KKbhZgqlOgohmeCBkbq6qFlAO8GlBKdC8izHMh+Y3hno";
    for bad in [old, "MODQOS=", &changed, &cookie[..cookie.len() - 1]] {
        let response = with_cookie(&httpd.newcomer(), &format!("{bad}; a=b; {bad}"));
        assert_eq!((response.status, is_vip(&response)), (200, false), "{bad}");
        assert_eq!(response.header("X-Cookies"), Some("a=b"), "no such cookie gets through");
    }
    let lines = httpd.wait_for_events(21, 4);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        (lines[0].without_id(), lines[0].level.as_str()),
        ("session cookie verification failed, decoding failed", "warn")
    );
    let newcomer = httpd.newcomer();
    let is_over = || (!is_vip(&with_cookie(&newcomer, &cookie))).then_some(());
    assert!(poll(PATIENCE, is_over).is_some(), "a session ends");
    let lines = httpd.wait_for_events(23, 1);
    assert_eq!(lines[0].without_id(), "session cookie verification failed, expired");
}

fn a_configured_key_outlives_a_restart_and_a_random_one_does_not(mpm: Mpm) {
    for (key, holds) in [("QS_SessionKey a-long-secret", true), ("", false)] {
        let httpd = server(mpm, &format!("QS_VipUser\n{key}")).start();
        httpd.expect(21);
        let response = ask(&httpd.client("127.0.0.81"), "/secret/", GOOD);
        let (cookie, _) = set_cookie(&response);
        assert!(is_vip(&with_cookie(&httpd.newcomer(), &cookie)));
        httpd.reload();
        wait_until("the new children serve", PATIENCE, || {
            is_vip(&with_cookie(&httpd.newcomer(), &cookie)) == holds
        });
        assert_eq!(is_vip(&with_cookie(&httpd.newcomer(), &cookie)), holds, "{key}");
    }
}

fn over_tls_the_cookie_is_for_tls_only(mpm: Mpm) {
    let httpd =
        server(mpm, "QS_VipHeaderName X-Vip\nQS_SessionCookieName SID\nQS_SessionCookiePath /a")
            .tls()
            .start();
    let outcome = Curl::tls_http1(&httpd, "127.0.0.81").get(&["/login.asis"]);
    let (cookie, attributes) = set_cookie(&outcome.responses[0]);
    assert!(cookie.starts_with("SID="));
    assert_eq!(attributes, "Path=/a; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
}

fn streams_of_http2_have_sessions_as_well(mpm: Mpm) {
    if mpm == Mpm::Prefork {
        return; // mod_http2 refuses to work there.
    }
    let httpd = server(mpm, "QS_VipHeaderName X-Vip")
        .modules(&["http2"])
        .tls()
        .with("Protocols h2 http/1.1")
        .start();
    let outcome = Curl::tls(&httpd, "127.0.0.81").get(&["/login.asis"]);
    let (cookie, attributes) = set_cookie(&outcome.responses[0]);
    assert!(attributes.ends_with("; Secure"), "{attributes}");
    let header = format!("Cookie: a=b; {cookie}");
    let outcome = Curl::tls(&httpd, "127.0.0.82").with(&["-H", &header]).get(&["/", "/index.html"]);
    assert_eq!(outcome.responses.len(), 2, "{outcome:?}");
    for response in &outcome.responses {
        assert!(is_vip(response), "{response:?}");
        assert_eq!(response.header("X-Cookies"), Some("a=b"));
    }
}

fn a_login_makes_a_vip_and_a_failed_one_does_not(mpm: Mpm) {
    let httpd = server(mpm, "QS_VipUser\nQS_VipIPUser").start();
    httpd.expect_text("AH01617: user ann: authentication failure");
    let good = ask(&httpd.client("127.0.0.81"), "/secret/", GOOD);
    assert_eq!((good.status, is_vip(&good)), (200, true));
    let (cookie, _) = set_cookie(&good);
    assert!(is_vip(&with_cookie(&httpd.client("127.0.0.82"), &cookie)));
    // The page of the error lies in the same section, so it inherits the name that came with the wrong
    // password.
    let bad = httpd.client("127.0.0.83");
    for headers in [WRONG, "", WRONG] {
        let response = ask(&bad, "/secret/", headers);
        assert_eq!(response.status, 401);
        assert_eq!((response.header("Set-Cookie"), is_vip(&response)), (None, false), "{headers}");
    }
    assert!(!is_vip(&ask(&bad, "/", "")));
    let lines = httpd.wait_for_access("/secret/", 3);
    let refused = lines.iter().filter(|line| line.status() == 401);
    assert!(refused.clone().count() == 3 && refused.clone().all(|line| line.letters().is_empty()));
}

fn a_marked_address_is_a_vip_from_then_on_and_over_restarts(mpm: Mpm) {
    // Once the mark was only written when the connection ended.
    let httpd = server(mpm, "QS_VipIPHeaderName X-Vip\nQS_SrvMaxConn 3").start();
    httpd.expect(30);
    let (vip, stranger) = (httpd.client("127.0.0.81"), httpd.client("127.0.0.82"));
    let (mut older, mut current) = (vip.hold(), vip.connect());
    assert!(!is_vip(&older.get("/").served()));
    assert!(is_vip(&current.get("/login.asis").served()));
    assert!(is_vip(&older.get("/").served()), "a connection that was open before");
    let third = vip.hold();
    let another = vip.connect().get("/").served();
    assert!(is_vip(&another), "above the limit, and before any of its connections ended");
    stranger.get("/").assert_refused();
    drop((older, current, third));

    let is_known = || vip.connect().get("/").status() == Some(200) && is_vip(&ask(&vip, "/", ""));
    for pid in httpd.children() {
        httpd.kill_child(pid);
    }
    wait_until("new children know it", PATIENCE, is_known);
    httpd.reload();
    wait_until("and so does the next generation", PATIENCE, is_known);
    wait_until("a stranger is served, and no VIP", PATIENCE, || {
        stranger.get("/").status() == Some(200) && !is_vip(&ask(&stranger, "/", ""))
    });
}

fn only_a_matching_value_counts(mpm: Mpm) {
    let httpd = server(mpm, "QS_VipIPHeaderName X-Vip=^silver$ drop").start();
    let client = httpd.client("127.0.0.81");
    let response = ask(&client, "/login.asis", "");
    assert_eq!(
        (is_vip(&response), response.header("X-Vip")),
        (false, None),
        "dropped all the same"
    );
    assert!(!is_vip(&ask(&client, "/", "")));
}

fn a_variable_makes_a_vip_where_sessions_are_on(mpm: Mpm) {
    let vip = "SetEnvIf X-Please ^yes$ QS_VipRequest=yes";
    for (directive, expected) in [("QS_VipUser", true), ("QS_VipIPUser", false)] {
        let httpd = server(mpm, &format!("{directive}\n{vip}")).start();
        let client = httpd.client("127.0.0.81");
        assert_eq!(is_vip(&ask(&client, "/", "X-Please: yes\r\n")), expected, "{directive}");
        assert!(!is_vip(&ask(&client, "/", "")), "one request, not the client");
    }
}

fn virtual_hosts_have_sessions_of_their_own(mpm: Mpm) {
    let httpd = server(mpm, "QS_VipHeaderName X-Vip\nQS_SessionKey one")
        .ports(3)
        .with("<VirtualHost *:@PORT1@>\nQS_SessionKey two\nQS_SessionTimeout 3600\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName x\n</VirtualHost>")
        .start();
    httpd.expect(21);
    let client = |port| httpd.client_of_port(port, "127.0.0.8");
    let (cookie, _) = set_cookie(&ask(&client(0), "/login.asis", ""));
    let stranger = |port| httpd.client_of_port(port, "127.0.0.9");
    assert!(is_vip(&with_cookie(&stranger(2), &cookie)), "inherited, key and all");
    assert!(!is_vip(&with_cookie(&httpd.client_of_port(1, "127.0.0.10"), &cookie)), "another key");
    assert_eq!(httpd.wait_for_events(21, 1).len(), 1);
}

on_each_mpm!(
    a_session_makes_a_vip_wherever_it_is_shown,
    a_cookie_that_does_not_hold_makes_no_vip,
    a_configured_key_outlives_a_restart_and_a_random_one_does_not,
    over_tls_the_cookie_is_for_tls_only,
    streams_of_http2_have_sessions_as_well,
    a_login_makes_a_vip_and_a_failed_one_does_not,
    a_marked_address_is_a_vip_from_then_on_and_over_restarts,
    only_a_matching_value_counts,
    a_variable_makes_a_vip_where_sessions_are_on,
    virtual_hosts_have_sessions_of_their_own,
);
