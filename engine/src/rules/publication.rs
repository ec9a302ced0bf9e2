//! What every request is told of its connection, and its access log of what rules made of it: variables
//! that cost something in each request, so they are set only where somebody can read them.
//! Spec: events-and-variables.md 3, 4.

pub use super::variables_only::{DIRECTIVES, Facts, LOG_EVENTS, LocationSettings, Settings};

use crate::client::countries;
use crate::values::Capacity;
use core::ffi::CStr;

/// `QS_AllConn`: all open connections.
pub const ALL_CONNECTIONS: &CStr = c"QS_AllConn";
/// `QS_SrvConn`: those of the server.
pub const SERVER_CONNECTIONS: &CStr = c"QS_SrvConn";
/// `QS_IPConn`: those of the address.
pub const ADDRESS_CONNECTIONS: &CStr = c"QS_IPConn";
/// `QS_ConnectionId`
pub const CONNECTION_ID: &CStr = c"QS_ConnectionId";
/// `mod_qos_con`: open connections of the server when the request is logged.
pub const LOGGED_CONNECTIONS: &CStr = c"mod_qos_con";
/// `mod_qos_cr`: requests that the location served together with this one.
pub const LOGGED_REQUESTS: &CStr = c"mod_qos_cr";
/// `mod_qos_ev`: letters of what happened.
pub const LOGGED_LETTERS: &CStr = c"mod_qos_ev";

/// Which of the variables anybody can read. All of them, unless told otherwise.
#[derive(Clone, Debug)]
pub struct Policy {
    /// [`ALL_CONNECTIONS`]
    pub all_connections: bool,
    /// [`SERVER_CONNECTIONS`]
    pub server_connections: bool,
    /// [`ADDRESS_CONNECTIONS`]
    pub address_connections: bool,
    /// `QS_Country`
    pub country: bool,
    /// [`CONNECTION_ID`]
    pub connection_id: bool,
    /// [`LOGGED_CONNECTIONS`]
    pub logged_connections: bool,
    /// [`LOGGED_REQUESTS`]
    pub logged_requests: bool,
    /// [`LOGGED_LETTERS`]
    pub logged_letters: bool,
}

impl Policy {
    /// Resolves settings.
    pub fn resolve(_: &Settings, _: Capacity) -> Policy {
        Policy::new(&|_| true)
    }

    /// Sets only what is used; `is_used` says whether anybody can read a variable.
    pub fn bind(&mut self, is_used: &dyn Fn(&CStr) -> bool) {
        *self = Policy::new(is_used);
    }

    fn new(is_used: &dyn Fn(&CStr) -> bool) -> Policy {
        Policy {
            all_connections: is_used(ALL_CONNECTIONS),
            server_connections: is_used(SERVER_CONNECTIONS),
            address_connections: is_used(ADDRESS_CONNECTIONS),
            country: is_used(countries::VARIABLE),
            connection_id: is_used(CONNECTION_ID),
            logged_connections: is_used(LOGGED_CONNECTIONS),
            logged_requests: is_used(LOGGED_REQUESTS),
            logged_letters: is_used(LOGGED_LETTERS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_reads_is_set() {
        let capacity = Capacity { max_clients: 1, connections: 1 };
        let mut policy = Policy::resolve(&Settings, capacity);
        assert!(policy.all_connections && policy.country && policy.logged_letters);
        policy.bind(&|name| name == c"QS_AllConn" || name == c"mod_qos_ev");
        assert!(policy.all_connections && policy.logged_letters);
        assert!(!policy.server_connections && !policy.address_connections && !policy.country);
        assert!(!policy.connection_id && !policy.logged_connections && !policy.logged_requests);
    }
}
