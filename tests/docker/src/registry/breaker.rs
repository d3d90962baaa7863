//! A proxy before a registry that breaks what comes through, in ways that networks and bad servers do.
//!
//! Written by hand: proxies that exist take care not to do this. One request a connection, plain HTTP, answers with a `Content-Length`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// What is done to answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// One bit of this blob or manifest is another.
    FlipBit(String),
    /// This blob ends in the middle, the first time it is asked for.
    CutOnce(String),
    /// This blob ends in the middle, and from then on nobody answers.
    CutForGood(String),
}

/// The proxy. It goes on until the process ends.
#[derive(Debug)]
pub struct Breaker {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
}

/// How long one read or write may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Breaker {
    /// Listens on a free port, before the registry at `registry`.
    pub fn start(registry: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = listener.local_addr()?;
        let fault = Arc::new(Mutex::new(Fault::None));
        let shared = Arc::clone(&fault);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fault = Arc::clone(&shared);
                // What goes wrong here goes wrong for the client as well, which is what is looked at.
                thread::spawn(move || drop(serve(stream, registry, &fault)));
            }
        });
        Ok(Self { address, fault })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is done from now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// One request and its answer.
fn serve(mut client: TcpStream, registry: SocketAddr, fault: &Mutex<Fault>) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let head = head(&mut BufReader::new(&client))?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut server = TcpStream::connect(registry)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |end| end + 4);

    let middle = body + (answer.len() - body) / 2;
    let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
    match &*fault {
        Fault::FlipBit(digest) if path.ends_with(digest.as_str()) => {
            if let Some(byte) = answer.get_mut(middle) {
                *byte ^= 1;
            }
        }
        Fault::CutOnce(digest) if path.ends_with(digest.as_str()) => {
            answer.truncate(middle);
            *fault = Fault::None;
        }
        Fault::CutForGood(digest) if digest.is_empty() => answer.clear(),
        Fault::CutForGood(digest) if path.ends_with(digest.as_str()) => {
            answer.truncate(middle);
            *fault = Fault::CutForGood(String::new());
        }
        _ => {}
    }
    drop(fault);
    client.write_all(&answer)
}

/// The head of a request, up to and with the empty line.
fn head(reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}
