//! Trust domains on the simulated TDX module: `run` has the console on standard output, `serve` prepares a machine for whoever starts it
//! (`coffer launch --on tdx-simulator`) and is its quoting enclave.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser};
use coffer_qemu::{Disk, Ended};
use coffer_tdsim::{
    Accept, Domain, MODULE, Measured, Measurement, Payload, Prepared, QuoteVersion, build_bare, prepare,
};
use coffer_tdsim_rules::hostile::Fault;
use coffer_tdsim_rules::pack::Flags;

/// Runs trust domains on a simulated TDX module.
#[derive(Debug, Parser)]
enum Command {
    /// Runs one.
    Run(Run),
    /// Prepares a machine for another program to start, prints it as a line of JSON, and quotes for it until it ends.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Run {
    /// A unified kernel image, a kernel ELF, or Linux's bzImage.
    file: PathBuf,
    /// An initramfs, for kernels.
    #[arg(long)]
    initrd: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// Disks, raw and read-only: FILE or SERIAL=FILE.
    #[arg(long)]
    disk: Vec<String>,
    /// Virtio devices: a network card and a source of randomness come by themselves.
    #[arg(long)]
    device: Vec<String>,
    /// Seconds until the machine is ended.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// A folder for root certificate, collateral, measurements and event log of this run.
    #[arg(long)]
    evidence: Option<PathBuf>,
    /// Further arguments for QEMU.
    #[arg(last = true)]
    extra: Vec<String>,
}

#[derive(Debug, Args)]
struct Serve {
    /// A unified kernel image.
    file: PathBuf,
    /// A folder for all that the machine needs, and for root certificate, collateral, measurements and event log.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// The domain and its host.
#[derive(Debug, Args)]
struct Options {
    /// More words for the command line.
    #[arg(long, default_value = "")]
    append: String,
    /// Virtual processors.
    #[arg(long, default_value_t = 1)]
    smp: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Width of guest physical addresses: 48 or 52.
    #[arg(long, default_value_t = 48)]
    gpaw: u32,
    /// What the loader accepts: `all`, or what is below so many MiB.
    #[arg(long, default_value = "64")]
    accept: String,
    /// Rules that stock Linux needs to be relaxed.
    #[arg(long)]
    relaxed: bool,
    /// Seed of a hostile host.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What it does, of all that it can: names of `tests/tdsim/rules/src/hostile.rs`, with commas between.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// How rarely.
    #[arg(long, default_value_t = 1)]
    period: u64,
    /// Tell of each exit. Very long.
    #[arg(long)]
    trace: bool,
    /// A domain that its host can look into: ATTRIBUTES.DEBUG.
    #[arg(long)]
    debug: bool,
    /// Quotes of version 5, with bodies of TDX 1.5, rather than 4.
    #[arg(long)]
    quote_v5: bool,
    /// 16 bytes that must not be in shared memory at the end.
    #[arg(long, value_parser = canary)]
    canary: Vec<[u8; 16]>,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Run(run) => execute(&run),
        Command::Serve(serve) => self::serve(&serve).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coffer-tdsim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(run: &Run) -> anyhow::Result<ExitCode> {
    let file = std::fs::read(&run.file).with_context(|| format!("cannot read {}", run.file.display()))?;
    let mut payload = Payload::read(&file).with_context(|| format!("cannot use {}", run.file.display()))?;
    if let Some(path) = &run.initrd {
        payload.initramfs = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let evidence = run.evidence.clone().unwrap_or_else(|| folder.path().to_path_buf());
    let mut machine = run.options.prepare(payload, &evidence)?.simulated.machine();
    for (number, disk) in run.disk.iter().enumerate() {
        let (serial, path) = match disk.split_once('=') {
            Some((serial, path)) => (serial.to_owned(), path),
            None => (format!("disk{number}"), disk.as_str()),
        };
        machine.disks.push(Disk { path: path.into(), serial });
    }
    for device in &run.device {
        machine.extra.extend(["-device".into(), device.into()]);
    }
    machine.extra.extend(run.extra.iter().map(Into::into));
    let mut running = machine.start(|line| println!("{}", line.trim_end()))?;
    let ended = running.wait(Some(Duration::from_secs(run.timeout)))?;
    eprintln!("{ended:?}");
    Ok(match ended {
        Ended::PoweredOff | Ended::DebugExit(0x10) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn serve(serve: &Serve) -> anyhow::Result<()> {
    let file = std::fs::read(&serve.file).with_context(|| format!("cannot read {}", serve.file.display()))?;
    let payload = Payload::read(&file).with_context(|| format!("cannot use {}", serve.file.display()))?;
    let folder = serve
        .folder
        .canonicalize()
        .with_context(|| format!("cannot find the folder {}", serve.folder.display()))?;
    let prepared = serve.options.prepare(payload, &folder)?;
    println!("{}", serde_json::to_string(&prepared.simulated)?);
    prepared.quoting.wait();
    Ok(())
}

/// What a policy may ask for, a register a line; and the log.
fn write_measurements(folder: &Path, measured: &Measured) -> anyhow::Result<()> {
    let names = ["mrtd", "rtmr0", "rtmr1", "rtmr2"];
    let values = [measured.mr_td].into_iter().chain(measured.rtmr);
    let hex = |value: Measurement| value.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: String =
        names.iter().zip(values).map(|(name, value)| format!("{name} = [\"{}\"]\n", hex(value))).collect();
    std::fs::write(folder.join("measurements.toml"), lines).context("cannot write the measurements")?;
    std::fs::write(folder.join("event-log"), &measured.log).context("cannot write the event log")
}

impl Options {
    /// Loads a payload; everything that the machine needs, and what a verifier needs, goes to the folder.
    fn prepare(&self, payload: Payload, folder: &Path) -> anyhow::Result<Prepared> {
        let payload = Payload { added_words: self.append.clone(), ..payload };
        let version = if self.quote_v5 { QuoteVersion::V5 } else { QuoteVersion::V4 };
        let prepared = prepare(&self.domain()?, &payload, &build_bare(MODULE)?, version, folder)?;
        write_measurements(folder, &prepared.measured)?;
        Ok(prepared)
    }

    fn domain(&self) -> anyhow::Result<Domain> {
        let accept = match self.accept.as_str() {
            "all" => Accept::All,
            mib => Accept::Below(mib.parse().context("--accept takes `all` or a number")?),
        };
        let relaxed = if self.relaxed { Flags::RELAXED_MSRS | Flags::IMPLICIT_CONVERSION } else { 0 };
        let trace = if self.trace { Flags::TRACE } else { 0 };
        let usual = Domain::default();
        Ok(Domain {
            attributes: usual.attributes | if self.debug { DEBUG } else { 0 },
            seed: self.seed,
            faults: (faults(&self.faults)?, self.period),
            cpus: self.smp,
            memory_mib: self.memory,
            gpaw: self.gpaw,
            accept,
            flags: relaxed | trace,
            canaries: self.canary.clone(),
            ..usual
        })
    }
}

/// ATTRIBUTES.DEBUG.
const DEBUG: u64 = 1;

fn canary(text: &str) -> Result<[u8; 16], &'static str> {
    text.as_bytes().try_into().map_err(|_| "a canary has 16 bytes")
}

/// The set of named faults; all of them without names.
fn faults(names: &[String]) -> anyhow::Result<u64> {
    let bit = |name: &String| {
        let found = Fault::all().find(|fault| fault.name() == name.as_str());
        found.map(Fault::bit).with_context(|| format!("no fault is called {name}"))
    };
    let set = names.iter().map(bit).try_fold(0, |set, bit| bit.map(|bit| set | bit))?;
    Ok(if names.is_empty() { u64::MAX } else { set })
}
