//! Somebody between a machine and whoever asks it: [`ask`] is the question, [`Impostor`] answers with a key of its own and evidence from elsewhere,
//! [`Switch`] leads to one place, and later to another.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, ensure};
use attestation_evidence::{Quote, report_data};
use attestation_verify::subject_public_key_info;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};

use super::Bench;

/// What a machine answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// Evidence in JSON.
    pub body: Vec<u8>,
}

/// Asks a machine for evidence with that nonce.
pub fn ask(address: &str, nonce: &[u8; 32]) -> anyhow::Result<Answer> {
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    get(address, &format!("/v1/evidence?nonce={nonce}"))
}

fn get(address: &str, target: &str) -> anyhow::Result<Answer> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::from(Ipv4Addr::LOCALHOST))?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address)?);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: machine\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let certificate = stream.conn.peer_certificates().and_then(<[_]>::first).context("no certificate")?;
    let certificate = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.to_vec()));
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    Ok(Answer { certificate, body: answer.split_off(end + 4) })
}

/// A server with a key of its own.
#[derive(Debug)]
pub struct Impostor {
    /// Where it is.
    pub address: String,
    /// Its certificate, in PEM.
    pub certificate: String,
}

impl Impostor {
    /// One that answers what `evidence` makes of the target of a request. It lives as long as this process.
    pub fn start(
        evidence: impl Fn(&str) -> anyhow::Result<Vec<u8>> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&key)?;
        let pem = certificate.pem();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that is not content goes away.
                let _ = answer(&config, socket, &evidence);
            }
        });
        Ok(Self { address, certificate: pem })
    }
}

fn answer(
    config: &Arc<ServerConfig>,
    socket: TcpStream,
    evidence: &impl Fn(&str) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, socket);
    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).context("no target")?;
    let body = evidence(target)?;
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    Ok(stream.flush()?)
}

/// Evidence of the machine at `address`, for whatever target.
pub fn forward(address: &str, target: &str) -> anyhow::Result<Vec<u8>> {
    Ok(get(address, target)?.body)
}

/// A way to somewhere, byte for byte.
#[derive(Debug)]
pub struct Switch {
    /// Where it begins.
    pub address: String,
    to: Arc<Mutex<String>>,
}

impl Switch {
    /// One that leads there. It lives as long as this process.
    pub fn start(to: &str) -> anyhow::Result<Self> {
        let to = Arc::new(Mutex::new(to.to_owned()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let now = Arc::clone(&to);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let to = now.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Ok(server) = TcpStream::connect(to) {
                    join(client, server);
                }
            }
        });
        Ok(Self { address, to })
    }

    /// Leads new connections elsewhere.
    pub fn lead(&self, to: &str) {
        to.clone_into(&mut self.to.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn join(client: TcpStream, server: TcpStream) {
    let Ok((mut client_again, mut server_again)) =
        client.try_clone().and_then(|client| Ok((client, server.try_clone()?)))
    else {
        return;
    };
    let (mut client, mut server) = (client, server);
    let shut = |socket: &TcpStream| drop(socket.shutdown(std::net::Shutdown::Write));
    thread::spawn(move || {
        let _ = std::io::copy(&mut client, &mut server);
        shut(&server);
    });
    thread::spawn(move || {
        let _ = std::io::copy(&mut server_again, &mut client_again);
        shut(&client_again);
    });
}

/// RA-TLS: whoever sees the certificate has a quote about its key.
pub fn the_certificate_has_its_own_quote(bench: &Bench) -> anyhow::Result<()> {
    const TYPE: &[u8] = b"[\"application/vnd.coffer.tdx-quote\",\"";
    let address = bench.evidence()?;
    let answer = ask(&address, &[1; 32])?;
    let der = pem::parse(&answer.certificate)?.into_contents();
    let start = der.windows(TYPE.len()).position(|window| window == TYPE).context("no evidence in it")?;
    let text = der.get(start + TYPE.len()..).context("no quote in it")?;
    let text = text.split(|byte| *byte == b'"').next().context("no end of the quote")?;
    let quote = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text)?
    };
    let key = subject_public_key_info(&der).map_err(anyhow::Error::msg)?;
    let parsed = Quote::parse(&quote).map_err(anyhow::Error::msg)?;
    ensure!(*parsed.body.report_data == report_data::certificate(&key), "it is bound to something else");
    // And the verifier takes it for that.
    let (quote_path, pem_path) = (bench.folder.join("certificate.quote"), bench.folder.join("machine.pem"));
    std::fs::write(&quote_path, quote)?;
    std::fs::write(&pem_path, answer.certificate)?;
    let mut command = bench.machine.coffer(&["verify", "--quote"]);
    command.arg(quote_path).arg("--tls-key").arg(pem_path);
    super::trusting(&mut command, &bench.machine)?;
    let said = super::said(&mut command)?;
    ensure!(said.text.contains("pass report-data"), "{said:?}");
    Ok(())
}

/// Any server will do.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
