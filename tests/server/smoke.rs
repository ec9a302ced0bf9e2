//! The server comes up with the module, answers, and goes away.

use crate::harness::{Httpd, Mpm};

fn a_request_is_served_and_shows_its_connection_counters(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConnPerIP 5").start();
    let response = httpd.client("127.0.0.9").get("/").served();
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "it works\n");
    assert_eq!(response.count("QS_AllConn"), 1);
    assert_eq!(response.count("QS_SrvConn"), 1);
    assert_eq!(response.count("QS_IPConn"), 1);
}

fn every_restart_leaves_a_server_that_serves(mpm: Mpm) {
    let httpd = Httpd::on(mpm).with("QS_SrvMaxConn 5").start();
    assert!(!httpd.children().is_empty());
    httpd.reload();
    assert_eq!(httpd.client("127.0.0.9").get("/").status(), Some(200));
    httpd.hard_restart();
    assert_eq!(httpd.client("127.0.0.9").get("/").status(), Some(200));
}

on_each_mpm!(
    a_request_is_served_and_shows_its_connection_counters,
    every_restart_leaves_a_server_that_serves,
);
