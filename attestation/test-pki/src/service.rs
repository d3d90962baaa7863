//! [`CollateralService`]: gives a bundle out as Intel's provisioning certification service does, in parts and over plain HTTP.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Bundle;

/// A server on a port of this computer, for the rest of the process's life.
#[derive(Clone, Debug)]
pub struct CollateralService {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bundle: Mutex<Bundle>,
    /// Whether it answers with errors only.
    is_out_of_order: AtomicBool,
    requests: AtomicUsize,
}

impl CollateralService {
    /// Starts one that has `bundle`.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start(bundle: Bundle) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let shared = Shared { bundle: Mutex::new(bundle), is_out_of_order: false.into(), requests: 0.into() };
        let service = Self { address: listener.local_addr()?, shared: Arc::new(shared) };
        let shared = Arc::clone(&service.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // An asker that leaves is none of our business.
                let _ = shared.answer(stream);
            }
        });
        Ok(service)
    }

    /// Where it is: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests it has had.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// From now on it gives out this.
    pub fn replace(&self, bundle: Bundle) {
        *self.shared.bundle.lock().unwrap_or_else(PoisonError::into_inner) = bundle;
    }

    /// From now on it answers with errors.
    pub fn break_down(&self) {
        self.shared.is_out_of_order.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let target = request.split(' ').nth(1).unwrap_or_default();
        let mut stream = reader.into_inner();
        let Some((header, body)) = self.find(target) else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
        stream.write_all(&body)
    }

    /// Header and body for a target.
    fn find(&self, target: &str) -> Option<(String, Vec<u8>)> {
        if self.is_out_of_order.load(Ordering::SeqCst) {
            return None;
        }
        let bundle = self.bundle.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let document = |name: &str, text: &str, signature: &str| {
            format!("{{\"{name}\":{text},\"signature\":\"{signature}\"}}").into_bytes()
        };
        let chain = |name: &str, chain: &str| format!("{name}: {}\r\n", percent_encoded(chain));
        Some(match path {
            "/tdx/certification/v4/tcb" if query.starts_with("fmspc=") => (
                chain("TCB-Info-Issuer-Chain", &bundle.tcb_info_issuer_chain),
                document("tcbInfo", &bundle.tcb_info, &bundle.tcb_info_signature),
            ),
            "/tdx/certification/v4/qe/identity" => (
                chain("SGX-Enclave-Identity-Issuer-Chain", &bundle.qe_identity_issuer_chain),
                document("enclaveIdentity", &bundle.qe_identity, &bundle.qe_identity_signature),
            ),
            "/sgx/certification/v4/pckcrl" if query == "ca=platform&encoding=der" => (
                chain("SGX-PCK-CRL-Issuer-Chain", &bundle.pck_crl_issuer_chain),
                hex::decode(&bundle.pck_crl).ok()?,
            ),
            // This one is in hexadecimal, as with Intel's own caching service.
            "/sgx/certification/v4/rootcacrl" => (String::new(), bundle.root_ca_crl.clone().into_bytes()),
            _ => return None,
        })
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
