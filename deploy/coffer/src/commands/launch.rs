//! `coffer launch`: a machine in the background, and a docker context for it.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use coffer_qemu::{Disk, Forward, Machine, Network, Protocol, Simulated};
use runtime_config::{Api, Configuration, volume};
use runtime_control::{Command, Empty, Event};
use runtime_workload::Workload;
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::context::{Context, Endpoint};
use crate::control::Control;
use crate::image::{Image, Platform};
use crate::output::{Output, Progress};
use crate::simulator::Simulator;
use crate::state::{self, Home, Record, SimulatorRecord};
use crate::target::{API_PORT, EVIDENCE_PORT};
use crate::{image, tls};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machine's name; its docker context is `coffer-NAME`.
    #[arg(long, default_value = "default")]
    name: String,
    /// The machine's memory in MiB. Images and containers live in it.
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// Its number of CPUs.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Boot the disk image under UEFI firmware, as a cloud does; otherwise the kernel that was built here is started directly, which is faster.
    #[arg(long, value_name = "PLATFORM")]
    on: Option<Platform>,
    /// The program of `--on tdx-simulator`, if it is not beside this one.
    #[arg(long, value_name = "PROGRAM")]
    simulator: Option<PathBuf>,
    /// A bootable disk (coffer.raw, coffer.qcow2, coffer.vhd), or a folder that an image was built in; otherwise the image that was built here.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Make a port of the machine, which a container publishes there, one of this computer's loopback.
    #[arg(short = 'p', long = "port", value_name = "[HOSTPORT:]PORT", value_parser = parse_port)]
    ports: Vec<Forward>,
    /// A configuration file to start from (docs/configuration.md); what launch has to set is set in it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seal the machine: it runs this file (compose format, images by digest; docs/sealed.md), and nobody can tell it anything else, ever.
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// How long to wait for the API.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

/// How many lines of the console are shown when the machine does not come up.
const TAIL: usize = 15;

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let home = Home::of(&arguments.name)?;
    let context = Context::of(&arguments.name)?;
    let image = image::find(arguments.image.as_deref(), arguments.on)?;
    arguments.ports.iter().try_for_each(check_free)?;
    let client = tls::Client::make(&arguments.name)?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, Protocol::Tcp.free_port()?);
    let evidence = SocketAddrV4::new(Ipv4Addr::LOCALHOST, Protocol::Tcp.free_port()?);
    let is_sealed = arguments.workload.is_some();
    let disk = volume::write(&arguments.configuration(&client)?.to_toml()?)?;

    // From here on there is something to take back: an interruption is an error like any other.
    let interrupted = on_interrupt()?;
    home.create()?;
    let launched = context.check_free().and_then(|()| {
        home.write(state::CONFIGURATION_DISK, &disk)?;
        home.write(state::CLIENT_CERTIFICATE, client.certificate.as_bytes())?;
        home.write(state::CLIENT_KEY, client.key.as_bytes())?;
        let own = [(address, API_PORT), (evidence, EVIDENCE_PORT)];
        let (machine, simulator) = arguments.machine(&image, &home, own)?;
        start(arguments.on, &machine, &home, &context)?;
        let simulator = simulator.map(|simulator| simulator.leave_to_machine().into());
        let started = Started {
            home: &home,
            address: if is_sealed { evidence } else { address },
            client: (!is_sealed).then_some(&client),
            interrupted: &interrupted,
        };
        let server = started.wait(Duration::from_secs(arguments.timeout))?;
        home.write(state::SERVER_CERTIFICATE, server.certificate.as_bytes())?;
        let record = Record {
            name: arguments.name.clone(),
            context: (!is_sealed).then(|| context.name().to_owned()),
            api: (!is_sealed).then(|| format!("tcp://{address}")),
            evidence: Some(evidence.to_string()),
            fingerprint: server.fingerprint,
            image: image.into_file(),
            cpus: arguments.cpus,
            memory_mib: arguments.memory,
            created: OffsetDateTime::now_utc().format(&Rfc3339)?,
            simulator,
        };
        if let Some(api) = &record.api {
            context.write(&Endpoint {
                host: api,
                description: &format!("Coffer machine {}", record.name),
                files: &[
                    ("ca.pem", &server.certificate),
                    ("cert.pem", &client.certificate),
                    ("key.pem", &client.key),
                ],
            })?;
        }
        home.write_record(&record)?;
        Ok(record)
    });
    let record = match launched {
        Ok(record) => record,
        Err(error) => {
            // Nothing is left of what was begun. The error that matters is the first one.
            let _ = home.kill();
            let _ = home.remove();
            return Err(error);
        }
    };
    output.print(&words(&record, arguments.ports.is_empty()), &record)
}

/// What people are told.
fn words(record: &Record, publishes_nothing: bool) -> String {
    let hint = if publishes_nothing {
        "\n\nPorts that containers publish are the machine's; `coffer launch -p PORT` brings them to this computer."
    } else {
        ""
    };
    let caution = record.simulator.as_ref().map_or(String::new(), |simulator| {
        let root = simulator.trust_root.display();
        format!("\n\nNothing protects it: a simulation vouches for it, which counts with `--trust-root {root}` only.")
    });
    let name = &record.name;
    let what = match (&record.api, &record.context) {
        (Some(api), Some(context)) => {
            format!("{name} runs; its API is at {api}\n\n  docker --context {context} run --rm hello-world")
        }
        _ => format!("{name} runs, sealed: nobody can tell it anything\n\n  coffer attest {name}"),
    };
    format!("{what}\n  coffer stop {name}{hint}{caution}")
}

impl Arguments {
    /// The machine's configuration, which lets that client in, or is sealed.
    fn configuration(&self, client: &tls::Client) -> anyhow::Result<Configuration> {
        let mut configuration = match &self.config {
            Some(path) => Configuration::load(path)?,
            None => Configuration { hostname: self.name.clone().try_into()?, ..Configuration::default() },
        };
        configuration.evidence.address = (Ipv4Addr::UNSPECIFIED, EVIDENCE_PORT).into();
        configuration.api = Api {
            address: (Ipv4Addr::UNSPECIFIED, API_PORT).into(),
            client_ca: Some(client.authority.clone().try_into()?),
            names: {
                let mut names = configuration.api.names;
                names.push(Ipv4Addr::LOCALHOST.to_string().try_into()?);
                names
            },
        };
        if let Some(path) = &self.workload {
            let cannot = || format!("cannot read {}", path.display());
            let text = std::fs::read_to_string(path).with_context(cannot)?;
            Workload::parse(&text).with_context(|| path.display().to_string())?;
            configuration.seal(text);
        }
        Ok(configuration)
    }

    /// The machine that these describe, with its own ports where this computer finds them; and what simulates it, if something does.
    fn machine(
        &self,
        image: &Image,
        home: &Home,
        own: [(SocketAddrV4, u16); 2],
    ) -> anyhow::Result<(Machine, Option<Simulator>)> {
        let (mut machine, simulator) = match image {
            Image::Boots(boot, _) => {
                let mut machine = Machine::new(boot.clone());
                machine.cpus = self.cpus;
                machine.memory_mib = self.memory;
                (machine, None)
            }
            Image::Measured(file) => {
                let size = (self.cpus, self.memory);
                let simulator = Simulator::start(self.simulator.as_deref(), file, home, size)?;
                (simulator.simulated.machine(), Some(simulator))
            }
        };
        let own =
            own.map(|(address, guest)| Forward { protocol: Protocol::Tcp, host: address.port(), guest });
        let forwards = self.ports.iter().copied().chain(own).collect();
        machine.network = Some(Network { forwards, ..Network::default() });
        let path = home.path(state::CONFIGURATION_DISK);
        machine.disks.push(Disk { path, serial: "coffer-config".to_owned() });
        Ok((machine, simulator))
    }
}

impl From<Simulated> for SimulatorRecord {
    fn from(simulated: Simulated) -> Self {
        Self { trust_root: simulated.trust_root, collateral: simulated.collateral }
    }
}

/// Starts the machine in the background.
fn start(
    platform: Option<Platform>,
    machine: &Machine,
    home: &Home,
    context: &Context,
) -> anyhow::Result<()> {
    if platform != Some(Platform::Libvirt) {
        return Ok(machine.launch(home.folder(), &state::PLACES)?);
    }
    // Root has the system's connection only, whose machines belong to another user, to whom root's folders are closed.
    ensure!(!geteuid().is_root(), "root has no session of libvirt's: launch the machine as an ordinary user");
    Ok(machine.create_domain(context.name(), home.folder(), &state::PLACES)?)
}

/// A machine that comes up.
struct Started<'a> {
    home: &'a Home,
    address: SocketAddrV4,
    /// None of a sealed machine, which shows its evidence only.
    client: Option<&'a tls::Client>,
    interrupted: &'a AtomicBool,
}

/// The machine's side, as it was found.
struct Server {
    certificate: String,
    fingerprint: String,
}

impl Started<'_> {
    /// Waits until the API answers, or of a sealed machine the port for evidence.
    fn wait(&self, patience: Duration) -> anyhow::Result<Server> {
        let progress = Progress::begin("starting");
        let mut control = Control::connect(self.home)?;
        control.send(&Command::Engine(Empty {}))?;
        let start = Instant::now();
        let mut last_error = None;
        loop {
            for event in control.events() {
                match event {
                    Event::Phase(phase) => progress.detail(&phase),
                    Event::Error { message, .. } => bail!("the machine refuses: {message}"),
                    _ => {}
                }
            }
            if let Some(fingerprint) = tls::fingerprint(&self.home.console()) {
                match tls::ping(self.address, self.client, &fingerprint) {
                    Ok(certificate) => return Ok(Server { certificate, fingerprint }),
                    Err(error) => last_error = Some(error),
                }
            }
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted: nothing is left of the machine");
            }
            let is_late = start.elapsed() > patience;
            if is_late || self.home.process().is_none() {
                drop(progress);
                self.show_console();
                let what =
                    if is_late { "the machine has not answered in time" } else { "the machine has ended" };
                return match last_error {
                    Some(error) => Err(error).context(what),
                    None => bail!(what),
                };
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn show_console(&self) {
        let console = self.home.console();
        let lines: Vec<&str> = console.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
            // Without what would move the cursor of the caller's terminal.
            let line: String = line.chars().filter(|character| !character.is_control()).collect();
            eprintln!("  {line}");
        }
    }
}

/// What is true once somebody wants this program to end.
fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, interrupted.clone()).context("cannot listen to signals")?;
    }
    Ok(interrupted)
}

/// Fails if somebody on this computer has the port.
fn check_free(forward: &Forward) -> anyhow::Result<()> {
    let port = forward.host;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    listener.map(drop).with_context(|| {
        let other = port.checked_add(1).unwrap_or(1024);
        format!("port {port} of this computer cannot be had: choose another (-p {other}:{})", forward.guest)
    })
}

/// `HOSTPORT:PORT` or one number for both.
fn parse_port(text: &str) -> Result<Forward, String> {
    let (host, guest) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a port")),
        Ok(port) => Ok(port),
    };
    Ok(Forward { protocol: Protocol::Tcp, host: number(host)?, guest: number(guest)? })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use coffer_qemu::{Forward, Protocol};

    use super::{check_free, parse_port};

    #[test]
    fn a_port_that_is_taken_is_named() {
        let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let forward =
            Forward { protocol: Protocol::Tcp, host: holder.local_addr().unwrap().port(), guest: 80 };
        let message = check_free(&forward).unwrap_err().to_string();
        assert!(message.contains(&forward.host.to_string()) && message.contains(":80)"), "{message}");
        drop(holder);
        check_free(&forward).unwrap();
    }

    #[test]
    fn a_port_is_one_number_or_two() {
        let port = parse_port("8080:80").unwrap();
        assert_eq!((port.host, port.guest), (8080, 80));
        let port = parse_port("80").unwrap();
        assert_eq!((port.host, port.guest), (80, 80));
        for text in ["", "0", "a", "80:", "1:2:3", "70000"] {
            assert!(parse_port(text).is_err(), "{text}");
        }
    }
}
