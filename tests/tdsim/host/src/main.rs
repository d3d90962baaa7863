//! `coffer-tdsim run FILE`: a trust domain on the simulated TDX module, with its console on standard output.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser};
use coffer_qemu::{Disk, Ended};
use coffer_tdsim::{Accept, Domain, MODULE, Payload, build_bare, machine};
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
    /// Tell of each exit. Very long.
    #[arg(long)]
    trace: bool,
    /// Seconds until the machine is ended.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
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
    payload.command_line = format!("{} {}", payload.command_line, run.append).trim().to_owned();
    let domain = domain(run)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let pack = folder.path().join("pack");
    std::fs::write(&pack, domain.pack(&payload)?).context("cannot write the pack")?;

    let mut machine = machine(&domain, &build_bare(MODULE)?, &pack);
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

fn domain(run: &Run) -> anyhow::Result<Domain> {
    let accept = match run.accept.as_str() {
        "all" => Accept::All,
        mib => Accept::Below(mib.parse().context("--accept takes `all` or a number")?),
    };
    let relaxed = if run.relaxed { Flags::RELAXED_MSRS | Flags::IMPLICIT_CONVERSION } else { 0 };
    let trace = if run.trace { Flags::TRACE } else { 0 };
    Ok(Domain {
        cpus: run.smp,
        memory_mib: run.memory,
        gpaw: run.gpaw,
        accept,
        flags: relaxed | trace,
        ..Domain::default()
    })
}
