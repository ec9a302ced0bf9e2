//! `qostally`, the program, on pages of a real server: in HTML, as lynx writes them, from this module's viewer,
//! fetched by itself, and on the access log.

use std::fs;
use std::process::Command;

use crate::harness::{Gate, Httpd, Mpm, PATIENCE, module_under_test, poll};

/// Runs the program that was built beside the module.
fn run(words: &[&str]) -> (i32, String) {
    let path = module_under_test().with_file_name("qostally");
    assert!(path.exists(), "no program at {}: run \"make build\" first", path.display());
    let output = Command::new(path).args(words).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("it ends by itself"), said)
}

fn pages_of_a_real_server_are_understood(mpm: Mpm) {
    let gate = Gate::start();
    let httpd = Httpd::on(mpm)
        .modules(&["proxy", "proxy_http", "status"])
        .with(&format!("ProxyPass /app http://127.0.0.1:{}/", gate.port))
        .with("ExtendedStatus On\nQS_SrvMaxConnPerIP 20")
        .with("<Location /server-status>\nSetHandler server-status\n</Location>")
        .with("<Location /qos>\nSetHandler qos-viewer\n</Location>")
        .start();
    let mut asked = vec![("127.0.0.61", 4), ("127.0.0.62", 3)];
    if httpd.has_ipv6() {
        asked.push(("::1", 2));
    }
    let mut held = Vec::new();
    for (source, times) in &asked {
        for _ in 0..*times {
            let mut connection = httpd.client(source).connect();
            // A path that looks like a client is none.
            let request = b"GET /app/10.9.9.9 HTTP/1.1\r\nHost: 10.9.9.9\r\n\r\n";
            connection.send(request).expect("it is sent");
            held.push(connection);
        }
    }
    gate.wait_for(held.len());
    let expected: String =
        asked.iter().map(|(source, times)| format!("{source} {times}\n")).collect();
    let file = |name: &str| httpd.root().join(name).display().to_string();
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", httpd.port());
    // Everybody who asks for a page has another address, and appears once.
    let save = |name: &str, path: &str| {
        let page = httpd.newcomer().get(path).served().text();
        fs::write(file(name), page).expect("a file");
    };

    save("page.html", "/server-status");
    assert_eq!(run(&["--min", "2", &file("page.html")]), (0, expected.clone()));
    save("auto", "/qos?auto&option=ip");
    let counted = expected.replace("::1 ", "::/64 ");
    assert_eq!(run(&["--min", "2", &file("auto")]), (0, counted), "as the module counts them");
    let networks = run(&["--prefix4", "8", "--min", "7", &file("page.html")]);
    assert!(networks.1.starts_with("127.0.0.0/8 "), "{networks:?}");
    // mod_status' own has no addresses but that of the server.
    save("status.auto", "/server-status?auto");
    assert_eq!(run(&["--min", "1", &file("status.auto")]).0, 2);

    // It appears itself, once.
    let fetched = run(&["--min", "2", "--url", &url("/server-status")]);
    assert_eq!(fetched, (0, expected.clone()));

    for width in ["200", "80"] {
        let lynx = Command::new("lynx")
            .args(["-dump", &format!("-width={width}"), &url("/server-status")])
            .output();
        // Not everybody has it: a page that it wrote is also in the program's own tests.
        let Some(page) = lynx.ok().filter(|output| output.status.success()) else { continue };
        fs::write(file("page.txt"), page.stdout).expect("a file");
        assert_eq!(run(&["--min", "3", &file("page.txt")]).0, 0);
        let found = run(&["--min", "1", &file("page.txt")]).1;
        for (source, times) in &asked {
            assert!(found.contains(&format!("{source} {times}\n")), "-width={width}: {found}");
        }
    }

    gate.open();
    held.iter_mut().for_each(|connection| assert!(connection.response().status().is_some()));
    let is_logged = || {
        let found = run(&["--min", "2", &file("access_log")]).1;
        asked
            .iter()
            .all(|(source, times)| found.contains(&format!("{source} {times}\n")))
            .then_some(())
    };
    assert!(poll(PATIENCE, is_logged).is_some(), "the access log says something else");
}

on_each_mpm!(pages_of_a_real_server_are_understood);

/// The certificate has to be one that the machine trusts.
#[test]
fn a_page_is_fetched_by_tls() {
    let httpd = Httpd::on(Mpm::Event)
        .modules(&["status"])
        .with("<Location /server-status>\nSetHandler server-status\n</Location>")
        .tls()
        .start();
    let url = format!("https://127.0.0.1:{}/server-status", httpd.port());
    let fetched = |certificates: &str| {
        let path = module_under_test().with_file_name("qostally");
        let certificates = httpd.root().join(certificates);
        let output = Command::new(path)
            .args(["--min", "1", "--url", &url])
            .env("SSL_CERT_FILE", certificates)
            .env_remove("SSL_CERT_DIR")
            .output()
            .expect("the program runs");
        let said =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        (output.status.code().expect("it ends by itself"), said)
    };
    let (code, [addresses, _]) = fetched("server.crt");
    assert_eq!((code, addresses.as_str()), (0, "127.0.0.1 1\n"));
    let (code, [addresses, error]) = fetched("nothing.crt");
    assert_eq!((code, addresses.as_str()), (2, ""), "{error}");
    assert!(error.contains("certificate"), "{error}");
}
