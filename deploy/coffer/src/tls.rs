//! Both sides' certificates: the client's, made here, and the machine's, which is pinned.
//!
//! The machine makes its own key and writes the fingerprint of its certificate to the console. QEMU hands the console to this
//! program and nobody else, so that the certificate which comes over the network is the machine's if its fingerprint is that.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use attestation_verify::subject_public_key_info;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
};
use sha2::{Digest as _, Sha256};

/// How long one connection may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate authority's certificate, and one client's key and certificate under it. The authority's key is
/// thrown away: nobody else is to get a certificate.
#[derive(Debug)]
pub struct Client {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Client {
    /// Makes new keys for the machine called `machine`.
    pub fn make(machine: &str) -> anyhow::Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, format!("clients of the Coffer machine {machine}"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = parameters.self_signed(&authority_key)?;
        let issuer = Issuer::from_params(&parameters, &authority_key);

        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "coffer launch");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &issuer)?;
        Ok(Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn der(&self) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        use rustls::pki_types::pem::PemObject as _;
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.key.as_bytes())?;
        Ok((certificate, key.into()))
    }
}

/// The fingerprint in a machine's console, once it is there.
pub fn fingerprint(console: &str) -> Option<String> {
    console.lines().rev().find_map(|line| {
        let (_, rest) =
            line.split_once("coffer: api on ").or_else(|| line.split_once("coffer: evidence on "))?;
        let (_, hex) = rest.trim_end().split_once(", certificate sha256:")?;
        let is_whole = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_whole.then(|| hex.to_ascii_lowercase())
    })
}

/// Asks the machine whether it is there, as the client if it has an API, and gives its certificate as PEM. It must have that fingerprint.
pub fn ping(address: SocketAddrV4, client: Option<&Client>, fingerprint: &str) -> anyhow::Result<String> {
    let provider = Arc::new(ring::default_provider());
    let what = Pinned::Fingerprint(fingerprint.to_owned());
    let verifier = Arc::new(Pin { what, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match client.map(Client::der).transpose()? {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
        None => config.with_no_client_auth(),
    };
    let socket = TcpStream::connect_timeout(&address.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let name = ServerName::from(std::net::IpAddr::from(*address.ip()));
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, socket);
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: coffer\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).context("the machine does not answer")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the machine answers {}", String::from_utf8_lossy(&answer));
    match stream.conn.peer_certificates() {
        Some([certificate, ..]) => Ok(pem::encode(&pem::Pem::new("CERTIFICATE", certificate.to_vec()))),
        _ => bail!("the machine shows no certificate"),
    }
}

/// For a server that anything will do for: what it is comes out by evidence.
pub fn any_server() -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Pin { what: Pinned::Nothing, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// For a server with that key (SubjectPublicKeyInfo), as a client with that certificate and key (PEM).
pub fn pinned_server(key: &[u8], certificate: &[u8], client_key: &[u8]) -> anyhow::Result<Arc<ClientConfig>> {
    use rustls::pki_types::pem::PemObject as _;
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.context("the client's certificate is not PEM")?;
    let client_key = PrivateKeyDer::from_pem_slice(client_key).context("the client's key is not PEM")?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Pin { what: Pinned::Key(key.to_vec()), provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, client_key)?;
    Ok(Arc::new(config))
}

/// What a server must show.
#[derive(Debug)]
enum Pinned {
    /// The certificate with that SHA-256, in hexadecimal.
    Fingerprint(String),
    /// A certificate for that key.
    Key(Vec<u8>),
    Nothing,
}

/// Accepts servers by what is pinned. Names and dates do not matter then.
#[derive(Debug)]
struct Pin {
    what: Pinned,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_wanted = match &self.what {
            Pinned::Fingerprint(fingerprint) => hex(&Sha256::digest(certificate)) == *fingerprint,
            Pinned::Key(key) => subject_public_key_info(certificate).is_ok_and(|shown| shown == *key),
            Pinned::Nothing => true,
        };
        if is_wanted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

    use super::*;

    #[test]
    fn the_fingerprint_is_found_in_the_console() {
        let hex = "0A".repeat(32);
        let console = format!("[ 0.1] x\r\ncoffer: api on 0.0.0.0:2376, certificate sha256:{hex}\r\nmore\n");
        assert_eq!(fingerprint(&console), Some(hex.to_lowercase()));
        assert_eq!(fingerprint("coffer: api on 0.0.0.0:2376, certificate sha256:12"), None);
    }

    /// A server that takes our clients only and answers each ping.
    fn serve(client: &Client, connections: usize) -> (SocketAddrV4, String, thread::JoinHandle<()>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let fingerprint = hex(&Sha256::digest(certificate.der()));
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(client.authority.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            for _ in 0..connections {
                let (mut socket, _) = listener.accept().unwrap();
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = Stream::new(&mut connection, &mut socket);
                // A client that refuses us ends the handshake.
                if stream.read(&mut [0; 512]).is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                }
            }
        });
        (SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), fingerprint, server)
    }

    #[test]
    fn only_the_certificate_of_the_console_is_trusted() {
        let client = Client::make("test").unwrap();
        let (address, fingerprint, server) = serve(&client, 2);
        let pem = ping(address, Some(&client), &fingerprint).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(ping(address, Some(&client), &"00".repeat(32)).is_err());
        server.join().unwrap();
    }
}
