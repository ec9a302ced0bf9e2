//! A tiny origin server for mod_proxy: it sends a response that never ends, or one with a pause.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::httpd::free_port;

/// Streams bytes to whoever asks, until the reader goes away or the test is over.
pub struct Backend {
    pub port: u16,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Backend {
    /// Streams without end.
    pub fn start() -> Backend {
        Backend::answering(stream_forever)
    }

    /// Says nothing for so long after the head of its response, then ends it.
    pub fn pausing(pause: Duration) -> Backend {
        Backend::answering(move |stream, is_over| pause_and_end(stream, pause, is_over))
    }

    fn answering(answer: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Backend {
        let (port, listener) = free_port();
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let acceptor =
            Some(std::thread::spawn(move || accept(&listener, &seen, &Arc::new(answer))));
        Backend { port, is_over, acceptor }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept<A>(listener: &TcpListener, is_over: &Arc<AtomicBool>, answer: &Arc<A>)
where
    A: Fn(TcpStream, &AtomicBool) + Send + Sync + 'static,
{
    let mut streams = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (is_over, answer) = (Arc::clone(is_over), Arc::clone(answer));
                streams.push(std::thread::spawn(move || answer(stream, &is_over)));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    for stream in streams {
        let _ = stream.join();
    }
}

fn pause_and_end(mut stream: TcpStream, pause: Duration, is_over: &AtomicBool) {
    let _ = stream.set_nonblocking(false);
    let mut request = [0; 4096];
    if stream.read(&mut request).unwrap_or(0) == 0 {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nab";
    let _ = stream.write_all(head.as_bytes());
    let deadline = std::time::Instant::now() + pause;
    while std::time::Instant::now() < deadline && !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = stream.write_all(b"cde");
}

fn stream_forever(mut stream: TcpStream, is_over: &AtomicBool) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
    let mut request = [0; 4096];
    if stream.read(&mut request).unwrap_or(0) == 0 {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    while !is_over.load(Ordering::Relaxed) {
        match stream.write(&[b'x'; 8192]) {
            Ok(_) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
