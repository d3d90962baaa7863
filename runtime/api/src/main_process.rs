//! The engine's process: opens store and engine, and serves the API until it is told to stop.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use coffer_engine::{Engine, Settings};
use runtime_config::Configuration;
use runtime_image::Store;
use runtime_registry::{Registries, Registry};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::Api;
use crate::images::StoredImages;
use crate::serve::{self, Identity, TlsError};

/// Where PID 1 puts the configuration that it has checked.
const CONFIGURATION: &str = "/run/coffer/coffer.toml";

/// What the process serves, and from where.
#[derive(Debug)]
pub struct Options {
    /// Everything is kept here.
    pub folder: PathBuf,
    /// The program that is shim and helper.
    pub helper: Vec<String>,
    /// A socket without TLS, for development.
    pub unix: Option<PathBuf>,
    /// Where TLS is spoken.
    pub tcp: Option<SocketAddr>,
    /// Whose certificates open it.
    pub client_authorities: Vec<CertificateDer<'static>>,
    /// What the server's certificate is valid for, besides what the machine is called.
    pub names: Vec<String>,
    pub registries: Vec<Registry>,
}

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Configuration(#[from] runtime_config::Error),
    #[error("cannot open the image store: {0}")]
    Store(#[from] runtime_image::store::StoreError),
    #[error("cannot open the engine: {0}")]
    Engine(#[from] coffer_engine::Error),
    #[error("cannot set registries up: {0}")]
    Registries(#[source] Box<runtime_registry::Error>),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot {action}: {source}")]
    System { action: String, source: std::io::Error },
}

fn system(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let action = action.into();
    move |source| Error::System { action, source }
}

/// `init engine`.
#[must_use]
pub fn main() -> ExitCode {
    match Options::configured() {
        Ok(options) => run(options),
        Err(error) => fail(&error),
    }
}

/// Serves until SIGTERM or SIGINT.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return fail(&system("start threads")(source)),
    };
    let result = runtime.block_on(serve(options));
    // Containers live on; what still waits for them here does not matter.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("coffer: {error}");
    ExitCode::FAILURE
}

impl Options {
    /// From the configuration that PID 1 has checked.
    fn configured() -> Result<Self, Error> {
        let path = Path::new(CONFIGURATION);
        let configuration = if path.exists() { Configuration::load(path)? } else { Configuration::default() };
        let authorities =
            configuration.api.client_ca.iter().flat_map(runtime_config::value::Certificates::der);
        let registry = |registry: &runtime_config::Registry| Registry {
            name: registry.name.as_str().to_owned(),
            authorities: registry.ca.iter().flat_map(runtime_config::value::Certificates::der).collect(),
            is_http: registry.is_http(),
        };
        Ok(Self {
            folder: PathBuf::from("/run/coffer"),
            helper: vec!["/init".to_owned()],
            unix: None,
            tcp: Some(configuration.api.address),
            client_authorities: authorities.collect(),
            names: configuration.api.names.iter().map(|name| name.as_str().to_owned()).collect(),
            registries: configuration.registries.iter().map(registry).collect(),
        })
    }
}

async fn serve(options: Options) -> Result<(), Error> {
    let mut stop = signal(SignalKind::terminate()).map_err(system("wait for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("wait for signals"))?;
    fs::create_dir_all(&options.folder).map_err(system(format!("create `{}`", options.folder.display())))?;
    let images = Store::open(&options.folder.join("images"))?;
    let engine = Engine::open(Settings {
        folder: options.folder.clone(),
        helper: options.helper.clone(),
        images: Arc::new(StoredImages(images.clone())),
    });
    let registries = Arc::new(
        Registries::new(options.registries.clone()).map_err(|error| Error::Registries(Box::new(error)))?,
    );
    let api = Api { engine: engine.await?, images, registries };

    if let Some(path) = &options.unix {
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(system(format!("listen on `{}`", path.display())))?;
        eprintln!("coffer: api on {}", path.display());
        tokio::spawn(serve::unix(listener, api.clone()));
    }
    match options.tcp {
        Some(_) if options.client_authorities.is_empty() => {
            eprintln!("coffer: the api stays closed: the configuration names no `client-ca`");
        }
        Some(address) => listen(address, &options, api).await?,
        None => {}
    }
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn listen(address: SocketAddr, options: &Options, api: Api) -> Result<(), Error> {
    let uname = rustix::system::uname();
    let names = serve::subject_names(&uname.nodename().to_string_lossy(), &addresses(), &options.names);
    let identity = Identity::keep(&options.folder.join("tls"), &names)?;
    let tls = serve::config(&identity, options.client_authorities.iter().cloned())?;
    let listener = TcpListener::bind(address).await.map_err(system(format!("listen on {address}")))?;
    let address = listener.local_addr().map_err(system("tell the address"))?;
    // `coffer launch` reads this line.
    println!("coffer: api on {address}, certificate sha256:{}", identity.fingerprint());
    tokio::spawn(serve::tcp(listener, TlsAcceptor::from(tls), api));
    Ok(())
}

/// The machine's own addresses that the kernel would send from to the world outside; there may be none.
fn addresses() -> Vec<IpAddr> {
    // Connecting a datagram socket sends nothing; it looks a route up. The addresses are those set aside for documentation.
    let source = |any: &str, to: &str| {
        let socket = std::net::UdpSocket::bind(any).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    [source("0.0.0.0:0", "192.0.2.1:9"), source("[::]:0", "[2001:db8::1]:9")].into_iter().flatten().collect()
}
