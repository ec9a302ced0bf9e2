//! Safe views of httpd's structures: short accessors, `Option` where C has NULL, and no raw pointer
//! beyond this layer but those that the hooks pass through.

pub mod config_tree;
pub mod connection;
pub mod filter;
pub mod keep_alive;
pub mod kernel;
pub mod mpm;
pub mod piped_log;
pub mod pool;
pub mod random;
pub mod request;
pub mod scoreboard;
pub mod server;
pub mod socket;
pub mod users;
