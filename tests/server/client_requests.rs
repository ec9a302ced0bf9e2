//! Requests of one client at once (QS_ClientEventRequestLimit), one after the other (QS_ClientSerialize,
//! QS_SrvSerialize) and not too fast (QS_ClientEventPerSecLimit); and what waiting requests may cost.

use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::harness::{
    Builder, Client, Gate, Http2Connection, Httpd, Mpm, Outcome, PATIENCE, RECOVERY, wait_until,
};

/// Requests for /gate.. last until the gate lets them through; those for /gate/one are counted at
/// once, those for /gate/turn.. wait for the client's turn, those for /gate/srv.. for the server's.
fn server(mpm: Mpm, gate: &Gate, directives: &str) -> Builder {
    Httpd::on(mpm).modules(&["proxy", "proxy_http"]).with(directives).with(&format!(
        "ProxyPass /gate http://127.0.0.1:{}\n\
         SetEnvIf Request_URI ^/gate/one QS_EventRequest\n\
         SetEnvIf Request_URI ^/gate/turn QS_Serialize\n\
         SetEnvIf Request_URI ^/gate/srv QS_SrvSerialize\n\
         SetEnvIf Request_URI ^/quick QS_EventRequest",
        gate.port
    ))
}

/// A request that may take long.
fn begin(client: &Client, path: &str) -> JoinHandle<Outcome> {
    begin_with(client, path, "")
}

fn begin_with(client: &Client, path: &str, header: &str) -> JoinHandle<Outcome> {
    let (client, path, header) = (*client, path.to_owned(), header.to_owned());
    spawn(move || {
        let header = format!("{header}Connection: close\r\n");
        client.connect().get_with(&path, &header)
    })
}

#[track_caller]
fn end(request: JoinHandle<Outcome>) -> Option<u16> {
    request.join().expect("a client does not panic").status()
}

// ---- at once

fn so_many_requests_at_once_and_no_more(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm, &gate, "QS_ClientEventRequestLimit 2").start();
    httpd.expect(65);
    let client = httpd.client("127.0.0.131");
    let held = [begin(&client, "/gate/one"), begin(&client, "/gate/one")];
    gate.wait_for(2);
    assert_eq!(client.get("/gate/one").status(), Some(500));
    assert_eq!(client.get("/").status(), Some(200), "other requests of the same client");
    assert_eq!(httpd.client("127.0.0.132").get("/quick").status(), Some(404), "other clients");
    let line = &httpd.wait_for_events(65, 1)[0];
    let expected =
        "access denied, QS_ClientEventRequestLimit rule: max=2, current=3, c=127.0.0.131";
    assert_eq!((line.without_id(), line.level.as_str()), (expected, "error"));
    let denied = httpd.wait_for_access("/gate/one", 1);
    assert_eq!((denied[0].letters(), denied[0].notes()), ("D;", Some("065")));
    gate.open();
    assert_eq!(held.map(end), [Some(200), Some(200)]);
    wait_until("they are over", PATIENCE, || client.get("/quick").status() == Some(404));
}

fn a_header_says_whose_requests_they_are(mpm: Mpm) {
    let gate = Gate::start();
    let directives = "QS_ClientEventRequestLimit 1\nQS_ClientSerialize\nQS_ClientIpFromHeader X-F";
    let httpd = server(mpm, &gate, directives).start();
    httpd.expect(65).expect(69);
    let proxy = httpd.client("127.0.0.131");
    let held = begin_with(&proxy, "/gate/one", "X-F: 203.0.113.5\r\n");
    gate.wait_for(1);
    let denied = begin_with(&proxy, "/gate/one", "X-F: 203.0.113.5\r\n");
    assert_eq!(end(denied), Some(500));
    assert!(httpd.wait_for_events(65, 1)[0].without_id().ends_with(", c=203.0.113.5"));
    let other = begin_with(&proxy, "/gate/one", "X-F: 203.0.113.6\r\n");
    gate.wait_for(2);
    assert!(httpd.events(69).is_empty());
    let peer = begin(&proxy, "/gate/one");
    gate.wait_for(3);
    assert_eq!(httpd.wait_for_events(69, 1).len(), 1, "once for both rules");
    gate.open();
    assert_eq!([held, other, peer].map(end), [Some(200); 3]);
}

fn a_killed_child_gives_its_requests_back(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm, &gate, "QS_ClientEventRequestLimit 2").start();
    httpd.expect(65);
    let client = httpd.client("127.0.0.131");
    let held = [begin(&client, "/gate/one"), begin(&client, "/gate/one")];
    gate.wait_for(2);
    assert_eq!(client.get("/quick").status(), Some(500));
    for child in httpd.children() {
        httpd.kill_child(child);
    }
    for request in held {
        assert!(end(request).is_none_or(|status| status != 200));
    }
    let begin = Instant::now();
    wait_until("both units are back", PATIENCE, || {
        client.try_connect().is_ok_and(|mut c| c.get("/quick").status() == Some(404))
    });
    assert!(begin.elapsed() < RECOVERY + Duration::from_secs(2), "{:?}", begin.elapsed());
    gate.open();
}

// ---- one after the other

fn requests_of_one_client_take_turns_in_the_order_in_which_they_came(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm, &gate, "QS_ClientSerialize").start();
    let client = httpd.client("127.0.0.131");
    let other = httpd.client("127.0.0.132");
    let mut requests = vec![begin(&client, "/gate/turn/0")];
    gate.wait_for(1);
    for number in 1..4 {
        requests.push(begin(&client, &format!("/gate/turn/{number}")));
        // Each lies down before the next one comes.
        std::thread::sleep(Duration::from_millis(60));
    }
    let parallel = begin(&other, "/gate/turn/other");
    gate.wait_for(2);
    assert_eq!(gate.arrived(), ["/turn/0", "/turn/other"], "only others are served meanwhile");
    assert_eq!(client.get("/").status(), Some(200), "and requests that need no turn");
    for number in 3..=5 {
        gate.let_one_through();
        if number == 3 {
            gate.let_one_through();
        }
        gate.wait_for(number);
    }
    gate.open();
    assert!(requests.into_iter().all(|request| end(request) == Some(200)));
    assert_eq!(end(parallel), Some(200));
    assert_eq!(gate.arrived()[2..], ["/turn/1", "/turn/2", "/turn/3"]);
    assert_eq!(httpd.wait_for_access("/gate/turn/0", 1)[0].letters(), "");
    assert_eq!(httpd.wait_for_access("/gate/turn/3", 1)[0].letters(), "s;");
}

fn requests_of_all_clients_take_turns_and_wait_only_so_long(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm, &gate, "QS_SrvSerialize on 1").start();
    httpd.expect(68);
    let first = begin(&httpd.client("127.0.0.131"), "/gate/srv/0");
    gate.wait_for(1);
    let begun = Instant::now();
    let second = begin(&httpd.client("127.0.0.132"), "/gate/srv/1");
    gate.wait_for(2);
    assert!(begun.elapsed() > Duration::from_millis(800), "{:?}", begun.elapsed());
    let line = &httpd.wait_for_events(68, 1)[0];
    assert_eq!(line.without_id(), "QS_SrvSerialize exceeds limit of 1 seconds");
    assert_eq!((line.level.as_str(), line.text.contains(", id=")), ("warn", true));
    gate.open();
    assert_eq!([end(first), end(second)], [Some(200), Some(200)]);
    let late = &httpd.wait_for_access("/gate/srv/1", 1)[0];
    assert_eq!((late.letters(), late.notes()), ("s;", Some("068")));
    // The turn is free again: nobody waits.
    assert_eq!(httpd.client("127.0.0.133").get("/gate/srv/2").status(), Some(200));
    assert_eq!(httpd.wait_for_access("/gate/srv/2", 1)[0].letters(), "");
}

fn a_killed_owner_or_waiter_holds_nobody_up(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = server(mpm, &gate, "QS_ClientSerialize").start();
    let client = httpd.client("127.0.0.131");
    let owner = begin(&client, "/gate/turn/0");
    gate.wait_for(1);
    let waiter = begin(&client, "/gate/turn/1");
    std::thread::sleep(Duration::from_millis(100));
    for child in httpd.children() {
        httpd.kill_child(child);
    }
    assert!(end(owner).is_none_or(|status| status != 200));
    assert!(end(waiter).is_none_or(|status| status != 200));
    let begun = Instant::now();
    let mut next = None;
    wait_until("there is a new child", PATIENCE, || {
        next = client.try_connect().ok();
        next.as_mut().is_some_and(|c| c.get("/").status() == Some(200))
    });
    let after = begin(&client, "/gate/turn/2");
    gate.wait_for(2);
    assert!(begun.elapsed() < RECOVERY + Duration::from_secs(2), "{:?}", begun.elapsed());
    gate.open();
    assert_eq!(end(after), Some(200));
}

fn only_half_of_the_server_may_sleep(mpm: Mpm) {
    let gate = Gate::start();
    // Six workers: three places.
    let builder = server(mpm, &gate, "QS_ClientSerialize\nQS_SrvSerialize on");
    let httpd = builder.size(1, 6).start();
    httpd.expect(307);
    let attacker = httpd.client("127.0.0.131");
    let owner = begin(&attacker, "/gate/turn/0");
    gate.wait_for(1);
    let sleeping: Vec<_> = (0..3).map(|_| begin(&attacker, "/gate/turn/x")).collect();
    // The fourth is denied, once the others lie down.
    wait_until("one is denied", PATIENCE, || {
        sleeping.iter().all(|request| !request.is_finished()) && {
            std::thread::sleep(Duration::from_millis(100));
            attacker.get("/gate/turn/denied").status() == Some(500)
        }
    });
    let line = &httpd.wait_for_events(307, 1)[0];
    let expected =
        "access denied, QS_ClientSerialize rule: waiting requests, max=3, current=4, c=127.0.0.131";
    assert_eq!(line.without_id(), expected);
    let good = httpd.client("127.0.0.132");
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(good.get("/").status(), Some(200));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    gate.open();
    assert_eq!(end(owner), Some(200));
    assert!(sleeping.into_iter().all(|request| end(request) == Some(200)));
}

/// httpd keeps the end of a short answer back while there is another request to read, and logs it behind
/// that one: it must not wait for itself.
fn nobody_waits_for_an_earlier_request_of_the_same_connection(mpm: Mpm) {
    let directives = "QS_ClientSerialize\nQS_SrvSerialize on\n\
         SetEnvIf Request_URI ^/both QS_Serialize QS_SrvSerialize";
    let httpd = Httpd::on(mpm).with(directives).start();
    let begun = Instant::now();
    let mut connection = httpd.client("127.0.0.131").connect();
    let requests = "GET /both HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(4);
    connection.send(requests.as_bytes()).expect("it is taken");
    let lines = httpd.wait_for_access("/both", 4);
    assert!(lines.iter().all(|line| line.letters().is_empty()), "nobody has waited");
    assert_eq!(httpd.client("127.0.0.132").get("/both").status(), Some(404));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

fn log_only_sets_letters_and_nobody_waits(mpm: Mpm) {
    let gate = Gate::start();
    let directives = "QS_LogOnly on\nQS_ClientSerialize\nQS_ClientEventRequestLimit 0";
    let httpd = server(mpm, &gate, directives).start();
    httpd.expect(65);
    let client = httpd.client("127.0.0.131");
    let first = begin(&client, "/gate/turn/0");
    gate.wait_for(1);
    let second = begin(&client, "/gate/turn/1");
    gate.wait_for(2);
    gate.open();
    assert_eq!([end(first), end(second)], [Some(200), Some(200)]);
    assert_eq!(httpd.wait_for_access("/gate/turn/1", 1)[0].letters(), "s;");
    assert_eq!(client.get("/quick").status(), Some(404));
    let line = &httpd.wait_for_events(65, 1)[0];
    assert!(
        line.text.starts_with("access denied (log only), QS_ClientEventRequestLimit rule: max=0")
    );
}

on_each_mpm!(
    so_many_requests_at_once_and_no_more,
    a_header_says_whose_requests_they_are,
    a_killed_child_gives_its_requests_back,
    requests_of_one_client_take_turns_in_the_order_in_which_they_came,
    requests_of_all_clients_take_turns_and_wait_only_so_long,
    a_killed_owner_or_waiter_holds_nobody_up,
    only_half_of_the_server_may_sleep,
    nobody_waits_for_an_earlier_request_of_the_same_connection,
    log_only_sets_letters_and_nobody_waits,
);

// ---- once is enough

/// Intervals of ten seconds make this one long, so it runs on one MPM: the same code on all.
#[test]
fn who_is_too_fast_is_slowed_down_and_let_go_again() {
    let directives = "QS_ClientEventPerSecLimit 2\nSetEnvIf Request_URI ^/evt QS_Event";
    let httpd = Httpd::on(Mpm::Event).with(directives).start();
    httpd.expect(61);
    let client = httpd.client("127.0.0.131");
    let mut connection = client.connect();
    let begun = Instant::now();
    while httpd.events(61).is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(connection.get("/evt").status(), Some(404));
        std::thread::sleep(Duration::from_millis(90));
    }
    let elapsed = begun.elapsed();
    assert!(elapsed > Duration::from_secs(9) && elapsed < Duration::from_secs(13), "{elapsed:?}");
    let line = &httpd.events(61)[0];
    assert!(
        line.text.starts_with("request rate limit, rule: QS_Event(2), req/sec="),
        "{}",
        line.text
    );
    assert!(line.text.ends_with("ms") && line.level == "warn", "{}", line.raw);
    let begun = Instant::now();
    assert_eq!(connection.get("/evt").status(), Some(404));
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(connection.get("/").status(), Some(200), "no event");
    assert_eq!(httpd.client("127.0.0.132").get("/evt").status(), Some(404), "no offender");
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    assert!(httpd.wait_for_access("/evt", 10).iter().any(|line| line.letters() == "L;"));
}

/// Streams wait on threads of mod_http2; their turn comes back when the answer is handed over.
fn streams_take_turns(mpm: Mpm) {
    let gate = Gate::start();
    gate.open();
    let directives = "QS_ClientSerialize\nQS_SrvSerialize on\nProtocols h2c http/1.1\nH2Direct on";
    let httpd = server(mpm, &gate, directives).modules(&["http2"]).start();
    let client = httpd.client("127.0.0.131");
    let begun = Instant::now();
    let mut connection = Http2Connection::open(&client);
    let paths = ["/gate/turn/1", "/gate/turn/2", "/gate/srv/3", "/gate/srv/4", "/gate/turn/5"];
    assert_eq!(connection.get(&paths), [Some(200); 5]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // The connection is still open, and its last stream perhaps not logged yet.
    assert_eq!(client.get("/gate/turn/6").status(), Some(200));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// All streams of a connection are its client's requests.
fn streams_count_at_once(mpm: Mpm) {
    let gate = Gate::start();
    let directives = "QS_ClientEventRequestLimit 2\nProtocols h2c http/1.1\nH2Direct on";
    let httpd = server(mpm, &gate, directives).modules(&["http2"]).start();
    httpd.expect(65);
    let client = httpd.client("127.0.0.131");
    let streams = spawn(move || {
        let mut answers = Http2Connection::open(&client).get(&["/gate/one"; 4]);
        answers.sort_unstable();
        answers
    });
    gate.wait_for(2);
    httpd.wait_for_events(65, 2);
    gate.open();
    let answers = streams.join().expect("a client does not panic");
    assert_eq!(answers, [Some(200), Some(200), Some(500), Some(500)]);
    wait_until("they are over", PATIENCE, || client.get("/quick").status() == Some(404));
}

mod streams {
    on_threaded_mpms!(streams_take_turns_test, streams_count_at_once_test);
    fn streams_take_turns_test(mpm: crate::harness::Mpm) {
        super::streams_take_turns(mpm);
    }
    fn streams_count_at_once_test(mpm: crate::harness::Mpm) {
        super::streams_count_at_once(mpm);
    }
}
