//! A proxy in front of the S3 server that injects faults.
//!
//! It accepts one request per connection and forwards it unchanged, with the `Host` that the client signed. So the
//! server still checks every signature. Each connection has a thread. A test makes at most a few hundred connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::s3::{self, Identity, S3Server};

const OVERWRITTEN: &[u8] = b"HTTP/1.1 200 OK\r\nETag: \"new\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The fault that a request gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The proxy responds with 503 SlowDown. The server never receives the request.
    Throttled,
    /// The connection closes without a response. The server never receives the request.
    Dropped,
    /// The client receives the head and half of the body of the response, then the connection closes.
    BrokenOff,
    /// The client receives half of the body, with headers as if it were complete.
    Shortened,
    /// The server executes the request, but the connection closes without a response.
    Unheard,
    /// One of `Throttled`, `Dropped`, `BrokenOff` and `Unheard`, at random.
    Mixed,
    /// The proxy holds the request. The server never receives it, and the client never gets a response.
    HeldBefore,
    /// The server executes the request, but the client waits and never gets a response.
    HeldAfter,
    /// A refusal becomes a success, like a store that ignores the condition of a PUT and overwrites.
    Careless,
}

/// Injects a fault into `times` matching requests, after it skips the first `skip` of them.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) applies: fn(&Request) -> bool,
    pub(crate) skip: usize,
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The lines without line ends. The first is the request line.
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn is_get_of_object(&self) -> bool {
        self.method == "GET" && self.path.split('?').next().is_some_and(|key| key.ends_with(".json"))
    }

    /// True if the request changes anything in the store.
    pub(crate) fn is_change(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }

    /// True for a conditional PUT into the log of a table, which must not overwrite.
    pub(crate) fn is_commit(&self) -> bool {
        self.method == "PUT" && self.path.contains("/_delta_log/") && self.header("if-none-match").is_some()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let of_name = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        let line = self.head.iter().map(String::as_str).skip(1).find(of_name)?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

#[derive(Debug)]
pub(crate) struct FaultProxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    upstream: u16,
    rule: Mutex<Rule>,
    faults: AtomicUsize,
    /// Requests that the server executed while the proxy holds the response.
    held: AtomicUsize,
}

impl FaultProxy {
    /// Listens until the tests end.
    pub(crate) fn start(server: &S3Server, rule: Rule) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: server.port(),
            rule: Mutex::new(rule),
            faults: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that disconnects early is not an error of the proxy.
                thread::spawn(move || state.serve(client));
            }
        });
        Self { port, state }
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        s3::variables(self.port, Identity::Owner)
    }

    /// True if a held request has reached its point: before or after the server.
    pub(crate) fn holds(&self) -> bool {
        match self.state.rule.lock().unwrap().fault {
            Fault::HeldAfter => self.state.held.load(Ordering::Relaxed) > 0,
            _ => self.faults() > 0,
        }
    }

    /// The number of injected faults. A test without any fault has tested nothing.
    pub(crate) fn faults(&self) -> usize {
        self.state.faults.load(Ordering::Relaxed)
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read_request(&mut client)?;
        let fault = self.next_fault(&request).map(|fault| match fault {
            Fault::Mixed => {
                let mixed = [Fault::Throttled, Fault::Dropped, Fault::BrokenOff, Fault::Unheard];
                mixed[rand::random_range(0..mixed.len())]
            }
            fault => fault,
        });
        match fault {
            None => client.write_all(&self.pass_on(&request)?),
            Some(Fault::Throttled) => client.write_all(&slow_down()),
            Some(Fault::Dropped) => Ok(()),
            Some(Fault::BrokenOff) => {
                let (head, body) = split(self.pass_on(&request)?);
                client.write_all(&head)?;
                client.write_all(&body[..body.len() / 2])
            }
            Some(Fault::Shortened) => {
                let (head, body) = split(self.pass_on(&request)?);
                client.write_all(&with_length(&head, body.len() / 2))?;
                client.write_all(&body[..body.len() / 2])
            }
            Some(Fault::Unheard | Fault::Mixed) => self.pass_on(&request).map(drop),
            Some(Fault::HeldBefore) => hold(client),
            Some(Fault::HeldAfter) => {
                self.pass_on(&request)?;
                self.held.fetch_add(1, Ordering::Relaxed);
                hold(client)
            }
            Some(Fault::Careless) => {
                let answer = self.pass_on(&request)?;
                let is_refusal = answer.starts_with(b"HTTP/1.1 412");
                client.write_all(if is_refusal { OVERWRITTEN } else { &answer })
            }
        }
    }

    fn next_fault(&self, request: &Request) -> Option<Fault> {
        let mut rule = self.rule.lock().unwrap();
        if rule.times == 0 || !(rule.applies)(request) {
            return None;
        }
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        self.faults.fetch_add(1, Ordering::Relaxed);
        Some(rule.fault)
    }

    /// Forwards the request and returns the whole response of the server.
    fn pass_on(&self, request: &Request) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(("127.0.0.1", self.upstream))?;
        let kept = request.head.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
        let head: String = kept.map(|line| format!("{line}\r\n")).collect();
        server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        server.write_all(&request.body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Keeps the connection open until the client closes it.
fn hold(mut client: TcpStream) -> io::Result<()> {
    client.read(&mut [0; 1]).map(drop)
}

fn read_request(client: &mut TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(client);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut words = head.first().map_or("", String::as_str).split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, head, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(request)
}

/// Splits a response into its head, with the empty line that ends it, and its body.
fn split(mut answer: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |start| start + 4);
    let body = answer.split_off(end);
    (answer, body)
}

fn with_length(head: &[u8], length: usize) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let lines = head.lines().filter(|line| !line.is_empty());
    let kept: String = lines
        .filter(|line| !line.to_lowercase().starts_with("content-length:"))
        .fold(String::new(), |kept, line| kept + line + "\r\n");
    format!("{kept}Content-Length: {length}\r\n\r\n").into_bytes()
}

fn slow_down() -> Vec<u8> {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    let head = "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
