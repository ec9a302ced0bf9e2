//! A server's record: the base server or a virtual host, and the error log.

use crate::config::{self, ServerConfig};
use crate::ffi::bindings::{self as httpd, server_rec};
use core::ffi::CStr;
use core::ptr::NonNull;
use qos_engine::log_event::{self, Level, LogSink};
use qos_engine::rules::server::INTERNAL_ERROR;

/// A server of the running configuration.
#[derive(Clone, Copy)]
pub struct Server(NonNull<server_rec>);

impl Server {
    /// Takes a server that httpd handed to a callback.
    ///
    /// # Safety
    /// `server` is null or a record of the configuration that is in force while the value is used.
    pub unsafe fn new(server: *mut server_rec) -> Option<Server> {
        NonNull::new(server).map(Server)
    }

    /// Returns the base server of the process, once httpd has one.
    pub fn base() -> Option<Server> {
        // SAFETY: httpd sets this before it calls any hook and clears it with the configuration;
        // reading a pointer-sized static is all that happens.
        unsafe { Server::new(httpd::ap_server_conf) }
    }

    fn record(&self) -> &server_rec {
        // SAFETY: alive by `new`; httpd does not change a server while hooks run.
        unsafe { self.0.as_ref() }
    }

    /// Returns this server and those behind it in the configuration.
    pub fn and_following(self) -> impl Iterator<Item = Server> {
        // SAFETY: the list belongs to the same configuration as its head.
        core::iter::successors(Some(self), |server| unsafe { Server::new(server.record().next) })
    }

    /// Returns how many seconds a connection is kept idle.
    pub fn keep_alive_timeout(self) -> u32 {
        u32::try_from(self.record().keep_alive_timeout / 1_000_000).unwrap_or(0)
    }

    /// Tells whether this is a `<VirtualHost>`.
    pub fn is_virtual(self) -> bool {
        self.record().is_virtual != 0
    }

    /// Returns the configuration vector.
    pub fn config_vector(self) -> *mut httpd::ap_conf_vector_t {
        self.record().module_config
    }

    /// Returns the name, and the port that the configuration gives it.
    pub fn name_and_port(self) -> (String, u16) {
        let record = self.record();
        let mut port = record.port;
        if port == 0
            && let Some(address) = NonNull::new(record.addrs)
        {
            // SAFETY: the address list belongs to the server's configuration.
            port = unsafe { address.as_ref() }.host_port;
        }
        (text(record.server_hostname), port)
    }

    /// Returns the port of its address, as pages show it: 0 for the base server.
    pub fn address_port(self) -> u16 {
        match NonNull::new(self.record().addrs) {
            // SAFETY: the address list belongs to the server's configuration.
            Some(address) if self.is_virtual() => unsafe { address.as_ref() }.host_port,
            _ => 0,
        }
    }

    /// Returns our configuration of this server, while it is in force.
    pub fn config(self) -> Option<&'static ServerConfig> {
        // SAFETY: a child's configuration is never freed before the child's end.
        unsafe { config::of_server(self.config_vector()) }
    }

    /// Returns what tells this server from others over all restarts: its names and addresses.
    pub fn identity(self) -> String {
        let record = self.record();
        let mut identity = format!("{} {}", text(record.server_hostname), record.port);
        let mut address = record.addrs;
        while let Some(current) = NonNull::new(address) {
            // SAFETY: the address list belongs to the server's configuration.
            let current = unsafe { current.as_ref() };
            identity.push_str(&format!(" {}:{}", text(current.virthost), current.host_port));
            address = current.next;
        }
        identity
    }

    /// Returns the pool that lives as long as the server process, over all restarts.
    pub fn process_pool(self) -> Option<super::pool::Pool> {
        let process = NonNull::new(self.record().process)?;
        // SAFETY: the process record and its pool live as long as the process.
        unsafe { super::pool::Pool::new(process.as_ref().pool) }
    }

    /// Returns the record itself.
    pub fn as_ptr(self) -> *mut server_rec {
        self.0.as_ptr()
    }

    /// Writes a line to the server's error log.
    pub fn log(self, level: Level, line: &str) {
        let Ok(line) = std::ffi::CString::new(line) else { return };
        // SAFETY: alive by `new`; the line is C text, taken as text and not as a format.
        unsafe { httpd::qos_log_server(self.0.as_ptr(), number(level), line.as_ptr()) };
    }
}

impl LogSink for Server {
    fn write(&mut self, level: Level, line: &str) {
        self.log(level, line);
    }
}

/// Returns httpd's number of a level.
pub fn number(level: Level) -> core::ffi::c_int {
    (match level {
        Level::Emergency => httpd::APLOG_EMERG,
        Level::Critical => httpd::APLOG_CRIT,
        Level::Error => httpd::APLOG_ERR,
        Level::Warning => httpd::APLOG_WARNING,
        Level::Info => httpd::APLOG_INFO,
        Level::Notice => httpd::APLOG_NOTICE,
        Level::Debug => httpd::APLOG_DEBUG,
    }) as core::ffi::c_int
}

/// Writes event 305: a bug of ours was caught.
pub fn log_internal_error(callback: &str, said: &str) {
    let Some(mut server) = Server::base() else { return };
    let totals = crate::shm::segment::shared().map(|shared| &shared.store.totals);
    let text = format_args!("internal error in {callback}: {said}");
    log_event::note(&INTERNAL_ERROR, text, totals, &mut server);
}

fn text(pointer: *const core::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: httpd's names are C text that lives as long as the configuration.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
