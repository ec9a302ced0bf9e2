//! Where httpd calls us: thin functions that turn pointers into values, run one phase of the engine, and
//! turn its verdict into httpd's answer.

pub mod body;
pub mod body_wait;
mod clear_text;
pub mod connection;
pub mod console;
pub mod content;
pub mod filters;
pub mod goodbye;
pub mod lifecycle;
pub mod live;
pub mod log;
pub mod periodic;
pub mod register;
pub mod request;
pub mod request_log;
pub mod turn;
