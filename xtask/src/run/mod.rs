//! `cargo xtask run`: builds the image, boots a machine, runs one container on it, and exits as the container does.

#[cfg(feature = "tdx")]
mod domain;
#[cfg(not(feature = "tdx"))]
mod domain {
    pub fn machine(
        _: &super::Arguments,
        _: &super::Artifacts,
        _: &std::path::Path,
    ) -> anyhow::Result<super::Machine> {
        anyhow::bail!("this xtask was built without its feature `tdx`")
    }
}
mod source;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, process};

use anyhow::Context as _;
use clap::Args;
use coffer_harness::control::{Event, Run};
use coffer_harness::{
    Artifacts, Disk, Ended, Finished, Forward, IMAGE_DISK, Machine, Network, Protocol, Session, Streams,
};

use crate::image;
use crate::packages;
use crate::progress::Step;
use crate::{OWN_FAILURE, setup, symbols, workspace};

/// Options of `cargo xtask run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Number of CPUs.
    #[arg(long, default_value_t = 2)]
    smp: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Boot the disk image under UEFI firmware rather than the kernel directly.
    #[arg(long)]
    uefi: bool,
    /// Run it as an Intel TDX trust domain, on the simulated module of the tests.
    #[arg(long, conflicts_with = "uefi")]
    tdx: bool,
    /// Give the container a terminal.
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable in the container (K=V).
    #[arg(short, long = "env", value_name = "K=V")]
    env: Vec<String>,
    /// Run as this user (name or uid, with an optional :group).
    #[arg(short, long)]
    user: Option<String>,
    /// Run in this directory.
    #[arg(short, long)]
    workdir: Option<String>,
    /// Make the container's root read-only.
    #[arg(long)]
    read_only: bool,
    /// Keep exec from adding privileges.
    #[arg(long)]
    no_new_privileges: bool,
    /// Replace the image's entrypoint.
    #[arg(long)]
    entrypoint: Option<String>,
    /// The container's host name.
    #[arg(long)]
    hostname: Option<String>,
    /// Which image, where the archive holds several.
    #[arg(long = "ref", value_name = "NAME")]
    reference: Option<String>,
    /// Run the container that many times, one after the other.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// End the machine after that many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Give the machine a network card on QEMU's user network.
    #[arg(long)]
    net: bool,
    /// Forward a port of 127.0.0.1 to the machine (HOST:GUEST, optionally with /udp); implies --net.
    #[arg(short, long = "publish", value_name = "HOST:GUEST", value_parser = forward)]
    publish: Vec<Forward>,
    /// Show the machine's console.
    #[arg(short, long)]
    verbose: bool,
    /// An OCI layout folder, or a tar of one, or a docker archive; a small Debian if there is none. What follows replaces
    /// the image's command.
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND…]")]
    image_and_command: Vec<String>,
}

/// Exit status after a second Ctrl-C: 128 + SIGINT, as a shell has it.
const INTERRUPTED: u8 = 130;

/// Runs the container; the exit status is its own, or 125 where it is Coffer that fails.
pub fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure_met(&[packages::RUN])?;
    let mut step = Step::begin("checking the image");
    let named = arguments.image_and_command.first();
    let source = source::find(named.map(String::as_str), arguments.reference.as_deref(), &mut step)?;
    step.vanish();
    let image = image::make()?;

    let folder = workspace::target_folder(&format!("run/{}", process::id()))?;
    let console_log = folder.join("console.log");
    let mut machine = machine(arguments, &image, &folder)?;
    machine.disks.push(Disk { path: source.disk(&folder)?, serial: IMAGE_DISK.to_owned() });
    machine.console_log = Some(console_log.clone());

    let finished = boot(arguments, &machine);
    // Written for this machine alone, unless it is the caller's; it would only take space.
    let _none = fs::remove_file(folder.join(source::SCRATCH_DISK));
    let finished = finished?;
    if matches!(finished, Finished::Died { .. } | Finished::TimedOut) {
        eprintln!("coffer: the machine's console is in {}", console_log.display());
    } else {
        // What is left behind costs disk space only.
        let _remains = fs::remove_dir_all(&folder);
    }
    Ok(ExitCode::from(report(arguments, finished, &image)))
}

fn machine(arguments: &Arguments, image: &Artifacts, folder: &Path) -> anyhow::Result<Machine> {
    let mut machine = if arguments.tdx {
        domain::machine(arguments, image, folder)?
    } else {
        let boot = if arguments.uefi { image.boot_from_disk() } else { image.boot_directly("")? };
        let mut machine = Machine::new(boot);
        machine.cpus = arguments.smp;
        machine.memory_mib = arguments.memory;
        machine
    };
    machine.has_ports = true;
    machine.ignores_interrupt = true;
    if arguments.net || !arguments.publish.is_empty() {
        machine.network = Some(Network { forwards: arguments.publish.clone(), ..Network::default() });
    }
    Ok(machine)
}

/// Reads `HOST:GUEST` with an optional `/tcp` or `/udp`.
fn forward(text: &str) -> Result<Forward, String> {
    let (ports, protocol) = match text.rsplit_once('/') {
        None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some((_, other)) => return Err(format!("{other} is neither tcp nor udp")),
    };
    let (host, guest) = ports.split_once(':').ok_or("it has no colon between host's and guest's port")?;
    let port = |text: &str| text.parse().map_err(|_| format!("{text} is no port"));
    Ok(Forward { protocol, host: port(host)?, guest: port(guest)? })
}

fn boot(arguments: &Arguments, machine: &Machine) -> anyhow::Result<Finished> {
    let step = Step::begin("starting the machine");
    let is_verbose = arguments.verbose;
    let running = machine.start(move |line| {
        if is_verbose {
            eprintln!("{line}");
        }
    })?;

    let is_terminal = arguments.tty && io::stdin().is_terminal();
    let streams = Streams {
        stdin: Box::new(io::stdin()),
        stdout: Box::new(io::stdout()),
        stderr: Box::new(io::stderr()),
    };
    let shown = step.clone();
    let session = Session::start(running, request(arguments), streams, move |event| match event {
        Event::Phase(phase) => shown.detail(phase),
        Event::Progress { what, done, total } => {
            shown.detail(&format!("{what}: {} of {} MiB", done >> 20, total >> 20));
        }
        Event::Started { .. } | Event::Exit { .. } | Event::Error { .. } => shown.vanish(),
        Event::Round { n, code } => eprintln!("container {n}: exit status {code}"),
    })?;
    terminal::forward_signals(session.control(), session.cancellation())?;
    let raw = is_terminal.then(terminal::Raw::enter).transpose()?;
    let finished = session.finish(arguments.timeout.map(Duration::from_secs));
    drop(raw);
    step.vanish();
    finished.context("the machine was lost")
}

fn request(arguments: &Arguments) -> Run {
    let command = arguments.image_and_command.get(1..).unwrap_or_default();
    Run {
        args: (!command.is_empty()).then(|| command.to_vec()),
        entrypoint: arguments.entrypoint.clone().map(|entrypoint| vec![entrypoint]),
        env: arguments.env.clone(),
        user: arguments.user.clone(),
        workdir: arguments.workdir.clone(),
        hostname: arguments.hostname.clone(),
        tty: arguments.tty.then(terminal::size),
        read_only: arguments.read_only,
        no_new_privileges: arguments.no_new_privileges,
        reference: arguments.reference.clone(),
        repeat: Some(arguments.repeat),
    }
}

/// Says what went wrong, if anything did, and gives the exit status.
fn report(arguments: &Arguments, finished: Finished, image: &Artifacts) -> u8 {
    match finished {
        Finished::Exit(code) => u8::try_from(code).unwrap_or(OWN_FAILURE),
        Finished::Refused { code, message } => {
            eprintln!("coffer: {message}");
            u8::try_from(code).unwrap_or(OWN_FAILURE)
        }
        Finished::TimedOut => {
            eprintln!("coffer: not finished after {} s", arguments.timeout.unwrap_or_default());
            OWN_FAILURE
        }
        Finished::Cancelled => {
            eprintln!("coffer: interrupted");
            INTERRUPTED
        }
        Finished::Died { ended, console } => {
            eprintln!("coffer: {}", describe(&ended));
            for line in &console {
                eprintln!("  {line}");
            }
            match symbols::explain(&image.kernel_debug(), &console) {
                Ok(lines) => lines.iter().for_each(|line| eprintln!("  {line}")),
                Err(error) => eprintln!("coffer: {error:#}"),
            }
            OWN_FAILURE
        }
    }
}

fn describe(ended: &Ended) -> String {
    match ended {
        Ended::PoweredOff => "the machine powered off without an exit status".to_owned(),
        Ended::DebugExit(value) => format!("the kernel stopped the machine (status {value:#x})"),
        Ended::Failed(words) => format!("qemu failed: {words}"),
        Ended::TimedOut => "the machine did not power off".to_owned(),
    }
}
