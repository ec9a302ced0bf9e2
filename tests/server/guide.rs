//! The DoS guide, chapter by chapter, with its own directives and smaller numbers: what each of them
//! stops, and that a good client beside the bad one is served.

use std::thread;
use std::time::Duration;

use crate::harness::{Builder, Client, Connection, Httpd, Mpm, Outcome, PATIENCE, wait_until};

/// The guide's own configuration, as it stands.
const GUIDE: &str = include_str!("../../apache-conf/examples/guide.conf");
const COUNTRIES: &[u8] = include_bytes!("GeoIPCountryWhois.csv");

fn server(mpm: Mpm, directives: &str) -> Builder {
    Httpd::on(mpm).with(directives)
}

fn hold(httpd: &Httpd, source: &str, count: usize) -> Vec<Connection> {
    (0..count).map(|_| httpd.client(source).hold()).collect()
}

fn is_served(client: &Client) -> bool {
    client.get("/index.html").status() == Some(200)
}

fn basic_settings(mpm: Mpm) {
    let httpd = server(
        mpm,
        "TimeOut 10\nKeepAlive on\nKeepAliveTimeout 5\nMaxKeepAliveRequests 30\nQS_SrvMaxConnClose 3",
    )
    .start();
    let mut early = httpd.client("127.0.0.91").connect();
    assert!(!early.get("/").served().closes(), "kept as long as there is room");
    let _others = hold(&httpd, "127.0.0.92", 3);
    assert!(early.get("/").served().closes(), "served, and then asked to go");
    assert!(is_served(&httpd.client("127.0.0.93")), "so that others find a place");
}

fn connections_per_ip(mpm: Mpm) {
    let httpd = server(mpm, "QS_SrvMaxConnPerIP 3 5").start();
    httpd.expect(31);
    let (bad, good) = (httpd.client("127.0.0.91"), httpd.client("127.0.0.92"));
    let _held = hold(&httpd, "127.0.0.91", 4);
    let _good = good.hold();
    bad.get("/").assert_refused();
    assert!(is_served(&good), "the limit is each address's own");
}

fn minimum_data_rate(mpm: Mpm) {
    let httpd = server(mpm, "QS_SrvMinDataRate 120 1500 2\nQS_SrvSampleRate 2")
        .modules(&["reqtimeout"])
        .with("RequestReadTimeout header=0 body=0")
        .start();
    httpd.expect(34);
    let good = httpd.client("127.0.0.90");
    let _good = good.hold();
    thread::scope(|scope| {
        for (source, head) in [
            ("127.0.0.91", "GET / HTTP/1.1\r\nHost: a\r\n"),
            ("127.0.0.92", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"),
        ] {
            let mut slow = httpd.client(source).connect();
            scope.spawn(move || {
                slow.send(head.as_bytes()).expect("the server reads");
                while slow.send(b"X-a: b\r\n").is_ok()
                    && matches!(slow.watch(Duration::from_millis(300)), Outcome::TimedOut)
                {
                }
            });
        }
        for _ in 0..5 {
            assert!(is_served(&good));
        }
    });
    // Both are closed, or the threads would not have ended.
    let lines = httpd.wait_for_events(34, 2);
    assert!(lines.iter().all(|line| line.text.contains("QS_SrvMinDataRate rule (in): min=")));
    assert!(is_served(&good));
}

fn repeat_offender(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_ClientEventBlockCount 3 300\n\
         QS_SetEnvIfStatus 400 QS_Block\nQS_SetEnvIfStatus 405 QS_Block\n\
         QS_SetEnvIfStatus 406 QS_Block\nQS_SetEnvIfStatus 408 QS_Block\n\
         QS_SetEnvIfStatus 413 QS_Block\nQS_SetEnvIfStatus 414 QS_Block\n\
         QS_SetEnvIfStatus 500 QS_Block\nQS_SetEnvIfStatus NullConnection QS_Block",
    )
    .start();
    httpd.expect(60);
    let good = httpd.client("127.0.0.90");
    // Requests without a host, ones that are too long, and connections without any.
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    let offences: [(&str, &[u8]); 3] = [
        ("127.0.0.91", b"GET / HTTP/1.1\r\n\r\n"),
        ("127.0.0.92", long.as_bytes()),
        ("127.0.0.93", b""),
    ];
    for (source, bytes) in offences {
        let bad = httpd.client(source);
        let offend = || {
            let mut connection = bad.connect();
            let _ = connection.send(bytes);
            if !bytes.is_empty() {
                let _ = connection.response();
            }
        };
        (0..3).for_each(|_| offend());
        wait_until("it is blocked", PATIENCE, || bad.get("/").is_refused());
        assert!(is_served(&good), "{source}");
    }
}

fn requests_per_ip(mpm: Mpm) {
    let httpd = server(
        mpm,
        "QS_ClientEventLimitCount 4 60 SlowRequest\n\
         SetEnvIfPlus Request_URI / SlowRequest=1\n\
         SetEnvIfPlus Request_URI /generateReport.php SlowRequest=2\n\
         SetEnvIfPlus Request_URI .*\\.(jpg)|(jpeg)|(gif)|(png)|(js)|(css)$ !SlowRequest\n\
         QS_SetEnvIf QS_AllConn=^[123]$ !SlowRequest\n\
         QS_ClientEventLimitCount 2 600 SlowRepeatedlySlow\n\
         QS_SetEnvIf SlowRequest_Counter=4 SlowRepeatedlySlow=1",
    )
    .file("generateReport.php", b"x".to_vec())
    .file("a.jpg", b"x".to_vec())
    .start();
    httpd.expect(67);
    let statuses = |source: &str, path: &str, times: usize| -> Vec<Option<u16>> {
        (0..times).map(|_| httpd.client(source).get(path).status()).collect()
    };
    let (ok, denied) = (Some(200), Some(500));
    assert_eq!(statuses("127.0.0.90", "/index.html", 6), [ok; 6], "there is room: nothing counts");
    let _others = hold(&httpd, "127.0.0.99", 3);
    assert_eq!(statuses("127.0.0.91", "/index.html", 5), [ok, ok, ok, denied, denied]);
    assert_eq!(statuses("127.0.0.92", "/generateReport.php", 2), [ok, denied], "it counts twice");
    assert_eq!(statuses("127.0.0.93", "/a.jpg", 8), [ok; 8], "what is cheap does not count");
    assert_eq!(statuses("127.0.0.91", "/a.jpg", 1), [denied], "who is over the limit gets nothing");
    assert!(is_served(&httpd.client("127.0.0.94")));
}

fn separation(mpm: Mpm) {
    let httpd = server(
        mpm,
        "AliasMatch ^/app/ @ROOT@/htdocs/index.html\n\
         QS_LocRequestLimitMatch \"^(/app/b/|/app/c/).*$\" 2",
    )
    .start();
    httpd.expect(10);
    // They stay in their handler until the last octet comes.
    let stay = |path: &str| {
        let mut connection = httpd.client("127.0.0.91").connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        );
        connection.send(head.as_bytes()).expect("the server reads");
        // The handler asks for the body, so the request is counted.
        connection.read_exactly(b"HTTP/1.1 100 Continue\r\n\r\n".len()).expect("it is asked for");
        connection
    };
    let _held = [stay("/app/b/1"), stay("/app/c/1")];
    let good = httpd.client("127.0.0.92");
    assert_eq!(good.get("/app/b/2").status(), Some(500), "these applications are full");
    assert_eq!(good.get("/app/a/").status(), Some(200), "the others are not");
    assert!(is_served(&good));
}

fn country_specific_rules(mpm: Mpm) {
    let countries = "\"127.0.7.0\",\"127.0.7.255\",\"2130708224\",\"2130708479\",\"CH\",\"x\"\n\
                     \"127.0.8.0\",\"127.0.8.255\",\"2130708480\",\"2130708735\",\"SE\",\"x\"\n";
    let httpd = server(
        mpm,
        "QS_ClientGeoCountryDB conf/GeoIPCountryWhois.csv\nQS_ClientGeoCountryPriv DE,AT,CH 3",
    )
    .file("../conf/GeoIPCountryWhois.csv", countries.into())
    .start();
    httpd.expect(101);
    let (good, bad) = (httpd.client("127.0.7.1"), httpd.client("127.0.8.1"));
    assert!(is_served(&bad), "there is room");
    let _others = hold(&httpd, "127.0.7.2", 3);
    bad.get("/").assert_refused();
    assert!(is_served(&good));
}

fn prefer_known_clients(mpm: Mpm) {
    let httpd =
        server(mpm, "QS_VipIPUser\nQS_ClientPrefer 50%\nQS_ClientContentTypes 40 15 150 10 40")
            .modules(&["authn_core", "auth_basic", "authn_file", "authz_user"])
            // The password is `password`.
            .file("users", b"ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n".to_vec())
            .with(
                "Alias /login @ROOT@/htdocs\n<Location /login>\nAuthType Basic\nAuthName x\n\
             AuthUserFile @ROOT@/htdocs/users\nRequire valid-user\n</Location>",
            )
            .start();
    httpd.expect(66);
    let known = httpd.client("127.0.0.91");
    let login = "Authorization: Basic YW5uOnBhc3N3b3Jk\r\n";
    assert_eq!(known.connect().get_with("/login/", login).status(), Some(200));
    // 32 places: from the 28th connection on strangers are not taken any more.
    let _others = hold(&httpd, "127.0.0.99", 27);
    let stranger = httpd.client("127.0.0.92");
    wait_until("strangers find no place", PATIENCE, || stranger.get("/").is_refused());
    assert!(is_served(&known), "who has logged in once does");
}

fn size_restrictions(mpm: Mpm) {
    let httpd = server(
        mpm,
        "LimitRequestLine 7168\nLimitRequestFields 35\nLimitRequestFieldSize 7168\n\
         QS_LimitRequestBody 102400",
    )
    .start();
    httpd.expect(44);
    let post = |source: &str, length: usize| {
        let mut connection = httpd.client(source).connect();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let _ = connection.send(&[head.as_bytes(), &vec![b'x'; length]].concat());
        connection.response().status()
    };
    assert_eq!(post("127.0.0.91", 102_401), Some(413));
    assert_eq!(post("127.0.0.92", 102_400), Some(200));
    let long = format!("/{}", "x".repeat(7200));
    assert_eq!(httpd.client("127.0.0.91").get(&long).status(), Some(414));
    assert!(is_served(&httpd.client("127.0.0.92")));
}

fn the_whole_guide_is_accepted_and_serves(mpm: Mpm) {
    let whole = || server(mpm, GUIDE).file("../conf/GeoIPCountryWhois.csv", COUNTRIES.to_vec());
    let check = whole().check();
    assert!(check.is_ok && check.text.contains("Syntax OK"), "{}", check.text);
    assert!(!check.text.contains("mod_qos("), "nothing to complain of: {}", check.text);
    let httpd = whole().start();
    // httpd and we say that 896 workers are more than the test has.
    httpd.expect_text("AH00").expect(300);
    let client = httpd.client("127.0.0.91");
    let mut kept = client.hold();
    for _ in 0..5 {
        assert_eq!(kept.get("/index.html").status(), Some(200));
        assert!(is_served(&client));
    }
}

on_each_mpm!(
    basic_settings,
    connections_per_ip,
    minimum_data_rate,
    repeat_offender,
    requests_per_ip,
    separation,
    country_specific_rules,
    prefer_known_clients,
    size_restrictions,
    the_whole_guide_is_accepted_and_serves,
);
