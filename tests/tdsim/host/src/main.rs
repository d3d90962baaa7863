//! `coffer-tdsim run FILE`: a trust domain on the simulated TDX module, with its console on standard output.
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
}

#[derive(Debug, Args)]
struct Run {
    /// A unified kernel image, a kernel ELF, or Linux's bzImage.
    file: PathBuf,
    /// An initramfs, for kernels.
    #[arg(long)]
    initrd: Option<PathBuf>,
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
    /// Disks, raw and read-only: FILE or SERIAL=FILE.
    #[arg(long)]
    disk: Vec<String>,
    /// Virtio devices: a network card and a source of randomness come by themselves.
    #[arg(long)]
    device: Vec<String>,
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
    /// Seconds until the machine is ended.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// A folder for root certificate, collateral, measurements and event log of this run.
    #[arg(long)]
    evidence: Option<PathBuf>,
    /// Quotes of version 5, with bodies of TDX 1.5, rather than 4.
    #[arg(long)]
    quote_v5: bool,
    /// Further arguments for QEMU.
    #[arg(last = true)]
    extra: Vec<String>,
}

fn main() -> ExitCode {
    let Command::Run(run) = Command::parse();
    match execute(&run) {
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
    payload.added_words.clone_from(&run.append);
    let domain = domain(run)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let evidence = run.evidence.clone().unwrap_or_else(|| folder.path().to_path_buf());
    let version = if run.quote_v5 { QuoteVersion::V5 } else { QuoteVersion::V4 };
    let Prepared { mut machine, measured, .. } =
        prepare(&domain, &payload, &build_bare(MODULE)?, version, &evidence)?;
    write_measurements(&evidence, &measured)?;
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

fn domain(run: &Run) -> anyhow::Result<Domain> {
    let accept = match run.accept.as_str() {
        "all" => Accept::All,
        mib => Accept::Below(mib.parse().context("--accept takes `all` or a number")?),
    };
    let relaxed = if run.relaxed { Flags::RELAXED_MSRS | Flags::IMPLICIT_CONVERSION } else { 0 };
    let trace = if run.trace { Flags::TRACE } else { 0 };
    Ok(Domain {
        seed: run.seed,
        faults: (faults(&run.faults)?, run.period),
        cpus: run.smp,
        memory_mib: run.memory,
        gpaw: run.gpaw,
        accept,
        flags: relaxed | trace,
        ..Domain::default()
    })
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
