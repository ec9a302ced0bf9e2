//! The status viewer: what it says is what clients know that they did.

use crate::harness::{Gate, Httpd, Mpm, PATIENCE, Response, poll, wait_until};
use std::collections::BTreeSet;

const VIEWER: &str = "<Location /qos>\nSetHandler qos-viewer\n</Location>";

/// Asks the page with a query.
fn page(httpd: &Httpd, query: &str) -> Response {
    httpd.newcomer().get(&format!("/qos?{query}")).served()
}

/// Waits until `?auto` has this line.
#[track_caller]
fn wait_for_line(httpd: &Httpd, query: &str, line: &str) {
    let mut text = String::new();
    let has_line = || {
        text = page(httpd, query).text();
        text.lines().any(|found| found == line).then_some(())
    };
    assert!(poll(PATIENCE, has_line).is_some(), "no line {line:?} in:\n{text}");
}

fn auto_tells_what_clients_hold(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = Httpd::on(mpm)
        .modules(&["proxy", "proxy_http"])
        .ports(2)
        .with(&format!("ProxyPass /app http://127.0.0.1:{}/", gate.port))
        .with(VIEWER)
        .with("QS_SrvMaxConn 20\nQS_SrvMaxConnClose 90%\nQS_SrvMaxConnPerIP 9\nQS_LocRequestLimit /app 5")
        .with("QS_ClientPrefer 80\nQS_LocRequestLimitMatch ^/app/x 4\nSetEnvIf Request_URI ^/app/x EV\nQS_EventRequestLimit EV 3")
        .with("<VirtualHost 127.0.0.1:@PORT1@>\nServerName second\nQS_SrvMaxConn 7\n</VirtualHost>")
        .start();
    let first = page(&httpd, "auto");
    assert_eq!(first.header("Content-Type"), Some("text/plain"));
    assert_eq!(first.header("Cache-Control"), Some("no-cache"));
    assert!(first.text().starts_with("b;system.load: "), "{}", first.text());
    let contents = "b;clientContentTypes(html,css/js,images,other,304): ";
    assert_eq!(first.text().lines().nth(1), Some(format!("{contents}0 0 0 0 0").as_str()));

    let mut held = Vec::new();
    for (port, source, path) in [
        (0, "127.0.0.11", "/app/a"),
        (0, "127.0.0.11", "/app/x"),
        (0, "127.0.0.12", "/app/x"),
        (1, "127.0.0.13", "/app/b"),
    ] {
        let mut connection = httpd.client_of_port(port, source).connect();
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .expect("sent");
        held.push(connection);
    }
    gate.wait_for(4);
    let port = httpd.ports()[1];
    let second = |line: &str| format!("v;second;{port};{line}");
    // The one who asks has a connection, too.
    for line in [
        "b;localhost;0;QS_AllConn: 5",
        "b;localhost;0;QS_ClientPrefer;25[]: 5",
        "b;localhost;0;QS_LocRequestLimit;5[/app]: 1",
        "b;localhost;0;QS_LocRequestLimitMatch;4[^/app/x]: 2",
        "b;localhost;0;QS_EventRequestLimit;3[var=(EV)]: 2",
        "b;localhost;0;QS_SrvMaxConn;20[]: 4",
        "b;localhost;0;QS_SrvMaxConnClose;28[]: 4",
        &second("QS_LocRequestLimit;5[/app]: 1"),
        &second("QS_LocRequestLimitMatch;4[^/app/x]: 0"),
        &second("QS_EventRequestLimit;3[var=(EV)]: 0"),
        &second("QS_SrvMaxConn;7[]: 1"),
    ] {
        wait_for_line(&httpd, "auto", line);
    }
    assert!(!page(&httpd, "auto").text().contains("PerIP"), "only where it is asked for");
    wait_for_line(&httpd, "auto&option=ip", "b;localhost;0;QS_SrvMaxConnPerIP;127.0.0.11: 2");
    wait_for_line(&httpd, "option=x+ip&auto", "b;localhost;0;QS_SrvMaxConnPerIP;127.0.0.12: 1");
    wait_for_line(&httpd, "auto&option=ip", &second("QS_SrvMaxConnPerIP;127.0.0.13: 1"));
    gate.open();
    for mut connection in held {
        connection.response().served();
    }
    wait_for_line(&httpd, "auto", "b;localhost;0;QS_LocRequestLimitMatch;4[^/app/x]: 0");
    wait_for_line(&httpd, "auto", "b;localhost;0;QS_AllConn: 1");
    // The proxied answers have no type; this page has one that is of no class, either.
    let text = page(&httpd, "auto").text();
    let counts: Vec<u64> = text
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix(contents))
        .expect("contents")
        .split(' ')
        .map(|count| count.parse().expect("a number"))
        .collect();
    assert_eq!((counts.len(), &counts[..3], counts[4]), (5, &[0, 0, 0][..], 0), "{text}");
    assert!(counts[3] >= 5, "{text}");
}

fn hosts_without_directives_have_no_lines(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(3)
        .with(VIEWER)
        .with("QS_SrvMaxConn 20\nQS_LocRequestLimit /app 5")
        .with("<VirtualHost *:@PORT1@>\nServerName sharing\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName counting\nQS_LocRequestLimit /own 1\n</VirtualHost>")
        .start();
    let of_hosts: Vec<String> = page(&httpd, "auto")
        .text()
        .lines()
        .filter(|line| line.starts_with("v;"))
        .map(str::to_owned)
        .collect();
    let port = httpd.ports()[2];
    assert_eq!(
        of_hosts,
        [
            format!("v;counting;{port};QS_LocRequestLimit;1[/own]: 0"),
            format!("v;counting;{port};QS_LocRequestLimit;5[/app]: 0")
        ]
    );
}

fn a_disabled_handler_answers_as_if_it_were_not_there(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .with(VIEWER)
        .with("QS_DisableHandler on")
        .with("<VirtualHost *:@PORT1@>\nServerName open\nQS_DisableHandler off\n</VirtualHost>")
        .start();
    httpd.expect(72);
    let mark = httpd.mark();
    assert_eq!(httpd.newcomer().get("/qos?auto").status(), Some(404));
    let line = httpd.wait_for_events_since(mark, 72, 1).pop().expect("a line");
    assert!(line.text.starts_with("handler has been disabled for this host, id="), "{}", line.text);
    assert_eq!(line.level, "error");
    assert_eq!(httpd.client_of_port(1, "127.0.0.9").get("/qos?auto").status(), Some(200));
    assert_eq!(httpd.events(72).len(), 1);
}

fn any_method_is_answered_and_hostile_queries_are_nothing_special(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with(VIEWER).with("LimitRequestLine 2000000").start();
    let client = httpd.client("127.0.0.9");
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        let mut connection = client.connect();
        let request =
            format!("{method} /qos?auto HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        connection.send(request.as_bytes()).expect("sent");
        let response = connection.response().served();
        assert_eq!(
            (response.status, response.text().contains("QS_AllConn")),
            (200, true),
            "{method}"
        );
        assert_eq!(connection.get("/qos?auto").status(), Some(200), "the connection goes on");
    }
    let mut connection = client.connect();
    connection.send(b"HEAD /qos?auto HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let head = connection.read_at_least(60).expect("a head");
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("no-cache"), "{head}");
    for query in [
        "x".repeat(1 << 20),
        "x=1&".repeat(1 << 18),
        format!("auto&address={}", "%3cscript%3e".repeat(5000)),
        "auto&%00=%00&%ff&address=%&option=%zz&&&=".to_owned(),
    ] {
        let response = client.get(&format!("/qos?{query}")).served();
        assert_eq!(response.status, 200);
        assert!(!response.text().contains("<script>"));
    }
}

/// The number behind a line's words.
fn number(text: &str, words: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(words));
    let line = line.unwrap_or_else(|| panic!("no {words:?} in:\n{text}"));
    line.parse().unwrap_or_else(|_| panic!("{words}{line} is no number"))
}

fn events_are_new_once_and_outlive_a_restart(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .modules(&["status"])
        .with(VIEWER)
        .with("<Location /server-status>\nSetHandler server-status\n</Location>")
        .with("QS_EventCount on\nQS_SrvMaxConnPerIP 2")
        .with("<VirtualHost *:@PORT1@>\nServerName other\nQS_SrvMaxConnPerIP 1\n</VirtualHost>")
        .start();
    httpd.expect(31);
    let counts = |path: &str| {
        let text = httpd.newcomer().get(path).served().text();
        let at = |what: &str| number(&text, &format!("e;mod_qos(031);{what}: "));
        assert_eq!(text.lines().filter(|line| line.starts_with("e;mod_qos(010);")).count(), 2);
        assert!(text.contains("\ne;mod_qos(305);new: 0\n"), "our own follow");
        (at("new"), at("total"))
    };
    assert_eq!(counts("/qos?auto"), (0, 0));
    let held: Vec<_> = (0..2).map(|_| httpd.client("127.0.0.11").hold()).collect();
    let other = httpd.client_of_port(1, "127.0.0.12").hold();
    for port in [0, 0, 0] {
        httpd.client_of_port(port, "127.0.0.11").get("/").assert_refused();
    }
    httpd.client_of_port(1, "127.0.0.12").get("/").assert_refused();
    assert_eq!(counts("/qos?auto"), (4, 4), "of all hosts");
    assert_eq!(counts("/qos?auto"), (0, 4));
    httpd.client("127.0.0.11").get("/").assert_refused();
    let mut head = httpd.newcomer().connect();
    head.send(b"HEAD /qos?auto HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    head.read_at_least(60).expect("a head");
    httpd.reload();
    assert_eq!(counts("/server-status?auto"), (1, 5), "whoever asks, and whatever was restarted");
    assert_eq!(counts("/qos?auto"), (0, 5));
    drop((held, other));
}

fn mod_status_tells_the_same(mpm: Mpm) {
    let status =
        "<Location /server-status>\nSetHandler server-status\n</Location>\nQS_SrvMaxConn 20";
    let httpd = Httpd::on(mpm)
        .ports(2)
        .modules(&["status"])
        .with(status)
        .with("<VirtualHost *:@PORT1@>\nQS_DisableHandler on\nServerName closed\n</VirtualHost>")
        .start();
    httpd.expect(72);
    let text = httpd.newcomer().get("/server-status?auto").served().text();
    assert!(text.contains("\nScoreboard: "), "{text}");
    let ours = text.split("\nb;system.load: ").nth(1).expect("our part");
    assert!(
        ours.contains("\nb;localhost;0;QS_AllConn: 1\nb;localhost;0;QS_SrvMaxConn;20[]: 1\n"),
        "{ours}"
    );
    let text = httpd.newcomer().get("/server-status").served().text();
    let ours = text.split("<h1>mod_qos ").nth(1).expect("our part");
    assert!(
        ours.contains("<h2>localhost:0 (base)</h2>")
            && ours.contains("max connections</th><td class=\"n\">20<"),
        "{ours}"
    );
    let client = httpd.client_of_port(1, "127.0.0.9");
    let text = client.get("/server-status?auto").served().text();
    assert!(text.contains("\nScoreboard: ") && !text.contains("QS_"), "{text}");
    httpd.wait_for_events(72, 1);
}

fn the_page_shows_who_is_blocked_and_finds_clients(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with(VIEWER)
        .with("QS_ClientEventBlockCount 2 300\nQS_SetEnvIfStatus 404 QS_Block")
        .with("QS_ClientEventLimitCount 1 100 LOGIN\nSetEnvIf Request_URI ^/login LOGIN")
        .with("QS_LocRequestLimitMatch \"^/<b>\" 5\nQS_SrvMaxConnPerIP 9")
        .start();
    httpd.expect(60).expect(67);
    for _ in 0..2 {
        httpd.client("127.0.0.11").get("/not-there").served();
    }
    // A response is counted when it is logged, which may be after it was read.
    wait_until("blocked", PATIENCE, || httpd.client("127.0.0.11").get("/").is_refused());
    httpd.client("127.0.0.12").get("/login").served();
    let query = "refresh&address=127.0.0.11&action=search&option=ip";
    wait_until("nobody is connected but who asks", PATIENCE, || {
        page(&httpd, query).text().contains("connections per address: 1<")
    });
    let response = page(&httpd, query);
    for (header, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        ("Refresh", "10"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        assert_eq!(response.header(header), Some(value));
    }
    let text = response.text();
    for part in [
        "<title>mod_qos - localhost</title>",
        "<td><a href=\"?address=127.0.0.11\">127.0.0.11</a></td><td class=\"n\">2</td>",
        "<td title=\"QS_ClientEventLimitCount\">LOGIN</td><td class=\"n\">1</td>",
        "<th scope=\"row\">blocked (QS_Block, 2)</th><td>2, ",
        "<td class=\"rule\">^/&lt;b&gt;</td>",
        "<h2>localhost:0 (base)</h2>",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let text = page(&httpd, "address=%3Cscript%3E").text();
    assert!(text.contains("&lt;script&gt;") && !text.contains("<script"), "{text}");
    let icon = httpd.newcomer().get("/qos/favicon.ico").served();
    assert_eq!(icon.header("Content-Type"), Some("image/x-icon"));
    assert_eq!(icon.header("Cache-Control"), Some("public, max-age=2592000"));

    let response = page(&httpd, "json&option=ip");
    assert_eq!(response.header("Content-Type"), Some("application/json"));
    let mut json: serde_json::Value = serde_json::from_str(&response.text()).expect("JSON");
    // A server that takes connections may still be making its last threads.
    wait_until("each worker is there once", PATIENCE, || {
        json = serde_json::from_str(&page(&httpd, "json&option=ip").text()).expect("JSON");
        let workers = json["workers"].as_object().expect("an object");
        let is_worker = |name: &str| !["busy", "open"].contains(&name);
        let counts = workers.iter().filter(|(name, _)| is_worker(name));
        counts.filter_map(|(_, count)| count.as_u64()).sum::<u64>() == 32
    });
    assert_eq!((&json["schema"], &json["max_clients"]), (&1.into(), &32.into()));
    let workers = &json["workers"];
    assert!(workers["write"].as_u64() >= Some(1), "who answers this is at work");
    let clients = &json["clients"];
    assert_eq!((&clients["blocked"], &clients["limited"]), (&1.into(), &1.into()));
    assert_eq!(clients["blocked_clients"][0]["address"], "127.0.0.11");
    assert!(clients["blocked_clients"][0]["remaining"].as_u64() > Some(280));
    assert_eq!(clients["limited_clients"][0]["variable"], "LOGIN");
    // Who is about to be blocked may be denied a request first, and then a connection.
    let denials = json["denials"].as_array().expect("an array");
    let events: BTreeSet<&str> = denials.iter().filter_map(|one| one["event"].as_str()).collect();
    assert_eq!(events, BTreeSet::from(["060", "067"]), "{json}");
    assert_eq!(json["servers"][0]["addresses"][0]["connections"], 1, "{json}");
}

on_each_mpm!(
    the_page_shows_who_is_blocked_and_finds_clients,
    events_are_new_once_and_outlive_a_restart,
    mod_status_tells_the_same,
    auto_tells_what_clients_hold,
    hosts_without_directives_have_no_lines,
    a_disabled_handler_answers_as_if_it_were_not_there,
    any_method_is_answered_and_hostile_queries_are_nothing_special,
);
