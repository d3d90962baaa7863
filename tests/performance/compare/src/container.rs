//! One container from creation to removal: Coffer's runtime, and Debian's crun on Linux; in real time.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use coffer_harness::control::{Event, Run};
use coffer_harness::{Artifacts, Boot, Disk, IMAGE_DISK, Machine, Session, Streams};
use coffer_images::small;
use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::initramfs::{self, busybox};
use crate::kernels::{COFFER, Kernel};

/// Containers whose mean is taken. The first one, which warms up, is not counted.
const ROUNDS: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(180);
const CRUN: &str = "/usr/bin/crun";

/// Milliseconds for one container that runs busybox's `true`: overlay mount, creation, start, end, removal.
pub fn measure(kernel: &Kernel, artifacts: &Artifacts) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let ends = if kernel.column == COFFER {
        coffer(artifacts, folder.path())?
    } else {
        linux(kernel, folder.path())?
    };
    ensure!(ends.len() == ROUNDS as usize, "{} of {ROUNDS} containers have run", ends.len());
    let took = ends[ends.len() - 1] - ends[0];
    Ok(took.as_secs_f64() * 1e3 / f64::from(ROUNDS - 1))
}

fn coffer(artifacts: &Artifacts, folder: &Path) -> anyhow::Result<Vec<Instant>> {
    let archive = folder.join("image.tar");
    small::busybox()?.layout()?.write_tar(&archive)?;
    let mut machine = Machine::new(artifacts.boot_directly("")?);
    machine.has_ports = true;
    machine.disks.push(Disk { path: archive, serial: IMAGE_DISK.to_owned() });
    let streams =
        Streams { stdin: Box::new(io::empty()), stdout: Box::new(io::sink()), stderr: Box::new(io::sink()) };
    let run = Run { args: Some(vec!["true".to_owned()]), repeat: Some(ROUNDS), ..Run::default() };
    let (sender, ends) = mpsc::channel();
    let session = Session::start(machine.start(|_| {})?, run, streams, move |event| {
        if let Event::Round { code: 0, .. } = event {
            let _received = sender.send(Instant::now());
        }
    })?;
    session.finish(Some(PATIENCE))?;
    Ok(ends.try_iter().collect())
}

fn linux(kernel: &Kernel, folder: &Path) -> anyhow::Result<Vec<Instant>> {
    ensure!(Path::new(CRUN).exists(), "{CRUN} is missing: it is in the package crun");
    let path = folder.join("containers.cpio");
    let mut archive = initramfs::with_program()?;
    archive.modules(&kernel.container_modules)?;
    archive.linked_program(Path::new(CRUN))?;
    archive.program("layer/bin/busybox", &busybox()?)?;
    archive.program("bundle/config.json", &serde_json::to_vec(&specification()?)?)?;
    archive.write(&path)?;
    let machine = Machine::new(Boot::Direct {
        kernel: kernel.path.clone(),
        initramfs: Some(path),
        command_line: format!("{} containers={ROUNDS}", kernel.command_line),
    });
    let (sender, ends) = mpsc::channel();
    let mut running = machine.start(move |line| {
        let round = line.trim_end().strip_prefix("bench: container ").map(str::parse::<u32>);
        if let Some(Ok(_)) = round {
            let _received = sender.send(Instant::now());
        }
    })?;
    running.wait(Some(PATIENCE))?;
    let ends: Vec<Instant> = ends.try_iter().collect();
    ensure!(!ends.is_empty(), "no container has run:\n  {}", running.console.tail(20).join("\n  "));
    Ok(ends)
}

/// What Coffer's runtime gives a container without a network: the crate's default, which is runc's, less namespaces and mounts that it
/// does not make there.
fn specification() -> anyhow::Result<Spec> {
    let mut spec = Spec::default();
    let process = spec.process_mut().as_mut().context("no process by default")?;
    process.set_terminal(None).set_args(Some(["/bin/busybox", "true"].map(str::to_owned).to_vec()));
    let linux = spec.linux_mut().as_mut().context("no linux section by default")?;
    let mut namespaces = linux.namespaces().clone().unwrap_or_default();
    namespaces.retain(|one| ![LinuxNamespaceType::Network, LinuxNamespaceType::Cgroup].contains(&one.typ()));
    linux.set_namespaces(Some(namespaces)).set_resources(None);
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.retain(|mount| mount.destination() != Path::new("/sys/fs/cgroup"));
    spec.set_mounts(Some(mounts));
    spec.set_hostname(Some("bench".to_owned()));
    Ok(spec)
}
