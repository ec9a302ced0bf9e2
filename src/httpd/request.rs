//! A request: its variables, its place among redirects, and what the engine sees of it.

use crate::config;
use crate::ffi::bindings::{self as httpd, apr_table_t, request_rec};
use crate::httpd::{
    connection::{Connection, Text},
    pool::Pool,
    server::Server,
};
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use qos_engine::context::{Letter, Letters, RequestView};
use qos_engine::log_event::{Level, LogSink};
use qos_engine::rules::LocationSettings;

/// A request of httpd's.
#[derive(Clone, Copy)]
pub struct Request(NonNull<request_rec>);

/// What we hang on the first request of a chain of redirects, in its pool.
#[derive(Clone, Copy, Default)]
pub struct State {
    /// Event letters so far.
    pub letters: Letters,
}

impl Request {
    /// Takes a request that httpd handed to a callback.
    ///
    /// # Safety
    /// `request` is null or alive while the value is used.
    pub unsafe fn new(request: *mut request_rec) -> Option<Request> {
        NonNull::new(request).map(Request)
    }

    fn record(&self) -> &request_rec {
        // SAFETY: alive by `new`; one thread works on a request at a time.
        unsafe { self.0.as_ref() }
    }

    /// Returns the record itself.
    pub fn as_ptr(self) -> *mut request_rec {
        self.0.as_ptr()
    }

    /// Returns the connection, for a stream its secondary one.
    pub fn connection(self) -> Option<Connection> {
        // SAFETY: a request's connection outlives it.
        unsafe { Connection::new(self.record().connection) }
    }

    /// Returns the server that the request's host chose.
    pub fn server(self) -> Option<Server> {
        // SAFETY: a server of the configuration that this child serves.
        unsafe { Server::new(self.record().server) }
    }

    /// Returns our configuration of that server.
    pub fn config(self) -> Option<&'static config::ServerConfig> {
        let vector = self.server()?.config_vector();
        // SAFETY: a child's configuration is never freed before the child's end.
        unsafe { config::of_server(vector) }
    }

    /// Returns our configuration of the location.
    pub fn location(&self) -> Option<&LocationSettings> {
        // SAFETY: the vector belongs to the request.
        unsafe { config::of_location(self.record().per_dir_config) }
    }

    /// Returns the status of the response.
    pub fn status(self) -> u16 {
        u16::try_from(self.record().status).unwrap_or(0)
    }

    /// Returns the request that an internal redirect came from.
    pub fn previous(self) -> Option<Request> {
        // SAFETY: httpd keeps the whole chain in one pool hierarchy.
        unsafe { Request::new(self.record().prev) }
    }

    /// Returns the request that this one was redirected to.
    pub fn next(self) -> Option<Request> {
        // SAFETY: as above.
        unsafe { Request::new(self.record().next) }
    }

    /// Returns the request that this subrequest belongs to.
    pub fn main(self) -> Option<Request> {
        // SAFETY: as above.
        unsafe { Request::new(self.record().main) }
    }

    /// Returns the first request of the chain: what the client sent.
    pub fn first(self) -> Request {
        let mut first = self;
        while let Some(earlier) = first.previous().or_else(|| first.main()) {
            first = earlier;
        }
        first
    }

    /// Returns the last request of the chain: what was answered.
    pub fn last(self) -> Request {
        let mut last = self;
        while let Some(later) = last.next() {
            last = later;
        }
        last
    }

    /// Returns the request's pool.
    pub fn pool(self) -> Option<Pool> {
        // SAFETY: httpd's pool of the request.
        unsafe { Pool::new(self.record().pool) }
    }

    /// Returns our state of the whole chain, made when it is first asked for.
    pub fn state(self) -> Option<NonNull<State>> {
        let first = self.first();
        let vector = first.record().request_config;
        // SAFETY: the vector of the request, our place in it; what stands there was put there here.
        unsafe {
            let found = httpd::ap_get_module_config(vector, &raw const crate::qos_module);
            if let Some(found) = NonNull::new(found.cast::<State>()) {
                return Some(found);
            }
            let made = first.pool()?.place(State::default())?;
            httpd::ap_set_module_config(vector, &raw const crate::qos_module, made.as_ptr().cast());
            Some(made)
        }
    }

    /// Returns our state of the chain, if it was made.
    pub fn existing_state(self) -> Option<State> {
        let vector = self.first().record().request_config;
        // SAFETY: as in `state`; the value is copied out.
        unsafe {
            httpd::ap_get_module_config(vector, &raw const crate::qos_module)
                .cast::<State>()
                .as_ref()
                .copied()
        }
    }

    /// Returns a variable of this very request.
    pub fn own_variable(&self, name: &CStr) -> Option<&CStr> {
        lookup(self.record().subprocess_env, name)
    }

    /// Sets a variable to a number that lives as long as the request's connection.
    pub fn set_lasting<const N: usize>(self, name: &'static CStr, value: &Text<N>) {
        // SAFETY: the request's table; name is static, the caller's value outlives the request and ends
        // with NUL.
        unsafe {
            httpd::apr_table_setn(self.record().subprocess_env, name.as_ptr(), value.as_ptr());
        }
    }

    /// Sets a variable; name and value are copied.
    pub fn set_copied(self, name: &CStr, value: &CStr) {
        // SAFETY: the request's table copies both.
        unsafe {
            httpd::apr_table_set(self.record().subprocess_env, name.as_ptr(), value.as_ptr());
        }
    }

    /// Sets a note, which error documents can show.
    pub fn set_note(self, name: &CStr, value: &CStr) {
        // SAFETY: as above.
        unsafe { httpd::apr_table_set(self.record().notes, name.as_ptr(), value.as_ptr()) };
    }

    /// Answers a status with this page: a path by an internal redirect, a URL by a redirect of the client.
    pub fn answer_with(self, status: u16, page: &CStr) {
        // SAFETY: httpd copies the page into the request.
        unsafe {
            httpd::ap_custom_response(self.0.as_ptr(), c_int::from(status), page.as_ptr());
        }
    }

    /// Returns what the engine sees.
    pub fn view(self) -> View {
        View { request: self, id: None }
    }
}

fn lookup<'a>(table: *mut apr_table_t, name: &CStr) -> Option<&'a CStr> {
    if table.is_null() {
        return None;
    }
    // SAFETY: a table of the request; values are C text and live as long as the table, or until they
    // are set anew, which nobody does while a value is looked at.
    unsafe {
        let value = httpd::apr_table_get(table, name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

/// A request with the chain of redirects behind it: a variable counts wherever in the chain it is set.
pub struct View {
    request: Request,
    id: Option<String>,
}

impl RequestView for View {
    fn variable(&self, name: &CStr) -> Option<&[u8]> {
        let mut request = Some(self.request);
        while let Some(current) = request {
            if let Some(value) = lookup(current.record().subprocess_env, name) {
                return Some(value.to_bytes());
            }
            request = current.next();
        }
        None
    }

    fn set_variable(&mut self, name: &CStr, value: &CStr) {
        self.request.set_copied(name, value);
        if name == c"QS_ErrorNotes" {
            self.request.set_note(c"error-notes", value);
        }
    }

    fn unique_id(&mut self) -> &str {
        let request = self.request;
        self.id.get_or_insert_with(|| {
            let name = c"UNIQUE_ID";
            if let Some(id) = request.first().own_variable(name) {
                return id.to_string_lossy().into_owned();
            }
            let id = made_up_id(request.connection());
            if let Ok(text) = std::ffi::CString::new(id.as_str()) {
                request.set_copied(name, &text);
            }
            id
        })
    }

    fn add_letter(&mut self, letter: Letter) {
        if let Some(mut state) = self.request.state() {
            // SAFETY: the state lives in the request's pool, and one thread works on the request.
            unsafe { state.as_mut() }.letters.add(letter);
        }
    }
}

impl LogSink for Request {
    fn write(&mut self, level: Level, line: &str) {
        let Ok(line) = std::ffi::CString::new(line) else { return };
        let level = super::server::number(level);
        // SAFETY: alive by `new`; the line is C text, taken as text and not as a format.
        unsafe { httpd::qos_log_request(self.0.as_ptr(), level, line.as_ptr()) };
    }
}

/// Makes an id when mod_unique_id is not there: time, process, connection and a counter, 32 characters
/// of URL-safe Base64.
fn made_up_id(connection: Option<Connection>) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    // SAFETY: reads the clock.
    let micros = unsafe { httpd::apr_time_now() } as u64;
    let number = connection.map_or(0, |connection| connection.id() as u64);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut octets = [0u8; 24];
    let parts = [
        &micros.to_be_bytes()[..],
        &std::process::id().to_be_bytes(),
        &number.to_be_bytes(),
        &counter.to_be_bytes(),
    ];
    for (to, from) in octets.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    octets
        .chunks(3)
        .flat_map(|three| {
            let word = three.iter().fold(0u32, |word, octet| word << 8 | u32::from(*octet));
            [18, 12, 6, 0].map(|shift| (word >> shift & 63) as usize)
        })
        .filter_map(|index| ALPHABET.get(index).map(|letter| char::from(*letter)))
        .collect()
}
