//! An origin server behind a gate: requests wait there until the test lets them through, so they last
//! exactly as long as a test needs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::httpd::free_port;
use super::{PATIENCE, wait_until};

/// The origin server. All requests are let through when it is dropped.
pub struct Gate {
    pub port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// Paths in the order in which they came.
    arrived: Vec<String>,
    /// How many of them may go.
    let_through: usize,
    is_open: bool,
    is_over: bool,
}

impl Gate {
    pub fn start() -> Gate {
        let (port, listener) = free_port();
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let seen = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || {
            while !seen.0.lock().expect("no test panics here").is_over {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let state = Arc::clone(&seen);
                        std::thread::spawn(move || answer(stream, &state));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Gate { port, state, acceptor: Some(acceptor) }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.0.lock().expect("no test panics here"));
        self.state.1.notify_all();
        result
    }

    /// Paths that have come so far, in their order.
    pub fn arrived(&self) -> Vec<String> {
        self.change(|state| state.arrived.clone())
    }

    /// Waits until so many requests have come since the start.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let what = format!("{count} requests reach the origin server");
        wait_until(&what, PATIENCE, || self.arrived().len() >= count);
    }

    /// Lets one more request through, in the order in which they came.
    pub fn let_one_through(&self) {
        self.change(|state| state.let_through += 1);
    }

    /// Lets all through from now on.
    pub fn open(&self) {
        self.change(|state| state.is_open = true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.change(|state| (state.is_open, state.is_over) = (true, true));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn answer(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut request = [0; 8192];
    let length = stream.read(&mut request).unwrap_or(0);
    let head = String::from_utf8_lossy(&request[..length]).into_owned();
    let Some(path) = head.split(' ').nth(1) else { return };
    let (lock, changed) = state;
    let mut guard = lock.lock().expect("no test panics here");
    guard.arrived.push(path.to_owned());
    let number = guard.arrived.len();
    let _guard = changed
        .wait_while(guard, |state| !state.is_open && state.let_through < number)
        .expect("no test panics here");
    drop(_guard);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthere";
    let _ = stream.write_all(answer.as_bytes());
}
