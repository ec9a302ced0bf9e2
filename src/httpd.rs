//! Safe views of httpd's structures: short accessors, `Option` where C has NULL, and no raw pointer
//! beyond this layer but those that the hooks pass through.

pub mod connection;
pub mod mpm;
pub mod pool;
pub mod request;
pub mod server;
