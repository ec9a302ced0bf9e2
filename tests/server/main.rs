//! Server tests: the module in a real httpd, spoken to over real sockets.
//!
//! One file per family, each multiplied over prefork, worker and event by `on_each_mpm!`. A test
//! owns its server (see `harness::Httpd`), says which log events it expects, and fails when the
//! error log holds anything else. Nothing here links with the module: it is the shared object that
//! `make build` left in the target directory, or the one that MOD_QOS_RS_SO names.

// A test fails by its panics.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[macro_use]
mod harness;

mod body_limit;
mod browser;
mod busy_watch;
mod child_death;
mod client_event_limit;
mod client_preference;
mod client_requests;
mod connection_limit;
mod connection_variable;
mod console;
mod data_rate;
mod differential_client_limit;
mod differential_connection;
mod differential_request_limit;
mod differential_variable;
mod directive;
mod error_page;
mod eviction;
mod firewall;
mod geo;
mod guide;
mod helper;
mod http2;
mod impatient_client;
mod internal_redirect;
mod loading;
mod metrics;
mod panic;
mod publication;
mod qosctl;
mod qostally;
mod repeat_offender;
mod request_limit;
mod request_log;
mod request_variable;
mod response_variable;
mod restart;
mod set_env_if_plus;
mod smoke;
mod soak;
mod status_log;
mod viewer;
mod vip_session;
