//! The server against clients that are up to no good, over real sockets.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use coffer_engine::{Engine, Settings};
use runtime_api::evidence::{Endpoint, Pace, Subject};
use runtime_api::serve::{self, Budget, Identity};
use runtime_api::{Api, images::StoredImages};
use runtime_image::Store;
use runtime_registry::Registries;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PATIENCE: Duration = Duration::from_secs(20);

struct Machine {
    folder: TempDir,
    api: Api,
}

impl Machine {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = Store::open(&folder.path().join("images")).unwrap();
        let settings = Settings {
            folder: folder.path().join("engine"),
            helper: vec!["/bin/false".to_owned()],
            images: Arc::new(StoredImages(images.clone())),
            measuring: None,
            attending: None,
            is_sealed: false,
        };
        let engine = Engine::open(settings).await.unwrap();
        let registries = Arc::new(Registries::new(Vec::new()).unwrap());
        Self { folder, api: Api { engine, images, registries } }
    }

    /// Serves on a unix socket; gives its path.
    fn unix(&self) -> std::path::PathBuf {
        let path = self.folder.path().join("api.sock");
        tokio::spawn(serve::unix(UnixListener::bind(&path).unwrap(), self.api.clone(), Budget::CLIENTS));
        path
    }

    /// Shows the machine to whoever asks.
    async fn evidence(&self) -> (std::net::SocketAddr, Identity) {
        let identity = Identity::generate(&["127.0.0.1".to_owned()]).unwrap();
        let log = self.folder.path().join("runtime.log");
        std::fs::write(&log, attestation_evidence::RUNTIME_LOG_MAGIC).unwrap();
        let subject = Subject::TlsKey(identity.public_key().unwrap().into());
        let endpoint =
            Endpoint::new(runtime_evidence::Machine::new(&log, None), subject, Arc::new(Pace::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(serve::open_config(&identity).unwrap());
        tokio::spawn(serve::tcp(listener, acceptor, endpoint, Budget::STRANGERS));
        (address, identity)
    }

    /// Serves TLS for clients that `authority` vouches for.
    async fn tls(&self, authority: &Identity) -> (std::net::SocketAddr, Identity) {
        let identity = Identity::generate(&["127.0.0.1".to_owned()]).unwrap();
        let config = serve::config(&identity, std::iter::once(authority.certificate.clone())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve::tcp(listener, TlsAcceptor::from(config), self.api.clone(), Budget::CLIENTS));
        (address, identity)
    }
}

/// Sends bytes and reads until the other side closes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    // A server may refuse before it has read all.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn request(path: &std::path::Path, head: &str, body: &[u8]) -> String {
    let stream = UnixStream::connect(path).await.unwrap();
    let head =
        format!("{head}\r\nHost: docker\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    exchange(stream, &[head.as_bytes(), body].concat()).await
}

/// Trusts one certificate, as `coffer` does: it vouches for itself, so it is an authority, and webpki wants no authority as a server.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *certificate == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another server".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

async fn connect(
    address: std::net::SocketAddr,
    server: &CertificateDer<'static>,
    client: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls_graviola::default_provider());
    let pinned =
        Pinned { certificate: server.clone(), algorithms: provider.signature_verification_algorithms };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned));
    let config = match client {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await
}

const PING: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_ping_tells_what_clients_negotiate_with() {
    let machine = Machine::new().await;
    let path = machine.unix();
    let answer = request(&path, "GET /_ping HTTP/1.1", b"").await.to_ascii_lowercase();
    for header in
        ["200 ok", "api-version: 1.51", "ostype: linux", "builder-version: 1", "cache-control: no-cache"]
    {
        assert!(answer.contains(header), "{header}: {answer}");
    }
    let head = request(&path, "HEAD /_ping HTTP/1.1", b"").await.to_ascii_lowercase();
    assert!(head.contains("content-length: 0") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn what_is_not_there_is_told_in_one_sentence() {
    let machine = Machine::new().await;
    let path = machine.unix();
    for (head, status, words) in [
        ("POST /v1.47/build HTTP/1.1", "501", "docker build is not supported by Coffer yet"),
        ("POST /session HTTP/1.1", "501", "BuildKit is not supported"),
        ("GET /v1.47/swarm HTTP/1.1", "503", "not a swarm manager"),
        ("GET /nothing HTTP/1.1", "404", "page not found"),
        ("GET /v1.99/info HTTP/1.1", "400", "is too new"),
        ("GET /images/nope/json HTTP/1.1", "404", "No such image: nope:latest"),
        ("GET /containers/nope/json HTTP/1.1", "404", "No such container: nope"),
        ("DELETE /images/Nope HTTP/1.1", "400", "must be lowercase"),
        (
            "POST /images/create?fromImage=x&platform=linux/arm64 HTTP/1.1",
            "400",
            "this machine runs linux/amd64",
        ),
    ] {
        let answer = request(&path, head, b"").await;
        assert!(answer.contains(status) && answer.contains(words), "{head}: {answer}");
    }
}

#[tokio::test]
async fn malformed_and_oversized_requests_are_refused() {
    let machine = Machine::new().await;
    let path = machine.unix();
    let deep = [b"{\"HostConfig\":".repeat(5000), b"1".to_vec()].concat();
    for body in [b"{".as_slice(), b"[1,2]", b"\xff\xfe", &deep] {
        let answer = request(&path, "POST /containers/create HTTP/1.1", body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid JSON"), "{answer}");
    }
    let large = vec![b' '; runtime_api::body::JSON_LIMIT + 1];
    assert!(request(&path, "POST /containers/create HTTP/1.1", &large).await.starts_with("HTTP/1.1 413"));
    let long = "x".repeat(40_000);
    let answer = request(&path, &format!("GET /containers/{long}/json HTTP/1.1"), b"").await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    let header = format!("GET /_ping HTTP/1.1\r\nX-Long: {}", "x".repeat(300_000));
    assert_too_large(&request(&path, &header, b"").await);
    let many = (0..500).fold("GET /_ping HTTP/1.1".to_owned(), |head, n| format!("{head}\r\nX-{n}: 1"));
    assert_too_large(&request(&path, &many, b"").await);
    let garbage = exchange(UnixStream::connect(&path).await.unwrap(), b"\x16\x03\x01garbage\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    // And goes on.
    assert!(request(&path, "GET /_ping HTTP/1.1", b"").await.ends_with("OK"));
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off_and_an_idle_connection_is_not() {
    let machine = Machine::new().await;
    let path = machine.unix();
    let idle = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        for pause in [0, 12] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n").await.unwrap();
            let mut answer = [0; 4096];
            let count = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 200"), "after {pause} s");
        }
    };
    let slow = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let mut head = b"GET /_ping HTTP/1.1\r\nX-Long: ".iter().chain(std::iter::repeat(&b'x'));
        let start = std::time::Instant::now();
        while stream.write_all(&[*head.next().unwrap()]).await.is_ok() {
            assert!(start.elapsed() < PATIENCE, "still open after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::join!(idle, slow);
}

#[tokio::test]
async fn many_large_bodies_at_a_time_are_refused() {
    let machine = Machine::new().await;
    let path = machine.unix();
    let head = "POST /containers/create HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 4000000\r\n\r\n";
    let most = [head.as_bytes(), &[b' '; 3_999_999]].concat();
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // A server may refuse before it has read all.
        let _ = stream.write_all(&most).await;
        held.push(stream);
    }
    let mut refused = 0;
    for stream in &mut held {
        let mut answer = [0; 512];
        if let Ok(Ok(count)) = timeout(Duration::from_millis(500), stream.read(&mut answer)).await {
            assert!(answer[..count].starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&answer));
            refused += 1;
        }
    }
    assert!((1..=6).contains(&refused), "{refused} of 12 were refused");
    // Small requests go on meanwhile, and large ones afterwards.
    assert!(request(&path, "POST /containers/create HTTP/1.1", b"[1").await.contains("invalid JSON"));
    drop(held);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let large = vec![b' '; runtime_api::body::JSON_LIMIT];
    assert!(!request(&path, "POST /containers/create HTTP/1.1", &large).await.starts_with("HTTP/1.1 503"));
}

/// The server closes without reading on, so its answer may be lost.
fn assert_too_large(answer: &str) {
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_broken_archive_is_told_in_band() {
    let machine = Machine::new().await;
    let path = machine.unix();
    let answer = request(&path, "POST /images/load HTTP/1.1", &[b'x'; 2048]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"errorDetail\""), "{answer}");
    assert_eq!(std::fs::read_dir(machine.folder.path().join("images/ingest")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_the_authority_come_in() {
    let machine = Machine::new().await;
    let authority = Identity::generate(&["client".to_owned()]).unwrap();
    let (address, server) = machine.tls(&authority).await;

    // In TLS 1.3 a client learns that it is refused when it reads.
    let nobody = connect(address, &server.certificate, None).await.unwrap();
    assert_eq!(exchange(nobody, PING).await, "");
    let stranger = Identity::generate(&["client".to_owned()]).unwrap();
    let stranger = (stranger.certificate.clone(), stranger.key.clone_key());
    let stranger = connect(address, &server.certificate, Some(stranger)).await.unwrap();
    assert_eq!(exchange(stranger, PING).await, "");
    // A server that is not the one that is meant is the client's to refuse.
    assert!(connect(address, &authority.certificate, None).await.is_err());
    // Without TLS there is nothing to be had.
    let plain = exchange(TcpStream::connect(address).await.unwrap(), PING).await;
    assert!(!plain.contains("HTTP"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_connections_hurt_nobody() {
    let machine = Machine::new().await;
    let (ca, client) = authority_and_client();
    let (address, server) = machine.tls(&Identity { certificate: ca, key: client.1.clone_key() }).await;
    let mut half_open = Vec::new();
    for number in 0..1000_u32 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some say nothing, some begin a handshake.
        if number % 2 == 0 {
            let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01").await;
        }
        half_open.push(stream);
    }
    let known = connect(address, &server.certificate, Some(client)).await.unwrap();
    let answer = timeout(Duration::from_secs(5), exchange(known, PING)).await.expect("an answer in time");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(half_open);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_with_idle_connections_shut_nobody_out() {
    let machine = Machine::new().await;
    let (ca, client) = authority_and_client();
    let (api, server) = machine.tls(&Identity { certificate: ca, key: client.1.clone_key() }).await;
    let (evidence, shown) = machine.evidence().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(connect(evidence, &shown.certificate, None).await.unwrap());
    }

    let known = connect(api, &server.certificate, Some(client)).await.unwrap();
    let answer = timeout(Duration::from_secs(5), exchange(known, PING)).await.expect("an answer in time");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let asking = format!(
        "GET /v1/evidence?nonce={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "0f".repeat(32)
    );
    let stranger = connect(evidence, &shown.certificate, None).await.unwrap();
    let answer = exchange(stranger, asking.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("runtime-log"), "{answer}");

    // Of the idle ones the newest are open still, and not for long.
    let mut open = 0;
    for stream in &mut idle {
        if timeout(Duration::from_millis(5), stream.read(&mut [0])).await.is_err() {
            open += 1;
        }
    }
    assert!((1..=64).contains(&open), "{open} idle connections are open");
    let newest = idle.last_mut().unwrap();
    assert!(timeout(Duration::from_secs(12), newest.read(&mut [0])).await.is_ok(), "idle and open");
}

#[tokio::test]
async fn connections_end_with_their_socket() {
    let machine = Machine::new().await;
    let path = machine.folder.path().join("evidence.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(serve::unix(listener, machine.api.clone(), Budget::CONTAINER));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    let count = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    serving.abort();
    let ended = timeout(Duration::from_secs(2), stream.read(&mut answer)).await.expect("it is closed");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_opens_nothing() {
    let machine = Machine::new().await;
    let (ca, client) = authority_and_client_for(-1);
    let (address, server) = machine.tls(&Identity { certificate: ca, key: client.1.clone_key() }).await;
    let late = connect(address, &server.certificate, Some(client)).await.unwrap();
    assert_eq!(exchange(late, PING).await, "");
}

/// An authority, and a client that it vouches for.
fn authority_and_client() -> (CertificateDer<'static>, (CertificateDer<'static>, PrivateKeyDer<'static>)) {
    authority_and_client_for(30)
}

/// The same; the client's certificate ends in so many days, or ended so many ago.
fn authority_and_client_for(
    days: i32,
) -> (CertificateDer<'static>, (CertificateDer<'static>, PrivateKeyDer<'static>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let openssl = |arguments: &str| {
        let arguments = arguments.replace("DIR", &folder.path().to_string_lossy());
        let output = std::process::Command::new("openssl").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(path("extensions"), "extendedKeyUsage=clientAuth\n").unwrap();
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout DIR/ca-key -out DIR/ca -subj /CN=ca",
    );
    openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout DIR/key -out DIR/request -subj /CN=client",
    );
    openssl(&format!(
        "x509 -req -in DIR/request -CA DIR/ca -CAkey DIR/ca-key -set_serial 2 -out DIR/client -extfile DIR/extensions -days {days}",
    ));
    let certificate = |name: &str| CertificateDer::from_pem_file(path(name)).unwrap();
    (certificate("ca"), (certificate("client"), PrivateKeyDer::from_pem_file(path("key")).unwrap()))
}
