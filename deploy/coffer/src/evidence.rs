//! A machine's evidence, from a file (docs/attestation.md, "Evidence in one file") or from the machine itself ([`Host`]).
//!
//! The machine is asked over TLS. Nobody vouches for its key but the quote, which is bound to that key and to a nonce of ours; so any certificate will do,
//! and what counts is the key that the connection was made with.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use attestation_evidence::report_data::{self, NONCE_LENGTH};
use attestation_policy::{BoundTo, Circumstances};
use attestation_verify::subject_public_key_info;
use runtime_evidence::{Document, Hardware, VERSION};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use sha2::{Digest as _, Sha384};

use crate::judging::{Asked, FILE_LIMIT, Held, Judging, Verdict, read};
use crate::tls;

/// How long one question may take, from the connection to the last byte of the answer. A host may take 30 seconds for a quote, and others may have
/// asked before.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a machine is asked again that says that too many ask, and the pause between.
const INSISTENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);

/// Reads a file.
pub fn load(path: &Path) -> anyhow::Result<Held> {
    held(path.display().to_string(), &read(path, FILE_LIMIT)?)
}

/// Makes sense of one.
fn held(source: String, bytes: &[u8]) -> anyhow::Result<Held> {
    let not_evidence = || format!("{source} is not evidence of a machine");
    let document: Document = serde_json::from_slice(bytes).with_context(not_evidence)?;
    ensure!(document.version == VERSION, "{source} is of version {}, not {VERSION}", document.version);
    match (document.hardware, &document.quote) {
        (Hardware::Tdx, None) => bail!("{source} has no quote, and does not say that there is no hardware"),
        (Hardware::None, Some(_)) => bail!("{source} has a quote, and says that there is no hardware"),
        _ => {}
    }
    Ok(Held {
        source,
        quote: document.quote.map(|quote| quote.0),
        event_log: document.event_log.map(|log| log.0),
        runtime_log: document.runtime_log.map(|log| log.0),
    })
}

/// A machine's evidence port.
#[derive(Clone, Debug)]
pub struct Host {
    /// `host:port`.
    pub address: String,
}

/// The machine answers 429.
#[derive(Debug)]
struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("too many ask it for evidence: try again later")
    }
}

impl std::error::Error for Busy {}

/// What a machine answers.
#[derive(Debug)]
pub struct Answer {
    pub held: Held,
    pub asked: Asked,
    /// The key of the connection (SubjectPublicKeyInfo).
    pub key: Vec<u8>,
}

impl Host {
    /// Asks for evidence with a new nonce, and judges it.
    pub fn judge(&self, judging: &Judging) -> anyhow::Result<(Answer, Verdict)> {
        let answer = self.ask()?;
        let verdict = judging.judge(&answer.held, &answer.asked)?;
        Ok((answer, verdict))
    }

    /// Asks for evidence with a new nonce, and again for a while if too many ask.
    pub fn ask(&self) -> anyhow::Result<Answer> {
        let start = Instant::now();
        loop {
            match self.ask_once() {
                Err(error) if error.is::<Busy>() && start.elapsed() < INSISTENCE => sleep(PAUSE),
                result => return result,
            }
        }
    }

    fn ask_once(&self) -> anyhow::Result<Answer> {
        let mut nonce = [0; NONCE_LENGTH];
        let random = ring::default_provider().secure_random.fill(&mut nonce);
        random.ok().context("this computer has no random numbers")?;
        let start = Instant::now();
        let cannot = || format!("cannot ask {} for evidence", self.address);
        let (key, body) =
            self.get(&format!("/v1/evidence?nonce={}", hex::encode(nonce)), PATIENCE).with_context(cannot)?;
        let asked = Asked {
            report_data: Some(report_data::fresh(&nonce, &key)),
            circumstances: Circumstances {
                has_nonce: true,
                nonce_age: Some(start.elapsed()),
                bound_to: Some(BoundTo::TlsKey(Sha384::digest(&key).into())),
            },
            needs_runtime_log: true,
        };
        Ok(Answer { held: held(self.address.clone(), &body)?, asked, key })
    }

    /// One request, which may take so long; gives the connection's key and the body of the answer.
    fn get(&self, target: &str, patience: Duration) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let deadline = Instant::now() + patience;
        let addresses = self.address.to_socket_addrs()?;
        let socket = Timed { socket: connect(addresses)?, deadline };
        let (host, _) = self.address.rsplit_once(':').unwrap_or((&self.address, ""));
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let mut stream = StreamOwned::new(ClientConnection::new(tls::any_server()?, name)?, socket);
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        // A machine is not trusted yet: it may send what it likes, but not for ever.
        (&mut stream).take(FILE_LIMIT).read_to_end(&mut answer)?;
        let certificate = stream.conn.peer_certificates().and_then(|all| all.first());
        let certificate = certificate.context("it shows no certificate")?;
        let key = subject_public_key_info(certificate).map_err(anyhow::Error::msg)?;
        Ok((key, body(&answer)?.to_vec()))
    }
}

/// A connection that ends at a time, however slowly the other side goes on sending.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long to answer"));
        }
        Ok(Some(left))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn connect(addresses: impl Iterator<Item = std::net::SocketAddr>) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, tls::PATIENCE) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("it has no address"),
    }
}

/// The body of an answer, if it is a good one.
fn body(answer: &[u8]) -> anyhow::Result<&[u8]> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("it does not speak HTTP")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    match status {
        b"200" => return Ok(body),
        b"429" => bail!(Busy),
        _ => {}
    }
    let message = serde_json::from_slice::<serde_json::Value>(body).ok();
    let message = message.as_ref().and_then(|json| json["message"].as_str()).unwrap_or_default();
    // Without what would move the cursor of the caller's terminal.
    let message: String = message.chars().filter(|character| !character.is_control()).take(200).collect();
    bail!("it answers {}: {message}", String::from_utf8_lossy(status))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::Host;

    #[test]
    fn a_machine_that_goes_on_for_ever_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (started, start) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            started.send(()).unwrap();
            // A record of the handshake that never ends, byte by byte: each read of it is quick.
            let mut next = [22, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(0));
            while next.next().is_some_and(|byte| socket.write_all(&[byte]).is_ok()) {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let error = Host { address }.get("/", Duration::from_millis(300)).unwrap_err();
        start.recv().unwrap();
        assert!(error.to_string().contains("too long"), "{error:#}");
    }
}
