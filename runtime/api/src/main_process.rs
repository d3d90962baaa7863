//! The engine's process: opens store and engine, and serves the API until it is told to stop.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use attestation_evidence::report_data;
use coffer_engine::evidence::Attend;
use coffer_engine::{Engine, Settings};
use runtime_config::{Configuration, Mode};
use runtime_evidence::{Hardware, Machine};
use runtime_image::Store;
use runtime_measure::{Client, ClientError, RuntimeEvent};
use runtime_registry::{Registries, Registry};
use runtime_workload::Workload;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha384};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::Api;
use crate::evidence::{Endpoint, Pace, Sockets, Subject};
use crate::images::StoredImages;
use crate::sealed;
use crate::serve::{self, Budget, Identity, TlsError};

/// Where PID 1 puts the configuration that it has checked.
const CONFIGURATION: &str = "/run/coffer/coffer.toml";

/// Where PID 1 writes what it measures.
const RUNTIME_LOG: &str = "/run/coffer/runtime.log";

/// How many descriptors the engine would like to have open at a time: some for each container and client.
const DESCRIPTORS: u64 = 65_536;

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
    /// Who measures what happens; nobody, in development.
    pub measuring: Option<Arc<Client>>,
    /// The machine that shows itself, and where; none, in development.
    pub evidence: Option<(SocketAddr, Machine)>,
    /// What a sealed machine runs, as text; its API stays closed.
    pub workload: Option<String>,
}

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Configuration(#[from] runtime_config::Error),
    #[error("`{}` is not what was measured at the start", .0.display())]
    Unmeasured(PathBuf),
    #[error("cannot open the image store: {0}")]
    Store(#[from] runtime_image::store::StoreError),
    #[error("cannot open the engine: {0}")]
    Engine(#[from] coffer_engine::Error),
    #[error("cannot set registries up: {0}")]
    Registries(#[source] Box<runtime_registry::Error>),
    #[error(transparent)]
    Workload(#[from] runtime_workload::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Measuring(#[from] ClientError),
    #[error("cannot {action}: {source}")]
    System { action: String, source: io::Error },
}

fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let action = action.into();
    move |source| Error::System { action, source }
}

/// `init engine`, with the digest of the configuration that PID 1 has measured.
#[must_use]
pub fn main(digest: Option<&OsString>) -> ExitCode {
    match Options::configured(digest) {
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
    fn configured(digest: Option<&OsString>) -> Result<Self, Error> {
        let configuration = measured(Path::new(CONFIGURATION), digest)?;
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
            tcp: (configuration.mode == Mode::Open).then_some(configuration.api.address),
            workload: configuration.workload.as_ref().map(|workload| workload.get_ref().clone()),
            client_authorities: authorities.collect(),
            names: configuration.api.names.iter().map(|name| name.as_str().to_owned()).collect(),
            registries: configuration.registries.iter().map(registry).collect(),
            measuring: Some(Arc::new(Client::inherited().map_err(system("find PID 1"))?)),
            evidence: Some((
                configuration.evidence.address,
                Machine::new(
                    Path::new(RUNTIME_LOG),
                    configuration.evidence.manifest.map(|digest| digest.as_str().to_owned()),
                ),
            )),
        })
    }
}

/// Takes as many descriptors as the machine gives, up to a limit. Containers' own limit is in what they were started with.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
    {
        eprintln!("coffer: the engine keeps its limit of open files: {error}");
    }
}

/// The configuration at `path` if it is the one with that digest; the default where there is no file, which is measured as an empty one.
fn measured(path: &Path, digest: Option<&OsString>) -> Result<Configuration, Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(system(format!("read `{}`", path.display())))?,
    };
    if digest.is_none_or(|digest| *digest != *hex::encode(Sha384::digest(&bytes))) {
        return Err(Error::Unmeasured(path.to_owned()));
    }
    Ok(Configuration::parse(&bytes)?)
}

async fn serve(options: Options) -> Result<(), Error> {
    raise_descriptors();
    let mut stop = signal(SignalKind::terminate()).map_err(system("wait for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("wait for signals"))?;
    fs::create_dir_all(&options.folder).map_err(system(format!("create `{}`", options.folder.display())))?;
    // Before anything is measured that could make it look as if it ran.
    let workload = options.workload.as_deref().map(Workload::parse).transpose()?;
    let images = Store::open(&options.folder.join("images"))?;
    let pace = Arc::new(Pace::default());
    let engine = Engine::open(Settings {
        folder: options.folder.clone(),
        helper: options.helper.clone(),
        is_sealed: options.workload.is_some(),
        images: Arc::new(StoredImages(images.clone())),
        measuring: options.measuring.clone(),
        attending: options.evidence.as_ref().map(|(_, machine)| {
            let sockets = Sockets::new(machine.clone(), Arc::clone(&pace), Handle::current());
            Arc::new(sockets) as Arc<dyn Attend>
        }),
    });
    let registries = Arc::new(
        Registries::new(options.registries.clone()).map_err(|error| Error::Registries(Box::new(error)))?,
    );
    let api = Api { engine: engine.await?, images, registries };

    if let Some(path) = &options.unix {
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(system(format!("listen on `{}`", path.display())))?;
        eprintln!("coffer: api on {}", path.display());
        tokio::spawn(serve::unix(listener, api.clone(), Budget::CLIENTS));
    }
    let identity = identity(&options)?;
    if let Some((address, machine)) = &options.evidence {
        show(*address, machine, &identity, pace).await?;
    }
    if let Some(measuring) = &options.measuring {
        measuring.measure(&RuntimeEvent::BootEnd)?;
    }
    if let Some(workload) = workload {
        println!("coffer: sealed: the workload `{}` runs, and the api never opens", workload.name);
        tokio::spawn(sealed::run(api.clone(), workload));
    }
    match options.tcp {
        Some(_) if options.client_authorities.is_empty() => {
            eprintln!("coffer: the api stays closed: the configuration names no `client-ca`");
        }
        Some(address) => listen(address, &options, &identity, api).await?,
        None => {}
    }
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The machine's key and certificate. A key is measured before it is used, and the quote in its certificate comes after that, so that the quote has
/// both.
fn identity(options: &Options) -> Result<Identity, Error> {
    let uname = rustix::system::uname();
    let names = serve::subject_names(&uname.nodename().to_string_lossy(), &addresses(), &options.names);
    let measure = |public_key: &[u8]| match &options.measuring {
        Some(measuring) => measuring.measure(&RuntimeEvent::TlsKey(Sha384::digest(public_key).into())),
        None => Ok(()),
    };
    let identity = Identity::keep(&options.folder.join("tls"), &names, |public_key| {
        measure(public_key).map_err(|error| error.to_string())?;
        let machine = options.evidence.as_ref().map(|(_, machine)| machine);
        let machine = machine.filter(|machine| machine.hardware() == Hardware::Tdx);
        let quote = machine.map(|machine| machine.quote(&report_data::certificate(public_key)));
        quote.transpose().map_err(|error| error.to_string())
    })?;
    // Of one that was kept, PID 1 knows already.
    measure(&identity.public_key()?)?;
    Ok(identity)
}

/// Shows the machine to whoever asks.
async fn show(
    address: SocketAddr,
    machine: &Machine,
    identity: &Identity,
    pace: Arc<Pace>,
) -> Result<(), Error> {
    let subject = Subject::TlsKey(identity.public_key()?.into());
    let endpoint = Endpoint::new(machine.clone(), subject, pace);
    let (listener, address) = bind(address).await?;
    // `coffer launch` reads this line, and the API's.
    println!("coffer: evidence on {address}, certificate sha256:{}", identity.fingerprint());
    let acceptor = TlsAcceptor::from(serve::open_config(identity)?);
    tokio::spawn(serve::tcp(listener, acceptor, endpoint, Budget::STRANGERS));
    Ok(())
}

/// Serves the API to clients of the authorities.
async fn listen(address: SocketAddr, options: &Options, identity: &Identity, api: Api) -> Result<(), Error> {
    let tls = serve::config(identity, options.client_authorities.iter().cloned())?;
    let (listener, address) = bind(address).await?;
    println!("coffer: api on {address}, certificate sha256:{}", identity.fingerprint());
    tokio::spawn(serve::tcp(listener, TlsAcceptor::from(tls), api, Budget::CLIENTS));
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(address).await.map_err(system(format!("listen on {address}")))?;
    let address = listener.local_addr().map_err(system("tell the address"))?;
    Ok((listener, address))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_configuration_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coffer.toml");
        let digest = |text: &str| OsString::from(hex::encode(Sha384::digest(text)));
        let text = "hostname = \"one\"\n";

        assert_eq!(measured(&path, Some(&digest(""))).unwrap(), Configuration::default());
        assert!(matches!(measured(&path, Some(&digest(text))), Err(Error::Unmeasured(_))));
        fs::write(&path, text).unwrap();
        assert_eq!(measured(&path, Some(&digest(text))).unwrap().hostname.as_str(), "one");
        fs::write(&path, "hostname = \"two\"\n").unwrap();
        assert!(matches!(measured(&path, Some(&digest(text))), Err(Error::Unmeasured(_))));
        assert!(matches!(measured(&path, None), Err(Error::Unmeasured(_))));
    }
}
