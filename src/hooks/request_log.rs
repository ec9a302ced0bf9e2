//! The line of a request for the program of QSLog.

use crate::hooks::live::Live;
use crate::httpd::connection::Connection;
use crate::httpd::piped_log::PipedLog;
use qos_engine::context::RequestView;
use qos_engine::rules::request_log::{self, Entry, LINES_LOST, Line};

/// Writes the line, where there is a program to read it.
pub fn write(live: &Live) {
    if let Some(log) = live.config().request_log.get() {
        write_to(log, live);
    }
}

/// By itself: a line takes 8 KB of the stack, which requests shall not touch where none is written.
#[inline(never)]
fn write_to(log: PipedLog, live: &Live) {
    // What the client asked for, with all that it was called by mod_dir; what was answered.
    let (first, last) = (live.request.first(), live.request.last());
    let (Some(connection), view) = (first.connection(), first.view()) else { return };
    let line = Line::of(&Entry {
        peer: connection.as_ref(),
        status: last.status(),
        sent: last.sent(),
        content_length: view.header(c"Content-Length"),
        micros: first.micros_since(),
        user: view.variable(request_log::USER_ID),
        kept: Connection::kept_requests(connection).saturating_sub(1),
        events: view.variable(request_log::EVENT),
        letters: view.variable(request_log::LETTERS),
        connections: view.variable(request_log::CONNECTIONS),
        server: first.server_name(),
        path: first.path(),
    });
    if !log.write(line.octets()) {
        live.shared().store.totals.count(LINES_LOST.number);
    }
}
