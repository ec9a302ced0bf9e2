//! A fault in the module itself lets the request pass and leaves one line in the log. Needs the
//! build with the feature `panic-injection`, whose callbacks panic when MOD_QOS_PANIC names them.

use crate::harness::{Httpd, Mpm, PATIENCE, panicking_module, poll};

/// Callbacks that every request, or every child, passes.
const CALLBACKS: &[&str] = &[
    "pre_connection_early",
    "pre_connection_late",
    "post_read_request",
    "header_parser",
    "insert_filter",
    "insert_error_filter",
    "output_filter",
    "log_transaction",
    "connection_cleanup",
    "child_init",
];

fn a_panic_in_a_callback_lets_the_request_pass_and_is_logged_once(mpm: Mpm) {
    let Some(module) = panicking_module() else {
        println!("skipped: no build with panic-injection (MOD_QOS_RS_PANIC_SO names one)");
        return;
    };
    let mut wrong = Vec::new();
    for callback in CALLBACKS {
        let httpd = Httpd::on(mpm)
            .module_file(module.clone())
            .environment("MOD_QOS_PANIC", callback)
            .size(2, 4)
            .with("QS_SrvMaxConn 50\nQS_SrvMaxConnPerIP 50\nQS_SrvMaxConnClose 40")
            .with("QS_ClientEventBlockCount 50 60\nQS_SetEnvIfStatus 404 QS_Block")
            .with("QS_SetEnvIfStatus NullConnection QS_Block")
            .start();
        httpd.expect(305);
        let client = httpd.client("127.0.0.121");
        for _ in 0..10 {
            let mut connection = client.connect();
            for (path, status) in [("/", 200), ("/no", 404), ("/index.html", 200)] {
                let answer = connection.get(path).status();
                if answer != Some(status) {
                    wrong.push(format!("{callback}: {path} was answered {answer:?}"));
                }
            }
        }
        let logged = poll(PATIENCE, || Some(httpd.events(305)).filter(|lines| !lines.is_empty()));
        let lines = logged.unwrap_or_default();
        if lines.is_empty() {
            wrong.push(format!("{callback}: nothing was logged"));
        }
        let start = format!("internal error in {callback}: ");
        let mut processes = Vec::new();
        for line in &lines {
            if !line.text.starts_with(&start) || line.level != "error" {
                wrong.push(format!("{callback}: {}", line.raw));
            }
            processes.push(line.process().to_owned());
        }
        let count = processes.len();
        processes.sort();
        processes.dedup();
        if processes.len() != count {
            wrong.push(format!("{callback}: more than one line of a process"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

on_each_mpm!(a_panic_in_a_callback_lets_the_request_pass_and_is_logged_once);
