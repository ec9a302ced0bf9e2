//! HTTP/1 clients over plain sockets, good and bad ones, from an address of choice.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::PATIENCE;

/// What became of a connection on which a request was sent, or which was just opened.
#[derive(Clone, Debug)]
pub enum Outcome {
    Served(Response),
    /// The server closed without a byte.
    Closed,
    Reset,
    /// The server closed or reset in the middle of a response.
    Truncated,
    /// Nothing came within the client's patience; the connection is open.
    TimedOut,
}

impl Outcome {
    /// Closed or reset without a byte: how a client sees that its connection is denied.
    pub fn is_refused(&self) -> bool {
        matches!(self, Outcome::Closed | Outcome::Reset)
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Outcome::Served(response) => Some(response.status),
            _ => None,
        }
    }

    /// The response; fails the test when there is none.
    #[track_caller]
    pub fn served(self) -> Response {
        match self {
            Outcome::Served(response) => response,
            other => panic!("expected a response, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn assert_refused(&self) {
        assert!(self.is_refused(), "expected a refused connection, got {self:?}");
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// An environment variable of the request, of those in `config::SHOWN`.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.header(&format!("X-Var-{name}")).filter(|value| *value != "(null)")
    }

    /// A variable that holds a number.
    #[track_caller]
    pub fn count(&self, name: &str) -> i64 {
        let value = self.var(name).unwrap_or_else(|| panic!("{name} is not set: {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub fn parse_head(head: &[u8]) -> Option<Response> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Some(Response { status, headers, body: Vec::new() })
    }
}

/// Somebody with an address. Each `get` is a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub source: IpAddr,
    pub server: SocketAddr,
    pub patience: Duration,
}

impl Client {
    pub fn new(source: &str, server: SocketAddr) -> Client {
        let source = source.parse().unwrap_or_else(|_| panic!("{source} is no address"));
        Client { source, server, patience: PATIENCE }
    }

    /// Connects; httpd has not necessarily accepted when this returns.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| {
            panic!("cannot connect from {} to {}: {error}", self.source, self.server)
        })
    }

    pub fn try_connect(&self) -> std::io::Result<Connection> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(self.source, 0).into())?;
        socket.connect_timeout(&self.server.into(), self.patience)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Connection { stream, patience: self.patience, host: self.server })
    }

    /// One request on a connection of its own, which is closed afterwards.
    pub fn get(&self, path: &str) -> Outcome {
        self.connect().get_and_close(path)
    }

    /// A connection on which one request was served and which is kept open.
    #[track_caller]
    pub fn hold(&self) -> Connection {
        let mut connection = self.connect();
        let response = connection.get("/index.html").served();
        assert_eq!(response.status, 200, "a held connection starts with a good request");
        connection
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    patience: Duration,
    host: SocketAddr,
}

impl Connection {
    /// A request on this connection, which stays open if the server agrees.
    pub fn get(&mut self, path: &str) -> Outcome {
        self.get_with(path, "")
    }

    /// The same with header lines, each ended by CR LF.
    pub fn get_with(&mut self, path: &str, headers: &str) -> Outcome {
        let host = self.host;
        if let Err(outcome) =
            self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes())
        {
            return outcome;
        }
        self.response()
    }

    pub fn get_and_close(mut self, path: &str) -> Outcome {
        self.get_with(path, "Connection: close\r\n")
    }

    /// Sends bytes as they are: half a request line, half a head, anything.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        self.stream.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Outcome::TimedOut,
            _ => Outcome::Reset,
        })
    }

    /// Sends bytes one by one, with a pause after each.
    pub fn send_slowly(&mut self, bytes: &[u8], pause: Duration) -> Result<(), Outcome> {
        for byte in bytes {
            self.send(std::slice::from_ref(byte))?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Waits for a whole response.
    pub fn response(&mut self) -> Outcome {
        let deadline = Instant::now() + self.patience;
        let mut bytes = Vec::new();
        let end_of_head = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at;
            }
            match self.read(&mut bytes, deadline) {
                Ok(0) if bytes.is_empty() => return Outcome::Closed,
                Ok(0) => return Outcome::Truncated,
                Ok(_) => {}
                Err(outcome) if bytes.is_empty() => return outcome,
                Err(_) => return Outcome::Truncated,
            }
        };
        let Some(mut response) = Response::parse_head(&bytes[..end_of_head]) else {
            return Outcome::Truncated;
        };
        let mut body = bytes.split_off(end_of_head + 4);
        let length: Option<usize> =
            response.header("Content-Length").and_then(|value| value.parse().ok());
        let is_chunked = response.header("Transfer-Encoding").is_some();
        let has_no_body = matches!(response.status, 100..=199 | 204 | 304);
        loop {
            let is_complete = match length {
                _ if has_no_body => true,
                Some(length) => body.len() >= length,
                None if is_chunked => body.ends_with(b"0\r\n\r\n"),
                None => false,
            };
            if is_complete {
                break;
            }
            match self.read(&mut body, deadline) {
                Ok(0) if length.is_none() && !is_chunked => break,
                Ok(0) => return Outcome::Truncated,
                Ok(_) => {}
                Err(_) => return Outcome::Truncated,
            }
        }
        response.body = body;
        Outcome::Served(response)
    }

    fn read(&mut self, into: &mut Vec<u8>, deadline: Instant) -> Result<usize, Outcome> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Outcome::TimedOut);
        }
        self.stream.set_read_timeout(Some(left)).expect("a positive time");
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                into.extend_from_slice(&buffer[..count]);
                Ok(count)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Outcome::TimedOut),
                _ => Err(Outcome::Reset),
            },
        }
    }

    /// Reads at least this many bytes of whatever the server sends.
    pub fn read_at_least(&mut self, count: usize) -> Result<Vec<u8>, Outcome> {
        let deadline = Instant::now() + self.patience;
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if self.read(&mut bytes, deadline)? == 0 {
                return Err(Outcome::Closed);
            }
        }
        Ok(bytes)
    }

    /// Reads exactly this many bytes.
    pub fn read_exactly(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        self.stream.set_read_timeout(Some(self.patience))?;
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Says nothing and looks what the server does within the given time.
    pub fn watch(&mut self, patience: Duration) -> Outcome {
        match self.read(&mut Vec::new(), Instant::now() + patience) {
            Ok(0) => Outcome::Closed,
            Ok(_) => Outcome::Truncated,
            Err(outcome) => outcome,
        }
    }

    /// Says nothing until the server has closed or reset the connection.
    pub fn watch_until_closed(&mut self) -> Outcome {
        self.watch(self.patience)
    }

    /// Whether the server has reset the connection, even while octets that came before are still unread.
    pub fn is_reset(&self) -> bool {
        !matches!(self.stream.take_error(), Ok(None))
    }

    /// Takes only this many bytes from the network at a time, so that a response backs up.
    pub fn shrink_receive_buffer(&self, bytes: usize) {
        SockRef::from(&self.stream).set_recv_buffer_size(bytes).expect("a buffer size");
    }

    /// Closes with a reset instead of an orderly end.
    pub fn abort(self) {
        let socket = SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
    }

    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        self.host
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
