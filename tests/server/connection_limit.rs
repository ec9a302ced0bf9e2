//! How many connections the server, and one address, may hold open: QS_SrvMaxConn and its kin,
//! the variables that show the counters, and which counter a virtual host uses.

use std::time::Duration;

use crate::harness::{
    Connection, Httpd, Line, Mpm, Namespace, Outcome, PATIENCE, Response, wait_until,
};

/// One connection from each address, each after a served request, all kept open.
fn hold(httpd: &Httpd, sources: &[&str]) -> Vec<Connection> {
    sources.iter().map(|source| httpd.client(source).hold()).collect()
}

fn many(httpd: &Httpd, source: &str, count: usize) -> Vec<Connection> {
    (0..count).map(|_| httpd.client(source).hold()).collect()
}

#[track_caller]
fn assert_lines(lines: &[Line], texts: &[&str]) {
    let found: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(found, texts);
}

// ---- the whole server

fn one_connection_above_the_servers_limit_is_refused(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 3").start();
    httpd.expect(30);
    let held = hold(&httpd, &["127.0.0.11", "127.0.0.12", "127.0.0.13"]);
    httpd.client("127.0.0.14").get("/").assert_refused();
    let lines = httpd.wait_for_events(30, 1);
    assert_lines(
        &lines,
        &["access denied, QS_SrvMaxConn rule: max=3, concurrent connections=4, c=127.0.0.14"],
    );
    assert_eq!(lines[0].level, "error");
    assert_eq!(lines[0].client, None, "no request is there to name");
    drop(held);
}

fn a_silent_connection_above_the_limit_is_closed_at_once(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 2").start();
    httpd.expect(30);
    let _held = hold(&httpd, &["127.0.0.11", "127.0.0.12"]);
    let mut silent = httpd.client("127.0.0.13").connect();
    silent.watch_until_closed().assert_refused();
    assert_lines(
        &httpd.wait_for_events(30, 1),
        &["access denied, QS_SrvMaxConn rule: max=2, concurrent connections=3, c=127.0.0.13"],
    );
    assert!(httpd.access_log().iter().all(|line| line.status() == 200), "it is not a request");
}

fn a_place_that_becomes_free_is_given_to_the_next(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 2").start();
    httpd.expect(30);
    for _ in 0..3 {
        let held = wait_for_places(&httpd, &["127.0.0.11", "127.0.0.12"]);
        httpd.client("127.0.0.13").get("/").assert_refused();
        drop(held);
    }
}

/// Holds one connection from each address, as soon as the server lets it.
fn wait_for_places(httpd: &Httpd, sources: &[&str]) -> Vec<Connection> {
    let mut held = Vec::new();
    for source in sources {
        wait_until("a place becomes free", PATIENCE, || {
            let mut connection = httpd.client(source).connect();
            let is_served = connection.get("/").status() == Some(200);
            if is_served {
                held.push(connection);
            }
            is_served
        });
    }
    held
}

fn half_a_request_takes_a_place(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 3").start();
    httpd.expect(30);
    let mut half = httpd.client("127.0.0.11").connect();
    half.send(b"GET / HT").expect("the server reads");
    let _silent = httpd.client("127.0.0.12").connect();
    wait_until("both are counted", PATIENCE, || {
        let response = httpd.client("127.0.0.13").get("/");
        response.is_refused() || response.served().count("QS_AllConn") == 3
    });
    let _third = wait_for_places(&httpd, &["127.0.0.13"]);
    httpd.client("127.0.0.14").get("/").assert_refused();
    half.send(b"TP/1.1\r\nHost: x\r\n\r\n").expect("the server still reads");
    assert_eq!(half.response().served().status, 200, "who was let in is served");
}

fn log_only_lets_a_connection_above_the_servers_limit_pass(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 1\nQS_LogOnly on").start();
    httpd.expect(30);
    let _held = hold(&httpd, &["127.0.0.11"]);
    assert_eq!(httpd.client("127.0.0.12").get("/").status(), Some(200));
    assert_lines(
        &httpd.wait_for_events(30, 1),
        &["access denied (log only), QS_SrvMaxConn rule: max=1, concurrent connections=2, \
           c=127.0.0.12"],
    );
    let notice = httpd.wait_for_events(9, 1);
    assert_eq!(notice[0].text, "running in 'log only' mode - rules are NOT enforced!");
    assert_eq!(notice[0].level, "notice");
}

fn mod_qos_con_is_logged_where_the_server_has_a_limit(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .with("QS_SrvMaxConnPerIP 20")
        .with("<VirtualHost *:@PORT1@>\nQS_SrvMaxConn 9\n</VirtualHost>")
        .start();
    httpd.client_of_port(1, "127.0.0.11").get("/limited").served();
    httpd.client("127.0.0.11").get("/unlimited").served();
    assert_eq!(httpd.wait_for_access("/limited", 1)[0].con(), Some("1"));
    assert_eq!(httpd.wait_for_access("/unlimited", 1)[0].con(), None);
}

fn forced_close_on_and_off_refuse_alike(mpm: Mpm) {
    for word in ["on", "off"] {
        let httpd = Httpd::on(mpm).with(&format!("QS_SrvMaxConn 1\nQS_ForcedClose {word}")).start();
        httpd.expect(30);
        let _held = hold(&httpd, &["127.0.0.11"]);
        let asking = httpd.client("127.0.0.12").get("/");
        assert!(asking.is_refused(), "QS_ForcedClose {word}: {asking:?}");
        let silent = httpd.client("127.0.0.13").connect().watch_until_closed();
        assert!(silent.is_refused(), "QS_ForcedClose {word}, a silent client: {silent:?}");
        httpd.wait_for_events(30, 2);
    }
}

// ---- exempt addresses

fn an_exempt_address_is_served_above_the_limits(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvMaxConn 2\nQS_SrvMaxConnPerIP 2")
        .with("QS_SrvMaxConnExcludeIP 127.0.2.7\nQS_SrvMaxConnExcludeIP 127.0.3.")
        .start();
    httpd.expect(30);
    let _held = hold(&httpd, &["127.0.0.11", "127.0.0.12"]);
    for exempt in ["127.0.2.7", "127.0.3.1", "127.0.3.200"] {
        assert_eq!(httpd.client(exempt).get("/").status(), Some(200), "{exempt}");
    }
    for other in ["127.0.2.70", "127.0.2.8", "127.0.30.1"] {
        httpd.client(other).get("/").assert_refused();
    }
}

fn an_exempt_network_is_served_above_the_limit(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvMaxConn 1\nQS_SrvMaxConnExcludeIP 127.0.4.0/22")
        .with("QS_SrvMaxConnExcludeIP 127.0.9.8/32")
        .start();
    httpd.expect(30);
    let _held = hold(&httpd, &["127.0.0.11"]);
    for exempt in ["127.0.4.0", "127.0.7.255", "127.0.9.8"] {
        assert_eq!(httpd.client(exempt).get("/").status(), Some(200), "{exempt}");
    }
    for other in ["127.0.3.255", "127.0.8.0", "127.0.9.9"] {
        httpd.client(other).get("/").assert_refused();
    }
}

fn requests_of_an_exempt_address_are_marked_as_vip(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvMaxConn 20\nQS_SrvMaxConnClose 1\nQS_SrvMaxConnExcludeIP 127.0.2.7")
        .file("alone.html", vec![b'a'])
        .file("crowded.html", vec![b'c'])
        .start();
    httpd.client("127.0.2.7").get("/alone.html").served();
    assert_eq!(httpd.wait_for_access("/alone.html", 1)[0].letters(), "S;");
    let _held = hold(&httpd, &["127.0.0.11", "127.0.0.12"]);
    let response = httpd.client("127.0.2.7").connect().get("/crowded.html").served();
    assert!(response.closes(), "a VIP is not exempt from QS_SrvMaxConnClose");
    assert_eq!(httpd.wait_for_access("/crowded.html", 1)[0].letters(), "S;K;");
}

fn the_limit_per_address_can_ignore_exemption(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("QS_SrvMaxConnPerIP 2\nQS_SrvMaxConnExcludeIP 127.0.2.7")
        .with("QS_SrvMaxConnPerIPIgnoreVIP on")
        .start();
    httpd.expect(31);
    let _held = many(&httpd, "127.0.2.7", 2);
    httpd.client("127.0.2.7").get("/").assert_refused();
    assert_lines(
        &httpd.wait_for_events(31, 1),
        &["access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=3, c=127.0.2.7"],
    );
}

// ---- one address

fn one_connection_above_the_limit_of_an_address_is_refused(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 2").start();
    httpd.expect(31);
    let held = many(&httpd, "127.0.0.21", 2);
    httpd.client("127.0.0.21").get("/").assert_refused();
    let response = httpd.client("127.0.0.22").get("/").served();
    assert_eq!(response.count("QS_IPConn"), 1, "another address has its own count");
    let lines = httpd.wait_for_events(31, 1);
    assert_lines(
        &lines,
        &["access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=3, c=127.0.0.21"],
    );
    assert_eq!(lines[0].level, "error");
    drop(held);
    wait_until("the address may come again", PATIENCE, || {
        httpd.client("127.0.0.21").get("/").status() == Some(200)
    });
}

fn the_limit_of_an_address_waits_for_the_threshold_of_the_server(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 2 5").start();
    httpd.expect(31);
    let _held = many(&httpd, "127.0.0.21", 4);
    httpd.client("127.0.0.21").get("/").assert_refused();
    assert_lines(
        &httpd.wait_for_events(31, 1),
        &["access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=5, c=127.0.0.21"],
    );
}

fn log_only_lets_a_connection_above_the_limit_of_an_address_pass(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 1\nQS_LogOnly on").start();
    httpd.expect(31);
    let _held = many(&httpd, "127.0.0.21", 1);
    let response = httpd.client("127.0.0.21").get("/").served();
    assert_eq!(response.count("QS_IPConn"), 2);
    assert_lines(
        &httpd.wait_for_events(31, 1),
        &["access denied (log only), QS_SrvMaxConnPerIP rule: max=1, concurrent connections=2, \
           c=127.0.0.21"],
    );
}

fn repeated_refusals_of_an_address_are_folded(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 2").start();
    httpd.expect(31);
    let mut held = many(&httpd, "127.0.0.21", 2);
    let refuse = |count: usize| {
        for _ in 0..count {
            httpd.client("127.0.0.21").connect().watch_until_closed().assert_refused();
        }
    };
    refuse(20);
    httpd.wait_for_events(31, 20);
    refuse(19);
    assert_eq!(httpd.events(31).len(), 20, "20 lines in full, then silence");
    refuse(1);
    let lines = httpd.wait_for_events(31, 21);
    assert!(
        lines[..20].iter().all(|line| {
            line.text.starts_with("access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent ")
                && !line.text.contains("repeated")
        }),
        "{lines:?}"
    );
    assert!(
        lines[20]
            .text
            .starts_with("access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=")
            && lines[20].text.ends_with(", message repeated 20 times, c=127.0.0.21"),
        "{:?}",
        lines[20]
    );
    refuse(5);
    assert_eq!(httpd.events(31).len(), 21);
    // What was not yet told is told when the address is let in again. While the place becomes free
    // further refusals may add to it.
    held.pop();
    wait_until("the address is let in again", PATIENCE, || {
        httpd.client("127.0.0.21").get("/").status() == Some(200)
    });
    let lines = httpd.wait_for_events(31, 22);
    let (before, after) = lines[21]
        .text
        .split_once(", message repeated ")
        .unwrap_or_else(|| panic!("no number of repetitions: {:?}", lines[21]));
    assert!(
        before.starts_with(
            "access denied (previously), QS_SrvMaxConnPerIP rule: max=2, concurrent connections="
        ),
        "{before}"
    );
    let count: usize = after
        .strip_suffix(" times, c=127.0.0.21")
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{after}"));
    assert!((5..20).contains(&count), "5 were not told: {count}");
}

fn addresses_do_not_share_a_count(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 1").start();
    let held = hold(
        &httpd,
        &["127.0.0.1", "127.0.0.2", "127.0.1.1", "127.1.0.1", "127.0.0.129", "127.128.0.1"],
    );
    assert_eq!(held.len(), 6);
    if httpd.has_ipv6() {
        httpd.client("::1").hold();
    }
}

// ---- response above a limit

fn keep_alive_ends_above_the_close_limit(mpm: Mpm) {
    let names = ["first.html", "second.html", "third.html"];
    let mut server = Httpd::on(mpm).with("QS_SrvMaxConnClose 2");
    for name in names {
        server = server.file(name, vec![b'x']);
    }
    let httpd = server.start();
    let mut first = httpd.client("127.0.0.31").connect();
    assert!(!first.get("/first.html").served().closes());
    let mut second = httpd.client("127.0.0.32").connect();
    assert!(!second.get("/second.html").served().closes());
    let mut third = httpd.client("127.0.0.33").connect();
    assert!(third.get("/third.html").served().closes());
    assert_eq!(httpd.wait_for_access("/second.html", 1)[0].letters(), "");
    assert_eq!(httpd.wait_for_access("/third.html", 1)[0].letters(), "K;");
    third.watch_until_closed().assert_refused();
}

fn the_close_limit_looks_at_the_count_of_now(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnClose 2").start();
    let mut held = hold(&httpd, &["127.0.0.31", "127.0.0.32"]);
    let _third = httpd.client("127.0.0.33").connect();
    wait_until("the third is counted", PATIENCE, || {
        let response = held[0].get("/index.html");
        match response {
            Outcome::Served(response) => response.closes(),
            _ => panic!("{response:?}"),
        }
    });
}

fn the_close_limit_may_be_a_percentage_of_all_workers(mpm: Mpm) {
    // 32 workers, so 10% are 3.2; then 3.
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnClose 10%").start();
    let mut held = hold(&httpd, &["127.0.0.31", "127.0.0.32", "127.0.0.33"]);
    assert!(!held[2].get("/index.html").served().closes());
    let mut fourth = httpd.client("127.0.0.34").connect();
    assert!(fourth.get("/index.html").served().closes());
}

fn max_clients_replaces_the_number_of_workers(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_MaxClients 4\nQS_SrvMaxConnClose 50%").start();
    let lines = httpd.wait_for_events(7, 1);
    assert_eq!(
        lines[0].text,
        "calculated MaxClients/MaxRequestWorkers (max connections): 32, applied limit: 4"
    );
    assert_eq!(lines[0].level, "notice");
    let mut held = hold(&httpd, &["127.0.0.31", "127.0.0.32"]);
    assert!(!held[1].get("/index.html").served().closes());
    assert!(httpd.client("127.0.0.33").connect().get("/index.html").served().closes());
}

fn log_only_does_not_end_keep_alive(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnClose 1\nQS_LogOnly on").start();
    let _held = hold(&httpd, &["127.0.0.31"]);
    let mut second = httpd.client("127.0.0.32").connect();
    assert!(!second.get("/index.html").served().closes());
    assert!(!second.get("/index.html").served().closes());
}

// ---- variables

fn the_variables_tell_the_counts_at_the_connections_start(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 20").start();
    let mut first = httpd.client("127.0.0.41").connect();
    let counts = |response: &Response| {
        (response.count("QS_AllConn"), response.count("QS_SrvConn"), response.count("QS_IPConn"))
    };
    assert_eq!(counts(&first.get("/").served()), (1, 1, 1));
    let mut second = httpd.client("127.0.0.41").connect();
    assert_eq!(counts(&second.get("/").served()), (2, 2, 2));
    let mut third = httpd.client("127.0.0.42").connect();
    assert_eq!(counts(&third.get("/").served()), (3, 3, 1));
    assert_eq!(counts(&first.get("/").served()), (1, 1, 1), "they never change");
}

fn all_and_server_counts_are_told_without_any_directive(mpm: Mpm) {
    let httpd = Httpd::on(mpm).start();
    let _held = hold(&httpd, &["127.0.0.41"]);
    let response = httpd.client("127.0.0.42").get("/").served();
    assert_eq!(response.count("QS_AllConn"), 2);
    assert_eq!(response.count("QS_SrvConn"), 2);
    assert_eq!(response.var("QS_IPConn"), None, "only with QS_SrvMaxConnPerIP");
}

fn the_connection_id_is_that_of_the_connection(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 20").start();
    let mut first = httpd.client("127.0.0.41").connect();
    let mut second = httpd.client("127.0.0.41").connect();
    let id = |connection: &mut Connection| {
        let response = connection.get("/").served();
        response.var("QS_ConnectionId").expect("it is always set").to_owned()
    };
    let (one, two) = (id(&mut first), id(&mut second));
    assert_ne!(one, two);
    assert_eq!(id(&mut first), one);
    assert_eq!(id(&mut second), two);
    // Microseconds since 1970, two digits, a process id of at least five.
    assert!(one.len() >= 23 && one.bytes().all(|byte| byte.is_ascii_digit()), "{one}");
}

// ---- virtual hosts

fn a_virtual_host_with_an_own_limit_has_an_own_counter(mpm: Mpm) {
    // model.md, section 3: one connection to the base, one to a host without directives, one to a
    // host with another rule, two to the host with a limit of its own.
    let httpd = Httpd::on(mpm)
        .ports(4)
        .with("QS_SrvMaxConnPerIP 50")
        .with("<VirtualHost *:@PORT1@>\nServerName plain\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName ruled\nQS_ErrorPage /e.html\n</VirtualHost>")
        .with("<VirtualHost *:@PORT3@>\nServerName owner\nQS_SrvMaxConn 3\n</VirtualHost>")
        .start();
    httpd.expect(30);
    let held: Vec<Connection> = [0, 1, 2, 3, 3]
        .iter()
        .map(|port| httpd.client_of_port(*port, "127.0.0.51").hold())
        .collect();
    let response = httpd.client("127.0.0.51").get("/").served();
    assert_eq!(response.count("QS_AllConn"), 6);
    assert_eq!(response.count("QS_SrvConn"), 4, "base, plain, ruled, and this one");
    assert_eq!(response.count("QS_IPConn"), 4);
    wait_until("the last one is gone", PATIENCE, || {
        httpd.client_of_port(1, "127.0.0.52").get("/").served().count("QS_AllConn") == 6
    });
    let mut owners = httpd.client_of_port(3, "127.0.0.51").connect();
    let response = owners.get("/").served();
    assert_eq!(response.count("QS_SrvConn"), 3);
    httpd.client_of_port(3, "127.0.0.52").get("/").assert_refused();
    assert_lines(
        &httpd.wait_for_events(30, 1),
        &["access denied, QS_SrvMaxConn rule: max=3, concurrent connections=4, c=127.0.0.52"],
    );
    drop(held);
}

fn a_virtual_host_with_another_rule_has_an_own_counter_when_the_base_limits_nothing(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(3)
        .with("<VirtualHost *:@PORT1@>\nServerName plain\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nServerName ruled\nQS_ErrorPage /e.html\n</VirtualHost>")
        .start();
    let _held: Vec<Connection> =
        [0, 1, 2].iter().map(|port| httpd.client_of_port(*port, "127.0.0.51").hold()).collect();
    let plain = httpd.client_of_port(1, "127.0.0.52").get("/").served();
    assert_eq!((plain.count("QS_AllConn"), plain.count("QS_SrvConn")), (4, 3));
    wait_until("the ruled host counts itself", PATIENCE, || {
        let ruled = httpd.client_of_port(2, "127.0.0.52").get("/").served();
        (ruled.count("QS_AllConn"), ruled.count("QS_SrvConn")) == (4, 2)
    });
}

fn a_virtual_host_takes_the_values_that_it_does_not_set(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .ports(2)
        .with("QS_SrvMaxConn 3\nQS_SrvMaxConnExcludeIP 127.0.2.7")
        .with(
            "<VirtualHost *:@PORT1@>\nServerName own\nQS_SrvMaxConnPerIP 1\n\
             QS_SrvMaxConnExcludeIP 127.0.2.8\n</VirtualHost>",
        )
        .start();
    httpd.expect(30).expect(31);
    let own = |source: &str| httpd.client_of_port(1, source);
    let _held: Vec<Connection> =
        ["127.0.0.51", "127.0.0.52", "127.0.0.53"].iter().map(|from| own(from).hold()).collect();
    own("127.0.0.54").get("/").assert_refused();
    assert_lines(
        &httpd.wait_for_events(30, 1),
        &["access denied, QS_SrvMaxConn rule: max=3, concurrent connections=4, c=127.0.0.54"],
    );
    for exempt in ["127.0.2.7", "127.0.2.8"] {
        assert_eq!(own(exempt).get("/").status(), Some(200), "the lists add up: {exempt}");
    }
    assert_eq!(httpd.client("127.0.0.51").get("/").served().count("QS_SrvConn"), 1);
}

fn limits_of_a_second_host_on_the_same_port_do_not_act_on_connections(mpm: Mpm) {
    let httpd = Httpd::on(mpm)
        .with("<VirtualHost *:@PORT@>\nServerName first\n</VirtualHost>")
        .with("<VirtualHost *:@PORT@>\nServerName second\nQS_SrvMaxConn 1\nQS_SrvMaxConnPerIP 1\n")
        .with("</VirtualHost>")
        .start();
    let mut held = many(&httpd, "127.0.0.51", 4);
    for connection in &mut held {
        let response = connection.get_with("/", "Host: second\r\n");
        // Two Host headers are a bad request; the name must come from the request line.
        assert_eq!(response.status(), Some(400));
    }
    let mut named = many(&httpd, "127.0.0.52", 2);
    for connection in &mut named {
        connection.send(b"GET http://second/ HTTP/1.1\r\nHost: second\r\n\r\n").expect("open");
        assert_eq!(connection.response().served().status, 200);
    }
}

// ---- IPv6

const ONE: &str = "2001:db8:0:1::1";
const NEIGHBOUR: &str = "2001:db8:0:1:ffff::2";
const THIRD: &str = "2001:db8:0:1::3";
const STRANGER: &str = "2001:db8:0:2::1";

fn ipv6_addresses_are_counted_by_their_64_bit_network(mpm: Mpm) {
    Namespace::run(&[ONE, NEIGHBOUR, THIRD, STRANGER], || {
        let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 2").start();
        httpd.expect(31);
        let mut held = hold(&httpd, &[ONE, NEIGHBOUR]);
        assert_eq!(held[1].get("/").served().count("QS_IPConn"), 2);
        httpd.client(THIRD).get("/").assert_refused();
        assert_eq!(httpd.client(STRANGER).get("/").served().count("QS_IPConn"), 1);
        assert_lines(
            &httpd.wait_for_events(31, 1),
            &["access denied, QS_SrvMaxConnPerIP rule: max=2, concurrent connections=3, \
               net=2001:db8:0:1::/64, c=2001:db8:0:1::3"],
        );
    });
}

fn ipv6_addresses_are_counted_whole_with_a_prefix_of_128(mpm: Mpm) {
    Namespace::run(&[ONE, THIRD], || {
        let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 1\nQS_ClientIPv6Prefix 128").start();
        httpd.expect(31);
        let _held = hold(&httpd, &[ONE, THIRD]);
        httpd.client(THIRD).get("/").assert_refused();
        assert_lines(
            &httpd.wait_for_events(31, 1),
            &["access denied, QS_SrvMaxConnPerIP rule: max=1, concurrent connections=2, \
               c=2001:db8:0:1::3"],
        );
    });
}

fn ipv6_addresses_are_counted_by_a_shorter_prefix(mpm: Mpm) {
    Namespace::run(&[ONE, STRANGER, "2001:db8:1::1"], || {
        let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 1\nQS_ClientIPv6Prefix 48").start();
        httpd.expect(31);
        let _held = hold(&httpd, &[ONE, "2001:db8:1::1"]);
        httpd.client(STRANGER).get("/").assert_refused();
        assert_lines(
            &httpd.wait_for_events(31, 1),
            &["access denied, QS_SrvMaxConnPerIP rule: max=1, concurrent connections=2, \
               net=2001:db8::/48, c=2001:db8:0:2::1"],
        );
    });
}

fn exempt_lists_look_at_the_whole_ipv6_address(mpm: Mpm) {
    Namespace::run(&[ONE, THIRD, NEIGHBOUR, STRANGER, "2001:db8:5::1"], || {
        let httpd = Httpd::on(mpm)
            .with("QS_SrvMaxConn 1\nQS_SrvMaxConnExcludeIP 2001:db8:0:1::3")
            .with("QS_SrvMaxConnExcludeIP 2001:db8:0:2:\nQS_SrvMaxConnExcludeIP 2001:db8:5::/48")
            .start();
        httpd.expect(30);
        let _held = hold(&httpd, &[ONE]);
        for exempt in [THIRD, STRANGER, "2001:db8:5::1"] {
            assert_eq!(httpd.client(exempt).get("/").status(), Some(200), "{exempt}");
        }
        httpd.client(NEIGHBOUR).get("/").assert_refused();
        let lines = httpd.wait_for_events(30, 1);
        assert!(lines[0].text.ends_with("c=2001:db8:0:1:ffff::2"), "{:?}", lines[0]);
    });
}

fn ipv6_is_counted_even_when_its_support_is_switched_off(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SupportIPv6 off\nQS_SrvMaxConnPerIP 1").start();
    httpd.expect(31);
    if !httpd.has_ipv6() {
        println!("skipped: no IPv6 loopback here");
        return;
    }
    let _held = hold(&httpd, &["::1"]);
    httpd.client("::1").get("/").assert_refused();
}

fn connections_that_come_and_go_leave_the_counts_at_zero(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 50").start();
    for round in 0..40 {
        let client = httpd.client(&format!("127.0.5.{}", round % 8 + 1));
        match round % 4 {
            0 => drop(client.get("/").served()),
            1 => client.hold().abort(),
            2 => drop(client.connect()),
            _ => {
                let mut half = client.connect();
                let _ = half.send(b"GET /index");
            }
        }
    }
    wait_until("a lone client is alone", Duration::from_secs(10), || {
        let response = httpd.client("127.0.5.1").get("/").served();
        response.count("QS_AllConn") == 1 && response.count("QS_IPConn") == 1
    });
}

on_each_mpm!(
    one_connection_above_the_servers_limit_is_refused,
    a_silent_connection_above_the_limit_is_closed_at_once,
    a_place_that_becomes_free_is_given_to_the_next,
    half_a_request_takes_a_place,
    log_only_lets_a_connection_above_the_servers_limit_pass,
    mod_qos_con_is_logged_where_the_server_has_a_limit,
    forced_close_on_and_off_refuse_alike,
    an_exempt_address_is_served_above_the_limits,
    an_exempt_network_is_served_above_the_limit,
    requests_of_an_exempt_address_are_marked_as_vip,
    the_limit_per_address_can_ignore_exemption,
    one_connection_above_the_limit_of_an_address_is_refused,
    the_limit_of_an_address_waits_for_the_threshold_of_the_server,
    log_only_lets_a_connection_above_the_limit_of_an_address_pass,
    repeated_refusals_of_an_address_are_folded,
    addresses_do_not_share_a_count,
    keep_alive_ends_above_the_close_limit,
    the_close_limit_looks_at_the_count_of_now,
    the_close_limit_may_be_a_percentage_of_all_workers,
    max_clients_replaces_the_number_of_workers,
    log_only_does_not_end_keep_alive,
    the_variables_tell_the_counts_at_the_connections_start,
    all_and_server_counts_are_told_without_any_directive,
    the_connection_id_is_that_of_the_connection,
    a_virtual_host_with_an_own_limit_has_an_own_counter,
    a_virtual_host_with_another_rule_has_an_own_counter_when_the_base_limits_nothing,
    a_virtual_host_takes_the_values_that_it_does_not_set,
    limits_of_a_second_host_on_the_same_port_do_not_act_on_connections,
    ipv6_addresses_are_counted_by_their_64_bit_network,
    ipv6_addresses_are_counted_whole_with_a_prefix_of_128,
    ipv6_addresses_are_counted_by_a_shorter_prefix,
    exempt_lists_look_at_the_whole_ipv6_address,
    ipv6_is_counted_even_when_its_support_is_switched_off,
    connections_that_come_and_go_leave_the_counts_at_zero,
);
