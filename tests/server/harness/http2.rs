//! HTTP/2 clients: curl for whole exchanges, and a connection of our own that can be held open.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::Httpd;
use super::client::{Client, Connection, Response};

/// curl, from an address of choice.
pub struct Curl {
    command: Command,
    base: String,
}

/// How a run of curl ended.
#[derive(Debug)]
pub struct CurlOutcome {
    /// curl's exit code: 0 when every URL was answered.
    pub code: i32,
    pub responses: Vec<Response>,
    /// Connections that were opened for each URL: 1 for a new one, 0 for a reused one.
    pub connects: Vec<u32>,
}

impl Curl {
    /// Cleartext HTTP/2 by an upgrade from HTTP/1.1. (With prior knowledge some versions of curl
    /// cannot use a connection twice; `Http2Connection` can.)
    pub fn cleartext(httpd: &Httpd, source: &str) -> Curl {
        Curl::new(httpd, source, "http", "--http2")
    }

    /// HTTP/2 over TLS.
    pub fn tls(httpd: &Httpd, source: &str) -> Curl {
        Curl::new(httpd, source, "https", "--http2")
    }

    /// HTTP/1.1 over TLS.
    pub fn tls_http1(httpd: &Httpd, source: &str) -> Curl {
        Curl::new(httpd, source, "https", "--http1.1")
    }

    fn new(httpd: &Httpd, source: &str, scheme: &str, version: &str) -> Curl {
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "-k", "-i", version, "--interface", source, "-m", "20"]);
        command.args(["--noproxy", "*", "-w", "\n@@connects=%{num_connects}\n"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Curl { command, base: format!("{scheme}://127.0.0.1:{}", httpd.port()) }
    }

    /// Adds options of curl's own.
    pub fn with(mut self, options: &[&str]) -> Curl {
        self.command.args(options);
        self
    }

    /// Gets the paths one after the other, on one connection as long as the server allows it.
    pub fn get(mut self, paths: &[&str]) -> CurlOutcome {
        for path in paths {
            self.command.arg(format!("{}{path}", self.base));
        }
        let output = self.command.output().expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        let mut outcome = CurlOutcome {
            code: output.status.code().unwrap_or(-1),
            responses: Vec::new(),
            connects: Vec::new(),
        };
        let mut rest = text.as_str();
        while let Some((transfer, after)) = rest.split_once("\n@@connects=") {
            let (count, next) = after.split_once('\n').unwrap_or((after, ""));
            outcome.connects.push(count.trim().parse().unwrap_or(0));
            // An upgrade is announced by a head of its own.
            let transfer = match transfer.split_once("\n\n") {
                Some((head, after)) if head.starts_with("HTTP/1.1 101") => after,
                _ => transfer,
            };
            if let Some((head, body)) = transfer.split_once("\n\n") {
                outcome.responses.extend(
                    Response::parse_head(head.as_bytes())
                        .map(|response| Response { body: body.as_bytes().to_vec(), ..response }),
                );
            }
            rest = next;
        }
        outcome
    }
}

/// A cleartext HTTP/2 connection that stays open until it is dropped. It knows just enough of the
/// protocol: requests without a body, and of the answer the status and the end.
pub struct Http2Connection {
    connection: Connection,
    next_stream: u32,
    has_goaway: bool,
}

/// How a server ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Http2End {
    /// It announced the end.
    Goaway,
    ClosedWithoutGoaway,
    StillOpen,
}

/// Type, flags, stream, payload.
type Frame = (u8, u8, u32, Vec<u8>);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Http2Connection {
    /// Connects and sends the preface.
    pub fn open(client: &Client) -> Http2Connection {
        let mut connection = client.connect();
        let _ = connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let _ = connection.send(&frame(SETTINGS, 0, 0, &[]));
        Http2Connection { connection, next_stream: 1, has_goaway: false }
    }

    /// Requests paths as streams side by side; their status in the order of the paths, None for
    /// one that was not answered.
    pub fn get(&mut self, paths: &[&str]) -> Vec<Option<u16>> {
        let first = self.next_stream;
        // All at once: a server that says goodbye serves what it has seen by then.
        let mut bytes = Vec::new();
        for path in paths {
            let block = header_block(path);
            bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, self.next_stream, &block));
            self.next_stream += 2;
        }
        if self.connection.send(&bytes).is_err() {
            return vec![None; paths.len()];
        }
        let mut answers: Vec<Option<u16>> = vec![None; paths.len()];
        let mut open = paths.len();
        while open > 0 {
            let Some((kind, flags, stream, payload)) = self.next_frame() else { return answers };
            if stream < first {
                continue;
            }
            let index = ((stream - first) / 2) as usize;
            if kind == HEADERS {
                answers[index] = status_of(&payload);
            }
            let ends = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
            if ends || kind == RST_STREAM {
                open -= 1;
            }
        }
        answers
    }

    /// How the server ends the connection, within the patience.
    pub fn end(&mut self) -> Http2End {
        while !self.has_goaway {
            match self.read_frame() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Http2End::StillOpen,
                Err(_) => return Http2End::ClosedWithoutGoaway,
            }
        }
        Http2End::Goaway
    }

    fn next_frame(&mut self) -> Option<Frame> {
        self.read_frame().ok()
    }

    fn read_frame(&mut self) -> std::io::Result<Frame> {
        let head = self.connection.read_exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let payload = self.connection.read_exactly(length)?;
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => {
                let _ = self.connection.send(&frame(SETTINGS, ACK, 0, &[]));
            }
            GOAWAY => self.has_goaway = true,
            _ => {}
        }
        Ok((head[3], head[4], stream, payload))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A GET in HPACK's plainest form: static table entries, and literals that nobody remembers.
fn header_block(path: &str) -> Vec<u8> {
    const METHOD_GET: u8 = 0x82;
    const SCHEME_HTTP: u8 = 0x86;
    const LITERAL_AUTHORITY: u8 = 0x01;
    const LITERAL_PATH: u8 = 0x04;
    let mut block = vec![METHOD_GET, SCHEME_HTTP];
    for (name, value) in [(LITERAL_AUTHORITY, "localhost"), (LITERAL_PATH, path)] {
        block.push(name);
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// The status, which is the first field of a response. Seven have an entry in the static table,
/// others come as a literal of that entry's name, their three digits plain or in Huffman code.
fn status_of(block: &[u8]) -> Option<u16> {
    // A size update of the dynamic table may stand before.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    match block[start] {
        0x88 => Some(200),
        0x89 => Some(204),
        0x8a => Some(206),
        0x8b => Some(304),
        0x8c => Some(400),
        0x8d => Some(404),
        0x8e => Some(500),
        _ => {
            let length = *block.get(start + 1)?;
            let value = block.get(start + 2..start + 2 + usize::from(length & 0x7f))?;
            if length & 0x80 == 0 {
                return std::str::from_utf8(value).ok()?.parse().ok();
            }
            huffman_digits(value)
        }
    }
}

/// Digits in HPACK's Huffman code: 0, 1, 2 have the five-bit codes 0 to 2; 3 to 9 the six-bit ones
/// from 011001.
fn huffman_digits(bytes: &[u8]) -> Option<u16> {
    let bits: Vec<u8> = bytes.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1)).collect();
    let value = |from: usize, count: usize| {
        bits.get(from..from + count)
            .map(|bits| bits.iter().fold(0u16, |v, b| v << 1 | u16::from(*b)))
    };
    let mut at = 0;
    let mut number = 0;
    for _ in 0..3 {
        let short = value(at, 5)?;
        let digit = if short < 3 {
            at += 5;
            short
        } else {
            let long = value(at, 6)?;
            at += 6;
            long.checked_sub(0b01_1001)? + 3
        };
        number = number * 10 + digit;
    }
    Some(number)
}
