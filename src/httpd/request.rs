//! A request: its variables, its place among redirects, and what the engine sees of it.

use crate::config;
use crate::ffi::bindings::{self as httpd, apr_table_t, request_rec};
use crate::httpd::{
    connection::{Connection, Text, Tracked},
    keep_alive,
    pool::Pool,
    random,
    server::Server,
    socket,
};
use crate::shm::segment::{self, Shared};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use qos_engine::context::{Aspect, BodyLength, DscpFailure, KeepAlive, Kept, Known, RequestView};
use qos_engine::log_event::{Level, LogSink};
use qos_engine::report::Page;
use qos_engine::rules::{Facts, LocationSettings, Policy};
use qos_engine::store::loans::Purse;
use qos_engine::time::{Millis, Seconds, Tick};
use qos_engine::values::octets;

/// A request of httpd's.
#[derive(Clone, Copy)]
pub struct Request(NonNull<request_rec>);

/// What we hang on the first request of a chain of redirects, in its pool.
pub struct State {
    /// What was learned of it so far.
    pub known: Known,
    /// What it has on loan.
    pub purse: Purse,
    /// What the families keep.
    pub facts: Facts,
    /// Where it belongs.
    pub place: Place,
}

/// Where a request belongs, looked up once.
#[derive(Clone, Copy)]
pub struct Place {
    /// What we hang on the primary connection, whose pool outlives that of its requests.
    pub tracked: NonNull<Tracked>,
    /// Our configuration of the server that the host chose.
    pub config: &'static config::ServerConfig,
    /// The same, as enforced.
    pub policy: &'static Policy,
    /// The segment.
    pub shared: &'static Shared,
    /// When it was last looked at the clock.
    pub now: Tick,
}

impl Place {
    /// Returns what we hang on the primary connection.
    pub fn tracked(&self) -> &Tracked {
        // SAFETY: it lives in the pool of the primary connection, which outlives those of its requests, and
        // is changed only through atomics.
        unsafe { self.tracked.as_ref() }
    }
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

    /// Returns that server's record itself.
    pub fn server_record(self) -> *mut httpd::server_rec {
        self.record().server
    }

    /// Gives the request another record of the same server.
    pub fn set_server_record(self, record: *mut httpd::server_rec) {
        // SAFETY: alive by `new`, and this thread works on it; the record stays as long as the child.
        unsafe { (*self.0.as_ptr()).server = record };
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

    /// Tells whether the client announced a body.
    pub fn has_body(self) -> bool {
        let headers = self.record().headers_in;
        [c"Content-Length", c"Transfer-Encoding"]
            .into_iter()
            .any(|name| lookup(headers, name).is_some())
    }

    /// Tells whether somebody is authenticated.
    pub fn has_user(self) -> bool {
        !self.record().user.is_null()
    }

    /// Returns the status of the response.
    pub fn status(self) -> u16 {
        u16::try_from(self.record().status).unwrap_or(0)
    }

    /// Returns how many octets of the response's body were sent.
    pub fn sent(self) -> u64 {
        let record = self.record();
        // httpd counts also what it does not send in answer to HEAD.
        let sent = if record.sent_bodyct == 0 { 0 } else { record.bytes_sent };
        u64::try_from(sent).unwrap_or(0)
    }

    /// Returns for how many microseconds the request has been worked on.
    pub fn micros_since(self) -> u64 {
        // SAFETY: reads the clock.
        let now = unsafe { httpd::apr_time_now() };
        u64::try_from(now.saturating_sub(self.record().request_time)).unwrap_or(0)
    }

    /// Returns the server's name, where UseCanonicalName does not say otherwise that which the client gave.
    pub fn server_name(&self) -> &[u8] {
        // SAFETY: a live request; the name is C text of the request or of the server.
        text(unsafe { httpd::ap_get_server_name(self.0.as_ptr()) })
    }

    /// Returns the path.
    pub fn path(&self) -> &[u8] {
        text(self.record().uri)
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

    /// Tells whether this is what the client sent, and neither a redirect's target nor a subrequest.
    pub fn is_initial(self) -> bool {
        self.previous().or_else(|| self.main()).is_none()
    }

    /// Returns our state of the whole chain, once it is made.
    pub fn state(self) -> Option<NonNull<State>> {
        let first = self.first();
        // SAFETY: the vector of the request, our place in it; what stands there was put there by `place`.
        NonNull::new(unsafe { config::look(first.record().request_config) }.cast())
    }

    /// Puts our state into the request, the first of its chain. `end` is called with the request when its
    /// pool ends, so that nothing stays on loan, and nothing on the heap.
    pub fn place(
        self,
        state: State,
        end: unsafe extern "C" fn(*mut c_void) -> httpd::apr_status_t,
    ) -> Option<NonNull<State>> {
        let pool = self.pool()?;
        let made = pool.place_undropped(state)?;
        let vector = self.record().request_config;
        // SAFETY: the vector of the request; the request lives until its pool's cleanups are over.
        unsafe {
            httpd::ap_set_module_config(vector, &raw const crate::qos_module, made.as_ptr().cast());
            pool.at_end(self.as_ptr().cast(), end);
        }
        Some(made)
    }

    /// Returns a variable of this very request.
    pub fn own_variable(&self, name: &CStr) -> Option<&CStr> {
        lookup(self.record().subprocess_env, name)
    }

    /// Returns a variable of what this request was redirected to, the first that has it.
    pub fn later_variable(&self, name: &CStr) -> Option<&CStr> {
        let mut part = self.next();
        while let Some(request) = part {
            if let Some(value) = lookup(request.record().subprocess_env, name) {
                return Some(value);
            }
            part = request.next();
        }
        None
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

    /// Tells whether httpd found a path in the request line.
    pub fn has_path(self) -> bool {
        let record = self.record();
        !record.unparsed_uri.is_null() && !record.parsed_uri.path.is_null()
    }

    /// Names where the client is sent to, for an answer that sends it somewhere, also if that comes in the
    /// place of another error.
    pub fn send_elsewhere(self, url: &CStr) {
        let record = self.record();
        for table in [record.headers_out, record.err_headers_out] {
            // SAFETY: the request's table copies both.
            unsafe { httpd::apr_table_set(table, c"Location".as_ptr(), url.as_ptr()) };
        }
    }

    /// Answers a status with this page, by an internal redirect.
    pub fn answer_with(self, status: u16, page: &CStr) {
        // SAFETY: httpd copies the page into the request.
        unsafe {
            httpd::ap_custom_response(self.0.as_ptr(), c_int::from(status), page.as_ptr());
        }
    }

    /// Returns the name of the handler that shall answer.
    pub fn handler(&self) -> Option<&CStr> {
        let name = self.record().handler;
        // SAFETY: null, or C text that lives as long as the request.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
    }

    /// Tells whether only the headers of the answer are wanted.
    pub fn wants_only_headers(self) -> bool {
        self.record().header_only != 0
    }

    /// Answers with a page. Returns what a handler returns.
    pub fn send(self, page: &Page) -> c_int {
        // An error without a page of its own gets the configured one.
        if page.status >= 400 && page.body.is_empty() && !self.wants_only_headers() {
            return c_int::from(page.status);
        }
        let Some(pool) = self.pool() else { return httpd::HTTP_INTERNAL_SERVER_ERROR as c_int };
        let request = self.0.as_ptr();
        // SAFETY: alive by `new`, and this thread answers it; all text is copied into its pool.
        unsafe {
            (*request).status = c_int::from(page.status);
            httpd::ap_set_content_type(request, pool.copy(page.content_type.as_bytes()));
            for (name, value) in &page.headers {
                let value = pool.copy(value.as_bytes());
                httpd::apr_table_setn((*request).headers_out, name.as_ptr(), value);
            }
        }
        if !self.wants_only_headers() {
            self.write(&page.body);
        }
        httpd::OK as c_int
    }

    /// Writes a part of the answer. False when the client is gone and does not get it.
    pub fn write(self, body: &[u8]) -> bool {
        for part in body.chunks(1 << 20) {
            let length = c_int::try_from(part.len()).unwrap_or(0);
            // SAFETY: alive by `new`; httpd copies or sends so many octets before it returns.
            let written =
                unsafe { httpd::ap_rwrite(part.as_ptr().cast(), length, self.0.as_ptr()) };
            if written < 0 {
                return false;
            }
        }
        true
    }

    /// Reads the body, `None` where it is larger than so many octets. The error is the status of the answer.
    pub fn read_body(self, most: usize) -> Result<Option<Vec<u8>>, c_int> {
        let request = self.0.as_ptr();
        // SAFETY: alive by `new`, and this thread answers it.
        let (status, has_body) = unsafe {
            let status =
                httpd::ap_setup_client_block(request, httpd::REQUEST_CHUNKED_DECHUNK as c_int);
            (status, status == httpd::OK as c_int && httpd::ap_should_client_block(request) != 0)
        };
        if status != httpd::OK as c_int {
            return Err(status);
        }
        let (mut body, mut part) = (Vec::new(), vec![0u8; 64 << 10]);
        if !has_body {
            return Ok(Some(body));
        }
        loop {
            // SAFETY: as above; httpd writes at most so many octets.
            let count = unsafe {
                httpd::ap_get_client_block(request, part.as_mut_ptr().cast(), part.len() as _)
            };
            let Ok(count) = usize::try_from(count) else {
                return Err(httpd::HTTP_BAD_REQUEST as c_int);
            };
            if count == 0 {
                return Ok(Some(body));
            }
            if body.len() + count > most {
                return Ok(None);
            }
            body.extend_from_slice(part.get(..count).unwrap_or(&[]));
        }
    }

    /// Returns what the engine sees.
    pub fn view(self) -> View {
        View { request: self, origin: None, id: None }
    }

    /// The same for the response: what that sets is set for what the client sent, too, which is what rules
    /// look at when the request is logged.
    pub fn view_of_response(self) -> View {
        let mut first = self;
        while let Some(earlier) = first.previous() {
            first = earlier;
        }
        let origin = (first.as_ptr() != self.as_ptr() && first.main().is_none()).then_some(first);
        View { origin, ..self.view() }
    }
}

fn text<'a>(pointer: *const c_char) -> &'a [u8] {
    if pointer.is_null() {
        return b"";
    }
    // SAFETY: C text of a request, which lives as long as it does; nobody changes it while it is looked at.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
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

/// A request, as the engine sees it.
pub struct View {
    request: Request,
    /// What the client sent, if this was redirected to and shares with it what is set.
    origin: Option<Request>,
    id: Option<String>,
}

impl View {
    fn record(&self) -> &request_rec {
        self.request.record()
    }

    /// Looks up what TLS knows of the client's certificate: null where there is none.
    fn certificate(&self, name: &CStr) -> *const c_char {
        let record = self.record();
        let request = self.request.as_ptr();
        // SAFETY: a live request and what belongs to it; the answer lives in its pool, or for ever.
        unsafe {
            let server = record.server;
            httpd::ap_ssl_var_lookup(record.pool, server, record.connection, request, name.as_ptr())
        }
    }

    /// Copies text into the request's pool.
    fn copy(&self, text: &[u8]) -> *const c_char {
        self.request.pool().map_or(c"".as_ptr(), |pool| pool.copy(text))
    }
}

impl RequestView for View {
    fn variable(&self, name: &CStr) -> Option<&[u8]> {
        lookup(self.record().subprocess_env, name).map(CStr::to_bytes)
    }

    fn set_variable(&mut self, name: &CStr, value: &[u8]) {
        let value = self.copy(value);
        // SAFETY: the request's table; the value is C text in its pool, the name is copied.
        unsafe {
            let name = self.copy(name.to_bytes());
            httpd::apr_table_setn(self.record().subprocess_env, name, value);
        }
        if let Some(origin) = self.origin {
            // SAFETY: the value was just made.
            origin.set_copied(name, unsafe { CStr::from_ptr(value) });
        }
        if name == c"QS_ErrorNotes" {
            // SAFETY: as above.
            unsafe {
                httpd::apr_table_setn(self.record().notes, c"error-notes".as_ptr(), value);
            }
        }
    }

    fn set_lasting(&mut self, name: &'static CStr, value: &'static CStr) {
        // SAFETY: the request's table; name and value live as long as the process.
        unsafe {
            httpd::apr_table_setn(self.record().subprocess_env, name.as_ptr(), value.as_ptr());
        }
        if let Some(origin) = self.origin {
            origin.set_copied(name, value);
        }
    }

    fn remove_variable(&mut self, name: &CStr) {
        for request in [Some(self.request), self.origin].into_iter().flatten() {
            unset(request.record().subprocess_env, name);
        }
    }

    fn each_variable(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        each(self.record().subprocess_env, true, tell);
    }

    fn header(&self, name: &CStr) -> Option<&[u8]> {
        lookup(self.record().headers_in, name).map(CStr::to_bytes)
    }

    fn each_header(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        each(self.record().headers_in, false, tell);
    }

    fn set_header(&mut self, name: &CStr, value: Option<&[u8]>) {
        match value {
            // SAFETY: the request's table; both are C text in its pool.
            Some(value) => unsafe {
                let (name, value) = (self.copy(name.to_bytes()), self.copy(value));
                httpd::apr_table_setn(self.record().headers_in, name, value);
            },
            None => unset(self.record().headers_in, name),
        }
    }

    fn response_header(&self, name: &CStr) -> Option<&[u8]> {
        let record = self.record();
        lookup(record.headers_out, name)
            .or_else(|| lookup(record.err_headers_out, name))
            .map(CStr::to_bytes)
    }

    fn content_type(&self) -> Option<&[u8]> {
        let text = self.request.last().record().content_type;
        // SAFETY: null, or C text that lives as long as the request.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
    }

    fn remove_response_header(&mut self, name: &CStr) {
        unset(self.record().headers_out, name);
        unset(self.record().err_headers_out, name);
    }

    fn add_response_header(&mut self, name: &CStr, value: &[u8]) {
        // SAFETY: the request's table; both are C text in its pool.
        unsafe {
            let (name, value) = (self.copy(name.to_bytes()), self.copy(value));
            httpd::apr_table_addn(self.record().err_headers_out, name, value);
        }
    }

    fn aspect(&self, aspect: Aspect) -> Option<&[u8]> {
        let record = self.record();
        let request = self.request.as_ptr();
        let text: *const c_char = match aspect {
            Aspect::Method => record.method,
            Aspect::Protocol => record.protocol,
            Aspect::Path => record.uri,
            Aspect::RawUri => record.unparsed_uri,
            Aspect::Query => record.args,
            Aspect::SentPath => record.parsed_uri.path,
            Aspect::SentQuery => record.parsed_uri.query,
            // SAFETY: a live request; httpd looks the name up only where HostnameLookups says so.
            Aspect::RemoteHost => unsafe {
                httpd::ap_get_useragent_host(
                    request,
                    httpd::REMOTE_NAME as c_int,
                    core::ptr::null_mut(),
                )
            },
            Aspect::RemoteAddress => record.useragent_ip,
            // SAFETY: a request's connection outlives it.
            Aspect::ServerAddress => unsafe { (*record.connection).local_ip },
            // SAFETY: a live request.
            Aspect::ServerPort => unsafe {
                let port = Text::<8>::number(httpd::ap_get_server_port(request).into());
                self.copy(port.as_c().to_bytes())
            },
            Aspect::User => record.user,
            Aspect::CertificateSubject => self.certificate(c"SSL_CLIENT_S_DN"),
            Aspect::CertificateIssuer => self.certificate(c"SSL_CLIENT_I_DN"),
        };
        // SAFETY: null, or C text that lives as long as the request and is not changed while it is looked at.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
    }

    fn is_tls(&self) -> bool {
        let connection = self.request.connection();
        connection.is_some_and(|connection| connection.primary().unwrap_or(connection).is_tls())
    }

    fn status(&self) -> u16 {
        self.request.status()
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

    fn pause(&mut self, span: Millis) -> Tick {
        std::thread::sleep(std::time::Duration::from_millis(span.0.into()));
        segment::shared().map_or(Tick(0), |shared| shared.now())
    }

    fn body_length(&self) -> BodyLength {
        if self.header(c"Transfer-Encoding").is_some() {
            return BodyLength::Unknown;
        }
        match self.header(c"Content-Length") {
            None => BodyLength::None,
            Some(length) => {
                match core::str::from_utf8(length).ok().and_then(|text| octets(text).ok()) {
                    None => BodyLength::Invalid,
                    Some(0) => BodyLength::None,
                    Some(length) => BodyLength::Known(length),
                }
            }
        }
    }

    fn arrived_at(&self) -> u64 {
        u64::try_from(self.record().request_time / 1_000_000).unwrap_or(0)
    }

    fn is_subrequest(&self) -> bool {
        self.request.main().is_some()
    }

    fn fill_randomly(&mut self, octets: &mut [u8]) -> bool {
        random::fill(octets)
    }

    fn is_first_time(&mut self, event: u16) -> bool {
        static TOLD: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
        let bit = 1 << (event % 64);
        TOLD.get(usize::from(event / 64))
            .is_some_and(|told| told.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    fn keep_alive(&mut self, wanted: KeepAlive) -> Kept {
        keep_alive::change(self.request, wanted)
    }

    fn wait_no_longer(&mut self, span: Seconds) {
        keep_alive::wait_no_longer(self.request, span);
    }

    fn set_dscp(&mut self, dscp: u8) -> Result<(), DscpFailure> {
        match self.request.connection() {
            Some(connection) => socket::set_dscp(connection, dscp),
            None => Err(DscpFailure { has_socket: false, code: -1 }),
        }
    }
}

fn unset(table: *mut apr_table_t, name: &CStr) {
    if !table.is_null() {
        // SAFETY: a table of the request.
        unsafe { httpd::apr_table_unset(table, name.as_ptr()) };
    }
}

/// Hands out a table's entries, in their order or against it.
fn each(table: *mut apr_table_t, is_reversed: bool, tell: &mut dyn FnMut(&[u8], &[u8])) {
    if table.is_null() {
        return;
    }
    // SAFETY: a table of the request, which nobody changes meanwhile: `tell` has no way to it. Its array
    // holds `nelts` entries of C text.
    let entries: &[httpd::apr_table_entry_t] = unsafe {
        let array = httpd::apr_table_elts(table);
        let count = usize::try_from((*array).nelts).unwrap_or(0);
        if count == 0 {
            return;
        }
        core::slice::from_raw_parts((*array).elts.cast(), count)
    };
    let mut tell_one = |entry: &httpd::apr_table_entry_t| {
        if !entry.key.is_null() && !entry.val.is_null() {
            // SAFETY: as above.
            let (name, value) = unsafe { (CStr::from_ptr(entry.key), CStr::from_ptr(entry.val)) };
            tell(name.to_bytes(), value.to_bytes());
        }
    };
    if is_reversed {
        entries.iter().rev().for_each(&mut tell_one);
    } else {
        entries.iter().for_each(&mut tell_one);
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
