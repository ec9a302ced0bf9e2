//! The console: an administrator looks at clients, blocks and frees them, and takes the list of those who
//! are blocked from one server to another.

use std::time::Duration;

use crate::harness::{
    Builder, Client, Httpd, Mpm, Outcome, PATIENCE, Response, on_both_modules, wait_until,
};

const CONSOLE: &str = "<Location /console>\nSetHandler qos-console\n</Location>";

const RULES: &str = "QS_ClientEventBlockCount 3 60\nQS_ClientEventLimitCount 3 60\n\
                     QS_ClientEventLimitCount 5 100 EVT";

/// What the console answers, action by action (status-and-console.md 3).
const EXAMPLES: &[(&str, &str)] = &[
    ("action=search&address=1.2.3.4", "not available"),
    ("action=block&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=1003/60 limit=0/0"),
    ("action=unblock&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
    ("action=limit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=1003/60"),
    ("action=unlimit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
    ("action=inclimit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=1/60"),
    ("action=inclimit&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=2/60"),
    (
        "action=limit&address=1.2.3.4&event=EVT",
        "1.2.3.4 vip=no lowprio=no block=0/0 limit=1005/100",
    ),
    ("action=limit&address=1.2.3.4&event=nobody", "1.2.3.4 vip=no lowprio=no block=0/0 limit=0/0"),
    (
        "action=SetVip&address=2001%3Adb8%3A%3A2",
        "2001:db8::2 vip=yes lowprio=no block=0/0 limit=0/0",
    ),
    ("action=unsetvip&address=2001:DB8::2", "2001:DB8::2 vip=no lowprio=no block=0/0 limit=0/0"),
    ("action=setlowprio&address=1.2.3.4", "1.2.3.4 vip=no lowprio=yes block=0/0 limit=2/60"),
    ("action=unsetlowprio&address=1.2.3.4", "1.2.3.4 vip=no lowprio=no block=0/0 limit=2/60"),
];

/// What the console does not take, and what it says of it in the log.
const REFUSED: &[(&str, &str)] = &[
    ("action=foo&address=1.2.3.4", "unknown action 'foo'"),
    ("address=1.2.3.4", "missing request query (action/address)"),
    ("action=block", "missing request query (action/address)"),
    ("action=block&address=*", "invalid ip/wrong format"),
];

fn server(mpm: Mpm, rules: &str) -> Builder {
    Httpd::on(mpm).with(CONSOLE).with(rules)
}

fn ask(httpd: &Httpd, query: &str) -> Response {
    httpd.newcomer().get(&format!("/console?{query}")).served()
}

/// What a good action answers.
#[track_caller]
fn get(httpd: &Httpd, query: &str) -> String {
    let response = ask(httpd, query);
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    response.text()
}

/// A request of any kind, from somebody new.
fn send(httpd: &Httpd, line: &str, headers: &str, body: &[u8]) -> Outcome {
    send_to(&httpd.newcomer(), line, headers, body)
}

fn send_to(client: &Client, line: &str, headers: &str, body: &[u8]) -> Outcome {
    let mut connection = client.connect();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: www.example.com\r\n{headers}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    let _ = connection.send(&[head.as_bytes(), body].concat());
    connection.response()
}

fn load(httpd: &Httpd, list: &str) -> Response {
    send(httpd, "POST /console?action=load", "", list.as_bytes()).served()
}

#[track_caller]
fn assert_not_available(httpd: &Httpd, address: &str) {
    assert_eq!(get(httpd, &format!("action=search&address={address}")), "not available\n");
}

// ---- what it says

fn every_action_says_what_is_known_of_the_client(mpm: Mpm) {
    let httpd = server(mpm, RULES).start();
    for (query, line) in EXAMPLES {
        let response = ask(&httpd, query);
        assert_eq!((response.status, response.text()), (200, format!("{line}\n")), "{query}");
        assert_eq!(response.header("Content-Type"), Some("text/plain"));
        assert_eq!(response.header("Cache-Control"), Some("no-cache"));
        assert_eq!(response.var("QS_ErrorNotes"), Some("071"));
    }
    let told = httpd.wait_for_events(71, EXAMPLES.len() + 2);
    let texts: Vec<_> = told.iter().map(|line| (line.level.as_str(), line.without_id())).collect();
    for text in [
        "console, action 'search' applied to client ip entry '1.2.3.4'",
        "console, action 'SetVip' applied to client ip entry '2001:db8::2'",
        "console, action 'unsetlowprio' applied to client ip entry '1.2.3.4'",
    ] {
        assert!(texts.contains(&("info", text)), "{text}: {texts:#?}");
    }
    let added = told.iter().filter(|line| line.text.contains("add new client ip entry"));
    let added: Vec<_> = added.map(|line| line.text.split(", is=").next()).collect();
    let of = |address| format!("console, add new client ip entry '{address}'");
    assert_eq!(added, [Some(of("1.2.3.4").as_str()), Some(of("2001:db8::2").as_str())]);

    httpd.expect(70);
    for (place, (query, text)) in REFUSED.iter().enumerate() {
        let response = ask(&httpd, query);
        assert_eq!((response.status, response.var("QS_ErrorNotes")), (406, Some("070")), "{query}");
        let lines = httpd.wait_for_events(70, place + 1);
        let line = lines.last().expect("a line");
        assert_eq!(line.without_id(), format!("console, not acceptable, {text}"));
        assert_eq!(line.level, "error");
    }
}

fn all_clients_are_listed(mpm: Mpm) {
    let httpd = server(mpm, RULES).start();
    get(&httpd, "action=block&address=1.2.3.4");
    get(&httpd, "action=setvip&address=2001:db8::5");
    let list = get(&httpd, "action=search&address=*");
    let lines: Vec<&str> = list.lines().collect();
    let line = |text: &str| lines.iter().find(|line| line.contains(text)).expect(text);
    let words: Vec<&str> = line(" 1.2.3.4 ").split(' ').collect();
    assert_eq!(words[2..6], ["vip=no", "lowprio=no", "block=1003/60", "limit=0/0"]);
    assert!(words[0].len() == 10 && words[0].bytes().all(|digit| digit.is_ascii_digit()));
    let seen: u64 = words[6].parse().expect("seconds since 1970");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now");
    assert!(now.as_secs().abs_diff(seen) < 5, "{seen}");
    assert!(line(" 2001:db8::/64 ").contains(" vip=yes "));
    assert!(lines.is_sorted(), "{list}");
}

/// The C module, given the same, says the same.
#[test]
fn the_c_module_says_the_same() {
    let server = server(Mpm::Worker, RULES);
    on_both_modules(&server, |httpd| {
        httpd.expect(70);
        let queries = EXAMPLES.iter().chain(REFUSED).map(|(query, _)| *query);
        let answers = queries.map(|query| {
            let response = ask(httpd, query);
            let text = if response.status == 200 { response.text() } else { String::new() };
            (response.status, text, response.var("QS_ErrorNotes").map(str::to_owned))
        });
        answers.collect::<Vec<_>>()
    });
}

// ---- what it does

fn a_client_is_refused_at_once_and_served_again(mpm: Mpm) {
    let httpd = server(mpm, RULES).start();
    httpd.expect(60).expect(67);
    let client = httpd.client("127.0.0.61");
    let mut open = client.hold();
    get(&httpd, "action=block&address=127.0.0.61");
    client.get("/").assert_refused();
    client.connect().watch_until_closed().assert_refused();
    assert_eq!(open.get("/index.html").status(), Some(500));
    assert_eq!(httpd.client("127.0.0.62").get("/").status(), Some(200), "others are served");
    let why = get(&httpd, "action=why&address=127.0.0.61");
    assert!(
        why.starts_with("127.0.0.61 rule=QS_ClientEventBlockCount count=1003/3 remaining="),
        "{why}"
    );
    httpd.reload();
    client.get("/").assert_refused();

    get(&httpd, "action=unblock&address=127.0.0.61");
    assert_eq!(client.get("/").status(), Some(200));
    assert_eq!(get(&httpd, "action=why&address=127.0.0.61"), "127.0.0.61 rule=none\n");
    get(&httpd, "action=limit&event=evt&address=127.0.0.61");
    assert_eq!(client.get("/").status(), Some(500), "connected, but denied");
    get(&httpd, "action=unlimit&event=evt&address=127.0.0.61");
    assert_eq!(client.get("/").status(), Some(200));
    get(&httpd, "action=setvip&address=127.0.0.61");
    assert_eq!(client.get("/").served().var("QS_IsVipRequest"), Some("yes"));
}

fn the_blocks_of_one_server_are_restored_on_another(mpm: Mpm) {
    let first = server(mpm, RULES).start();
    let list = {
        get(&first, "action=block&address=127.0.0.61");
        get(&first, "action=block&address=2001:db8:1:2::3");
        get(&first, "action=block&address=::1");
        get(&first, "action=inclimit&address=127.0.0.62");
        get(&first, "action=block&address=127.77.7.0/24");
        get(&first, "action=dump")
    };
    let mut lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.remove(0), "# mod_qos block list 1");
    lines.sort_unstable();
    let addresses: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(addresses, ["127.0.0.61", "127.77.7.0/24", "2001:db8:1:2::/64", "::/64"]);
    let has_ipv6 = first.has_ipv6();
    drop(first);

    // Blocks last longer here, and take more events: each ends when it would have ended.
    let second = server(mpm, "QS_ClientEventBlockCount 5000 600").start();
    second.expect(60);
    assert_eq!(second.client("127.0.0.61").get("/").status(), Some(200));
    let response = load(&second, &list);
    assert_eq!((response.status, response.text()), (200, "loaded=4 ignored=0\n".to_owned()));
    second.client("127.0.0.61").get("/").assert_refused();
    second.client("127.77.7.200").get("/").assert_refused();
    assert_eq!(second.client("127.77.8.200").get("/").status(), Some(200));
    assert_eq!(second.client("127.0.0.62").get("/").status(), Some(200));
    if has_ipv6 {
        second.client("::1").get("/").assert_refused();
    }
    for address in ["127.0.0.61", "2001:db8:1:2:ffff::1"] {
        let why = get(&second, &format!("action=why&address={address}"));
        let left = why.split("remaining=").nth(1).and_then(|rest| rest.split(' ').next());
        let left: u32 = left.expect("a time").parse().expect("seconds");
        assert!((50..=60).contains(&left), "{why}");
    }
    second.wait_for_text(0, "console, action 'load' applied to 4 client ip entries");
    // One that ends sooner changes nothing, one that is over is left out.
    let again = load(&second, "# mod_qos block list 1\n127.0.0.61 5 1\n127.0.0.63 0 9999\n");
    assert_eq!(again.text(), "loaded=1 ignored=1\n");
    second.client("127.0.0.61").get("/").assert_refused();
    assert_eq!(second.client("127.0.0.63").get("/").status(), Some(200));
    let short = load(&second, "# mod_qos block list 1\n127.0.0.64 2 1\n");
    assert_eq!(short.text(), "loaded=1 ignored=0\n");
    second.client("127.0.0.64").get("/").assert_refused();
    wait_until("two seconds are over", PATIENCE, || {
        second.client("127.0.0.64").get("/").status() == Some(200)
    });
    // Networks and clients are let in again.
    get(&second, "action=unblock&address=127.77.7.0/24");
    assert_eq!(second.client("127.77.7.200").get("/").status(), Some(200));
    let cleared = send(&second, "POST /console?action=clear", "", b"").served().text();
    assert_eq!(cleared, "cleared=3\n");
    assert_eq!(second.client("127.0.0.61").get("/").status(), Some(200));
    assert_eq!(get(&second, "action=dump"), "# mod_qos block list 1\n");
}

// ---- who may

fn another_site_and_other_methods_change_nothing(mpm: Mpm) {
    let httpd = server(mpm, RULES)
        .ports(3)
        .with("QS_ConsoleRequirePost on")
        .with("<VirtualHost *:@PORT1@>\nQS_ConsoleRequirePost off\n</VirtualHost>")
        .with("<VirtualHost *:@PORT2@>\nQS_DisableHandler on\n</VirtualHost>")
        .start();
    httpd.expect(309).expect(72);
    let block = "/console?action=block&address=127.0.0.61";
    let own = "Origin: https://www.example.com\r\nReferer: https://www.example.com/qos\r\n";
    let mut refused = 0;
    let mut refuse = |client: &Client, line: &str, headers: &str, text: &str| {
        let response = send_to(client, line, headers, b"").served();
        refused += 1;
        assert_eq!(
            (response.status, response.var("QS_ErrorNotes")),
            (403, Some("309")),
            "{headers}"
        );
        let lines = httpd.wait_for_events(309, refused);
        let line = lines.last().expect("a line");
        assert_eq!(line.without_id(), format!("console, refused, {text}"));
        assert_eq!(line.level, "error");
    };
    let here = httpd.newcomer();
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example.com\r\n",
        "Origin: null\r\n",
        "Referer: https://evil.example.com/www.example.com\r\n",
    ] {
        refuse(&here, &format!("POST {block}"), headers, "comes from another site");
    }
    refuse(&here, "POST /console?action=load", "Origin: http://x\r\n", "comes from another site");
    let requires = "POST required";
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND", "X"] {
        refuse(&here, &format!("{method} {block}"), own, requires);
    }
    let lenient = httpd.client_of_port(1, "127.0.0.71");
    refuse(&lenient, "GET /console?action=load", "", requires);
    refuse(
        &lenient,
        &format!("GET {block}"),
        "Sec-Fetch-Site: cross-site\r\n",
        "comes from another site",
    );
    assert_not_available(&httpd, "127.0.0.61");

    let disabled = httpd.client_of_port(2, "127.0.0.72");
    assert_eq!(send_to(&disabled, &format!("POST {block}"), "", b"").status(), Some(404));
    httpd.wait_for_events(72, 1);
    assert_not_available(&httpd, "127.0.0.61");

    assert_eq!(send_to(&here, &format!("POST {block}"), own, b"").status(), Some(200));
    assert_eq!(lenient.get("/console?action=unblock&address=127.0.0.61").status(), Some(200));
}

// ---- who means harm

fn hostile_input_is_refused_and_changes_nothing(mpm: Mpm) {
    let httpd = server(mpm, RULES).with("LimitRequestLine 2200000").start();
    httpd.expect(70);
    let long = "1".repeat(1 << 20);
    for query in [
        "action=block&address=<script>alert(1)</script>".to_owned(),
        "action=<script>alert(1)</script>&address=1.2.3.4".to_owned(),
        "action=block%00&address=1.2.3.4".to_owned(),
        "action=block&address=1.2.3.4%00".to_owned(),
        "action=block&address=%".to_owned(),
        "action=%zz&address=%f".to_owned(),
        "action=%ff%fe&address=1.2.3.4".to_owned(),
        "action=block&address=1.2.3.4%0d%0aSet-Cookie:%20a=b".to_owned(),
        format!("action=block&address={long}"),
        format!("action={long}&address=1.2.3.4"),
        format!("{}action=block&address=1.2.3.4", "x=1&".repeat(1 << 18)),
        "&&&===&%".to_owned(),
    ] {
        let response = ask(&httpd, &query);
        assert_eq!(response.status, 406, "{query:.80}");
        assert!(response.header("Set-Cookie").is_none() && response.body.len() < 500);
        assert_eq!(response.header("Content-Type"), Some("text/plain"));
    }
    let head = "# mod_qos block list 1\n127.0.0.61 60 3\n";
    let bad = [
        b"".to_vec(),
        b"\0".repeat(1000),
        [head.as_bytes(), &b"x".repeat(1 << 20)].concat(),
        [head.as_bytes(), b"127.0.0.61 60 3 \0\n"].concat(),
        [head.as_bytes(), b"<b>127.0.0.61</b> 60 3\n"].concat(),
        [head.as_bytes(), &b"\n".repeat(1 << 20)].concat(),
        [head.as_bytes(), b"127.0.0.61 99999999999999999999 3\n"].concat(),
    ];
    for body in bad {
        let response = send(&httpd, "POST /console?action=load", "", &body).served();
        assert_eq!(response.status, 406, "{:.80}", String::from_utf8_lossy(&body));
    }
    httpd.wait_for_text(0, "console, not acceptable, bad line 3, id=");
    // A body that is announced and never comes.
    let mut connection = httpd.newcomer().connect();
    let announced = "POST /console?action=load HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    connection.send(format!("{announced}{head}").as_bytes()).expect("sent");
    connection.watch(Duration::from_millis(200));
    connection.abort();
    assert_eq!(httpd.client("127.0.0.61").get("/").status(), Some(200));
    assert_not_available(&httpd, "1.2.3.4");
}

fn a_list_is_bounded(mpm: Mpm) {
    let httpd = server(mpm, RULES).with("LimitRequestBody 0").start();
    httpd.expect(70);
    let mut connection = httpd.newcomer().connect();
    let head =
        "POST /console?action=load HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(head.as_bytes()).expect("sent");
    let line = b"192.0.2.1 60 3\n".repeat(70_000);
    let chunk = [format!("{:x}\r\n", line.len()).as_bytes(), &line, b"\r\n"].concat();
    let mut sent = 0;
    // The server may close while there is more to come.
    while sent < 80 << 20 && connection.send(&chunk).is_ok() {
        sent += line.len();
    }
    httpd.wait_for_text(0, "console, not acceptable, list larger than 67108864 octets");
    assert_not_available(&httpd, "192.0.2.1");
}

on_each_mpm!(
    every_action_says_what_is_known_of_the_client,
    all_clients_are_listed,
    a_client_is_refused_at_once_and_served_again,
    the_blocks_of_one_server_are_restored_on_another,
    another_site_and_other_methods_change_nothing,
    hostile_input_is_refused_and_changes_nothing,
    a_list_is_bounded,
);
