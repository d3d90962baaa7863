//! The two kernels, and one container on a machine of its own.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use coffer_harness::control::{Command, Event, Run};
use coffer_harness::{
    Artifacts, Boot, Clock, Disk, DiskBus, Finished, IMAGE_DISK, Machine, Session, Streams,
};
use coffer_image_builder::format::Format;

use crate::tdx;

/// Modules that cases need, each after those that it needs itself.
const MODULES: [&str; 15] = [
    "fs/overlayfs/overlay",
    "net/llc/llc",
    "net/802/stp",
    "net/bridge/bridge",
    "drivers/net/veth",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "drivers/scsi/scsi_common",
    "drivers/scsi/scsi_mod",
    "drivers/scsi/sd_mod",
    "drivers/scsi/virtio_scsi",
];

/// A kernel that ABI cases run on.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// Ours.
    Coffer(PathBuf),
    /// Debian's stock kernel, and what the cases need of it that it has as modules, in the order in which they are loaded.
    Linux { kernel: PathBuf, modules: Vec<PathBuf> },
}

impl Kernel {
    /// The newest of Debian's cloud kernels that are installed.
    pub fn linux() -> anyhow::Result<Self> {
        let missing = "Debian's kernel is not installed: it is in the package linux-image-cloud-amd64";
        let mut kernels = Vec::new();
        for entry in fs::read_dir("/boot").context(missing)? {
            let name = entry.context(missing)?.file_name().to_string_lossy().into_owned();
            let release = name.strip_prefix("vmlinuz-").filter(|release| release.ends_with("-cloud-amd64"));
            kernels.extend(release.map(str::to_owned));
        }
        kernels.sort();
        let release = kernels.pop().context(missing)?;
        let module = |name| PathBuf::from(format!("/lib/modules/{release}/kernel/{name}.ko"));
        let modules = MODULES.map(module).to_vec();
        Ok(Self::Linux { kernel: format!("/boot/vmlinuz-{release}").into(), modules })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Coffer(kernel) | Self::Linux { kernel, .. } => kernel,
        }
    }
}

/// The built image in `folder`.
pub fn artifacts(folder: &Path) -> anyhow::Result<Artifacts> {
    let folder = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
    Ok(Artifacts::at(folder))
}

/// How a machine for a container differs from the usual one, and what it is given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What to run.
    pub run: Run,
    /// Its input.
    pub stdin: Vec<u8>,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Whether to boot from the disk under UEFI firmware.
    pub is_uefi: bool,
    /// Whether to boot as a trust domain, on the simulated TDX module.
    pub is_trust_domain: bool,
    /// What must not be in shared memory at the end, of trust domains.
    pub canaries: Vec<[u8; 16]>,
    /// What their host does to them.
    pub host: Host,
    /// Where its time comes from.
    pub clock: Clock,
    /// How its disks are attached.
    pub disk_bus: DiskBus,
    /// The form of the disk that it boots from, under firmware.
    pub form: Format,
    /// When this has been printed, send this signal.
    pub signal_at: Option<(&'static str, i32)>,
    /// How long it may take.
    pub patience: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            run: Run::default(),
            stdin: Vec::new(),
            cpus: 2,
            memory_mib: 1024,
            is_uefi: false,
            is_trust_domain: false,
            canaries: Vec::new(),
            host: Host::default(),
            clock: Clock::Real,
            disk_bus: DiskBus::default(),
            form: Format::Raw,
            signal_at: None,
            patience: Duration::from_secs(240),
        }
    }
}

/// What the host of a trust domain does to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
    /// Seed of a hostile one; 0: a friendly one.
    pub seed: u64,
    /// Which faults it makes (`hostile::Fault::bit`), and how rarely.
    pub faults: (u64, u64),
    /// It is friendly until the container has printed this.
    pub turns_at: Option<&'static str>,
    /// It does at once what it is asked for, in large pages: as a rule, others do. Tests want what is rarer.
    pub is_prompt: bool,
}

/// What a container left.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub finished: Finished,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors.
    pub stderr: String,
    /// The exit statuses of repeated containers.
    pub rounds: Vec<u8>,
    /// What the machine's serial console said.
    pub console: Vec<String>,
    /// Whether it was ended because it only waited (hostile hosts only).
    pub is_idle: bool,
}

impl Outcome {
    /// Fails unless the container exited with this status.
    pub fn expect_exit(&self, code: i32) -> anyhow::Result<()> {
        match &self.finished {
            Finished::Exit(actual) if *actual == code => Ok(()),
            other => bail!(
                "{other:?} instead of exit {code}; it printed {:?}, {:?}",
                tail(&self.stdout),
                tail(&self.stderr)
            ),
        }
    }

    /// Fails unless the container exited with 0 and printed this.
    pub fn expect_output(&self, text: &str) -> anyhow::Result<()> {
        self.expect_exit(0)?;
        ensure!(self.stdout == text, "it printed {:?} instead of {:?}", tail(&self.stdout), tail(text));
        Ok(())
    }
}

/// The end of a text, for messages.
pub fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(400);
    (start..text.len()).find_map(|start| text.get(start..)).unwrap_or("")
}

/// Output that can be looked at while it grows.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Shared {
    /// Does something as soon as this has been printed, or time is up.
    fn when_printed(&self, marker: &'static str, patience: Duration, act: impl FnOnce() + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            let start = Instant::now();
            while !output.text().contains(marker) && start.elapsed() < patience {
                thread::sleep(Duration::from_millis(20));
            }
            act();
        });
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Boots a machine and runs the image in `archive` on it.
pub fn run(artifacts: &Artifacts, archive: &Path, setting: &Setting) -> anyhow::Result<Outcome> {
    // Kept until the machine has ended.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let (mut machine, quoting) = if setting.is_trust_domain {
        let prepared = tdx::prepared(artifacts, setting, folder.path())?;
        (prepared.simulated.machine(), Some(prepared.quoting))
    } else {
        (plain(artifacts, setting, folder.path())?, None)
    };
    machine.has_ports = true;
    machine.disk_bus = setting.disk_bus;
    machine.clock = setting.clock;
    machine.disks.push(Disk { path: archive.to_owned(), serial: IMAGE_DISK.to_owned() });
    let (sender, lines) = mpsc::channel::<String>();
    let running = machine.start(move |line| {
        // Nobody listens any more once the test is over.
        let _ended = sender.send(line.trim_end().to_owned());
    })?;

    let process = running.process();
    let (stdout, stderr) = (Shared::default(), Shared::default());
    let streams = Streams {
        stdin: Box::new(Cursor::new(setting.stdin.clone())),
        stdout: Box::new(stdout.clone()),
        stderr: Box::new(stderr.clone()),
    };
    let rounds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&rounds);
    let session = Session::start(running, setting.run.clone(), streams, move |event| {
        if let Event::Round { code, .. } = event {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(*code);
        }
    })?;
    // Where the machine has gone meanwhile, the test fails by itself.
    if let Some((marker, signal)) = setting.signal_at {
        let control = session.control();
        stdout.when_printed(marker, setting.patience, move || drop(control.send(&Command::Signal(signal))));
    }
    if let (Some(marker), Some(quoting)) = (setting.host.turns_at, quoting) {
        stdout.when_printed(marker, setting.patience, move || drop(quoting.turn_hostile()));
    }
    let is_idle = Arc::new(AtomicBool::new(false));
    if setting.host.seed != 0 {
        end_when_idle(process, Arc::clone(&is_idle), session.cancellation());
    }
    let finished = session.finish(Some(setting.patience))?;
    let is_idle = is_idle.load(Ordering::Relaxed);
    let rounds = rounds.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let console = lines.try_iter().collect();
    Ok(Outcome { finished, stdout: stdout.text(), stderr: stderr.text(), rounds, console, is_idle })
}

/// Ends a machine that has had nothing to do for some seconds: what its host has cut off from everything waits for good.
fn end_when_idle(process: u32, is_idle: Arc<AtomicBool>, end: Arc<AtomicBool>) {
    const STEP: Duration = Duration::from_millis(50);
    const STEPS: u32 = 120;
    /// A guest that waits looks around now and then.
    const BUSY_LIMIT: u32 = STEPS / 20;
    thread::spawn(move || {
        let (mut steps, mut busy) = (0, 0);
        // Until the process has gone.
        while let Some(wants_processor) = wants_processor(process) {
            steps += 1;
            busy += u32::from(wants_processor);
            if busy > BUSY_LIMIT {
                (steps, busy) = (0, 0);
            }
            if steps == STEPS {
                is_idle.store(true, Ordering::Relaxed);
                end.store(true, Ordering::Relaxed);
                return;
            }
            thread::sleep(STEP);
        }
    });
}

/// Whether a thread of a process runs or would like to (proc(5), stat): on a computer with much to do that is more than what it gets.
fn wants_processor(process: u32) -> Option<bool> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let states = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (_, rest) = text.rsplit_once(") ")?;
        rest.chars().next()
    });
    let mut states = states.peekable();
    // A process that has ended and was not waited for yet.
    if states.peek().is_none_or(|state| *state == 'Z') {
        return None;
    }
    Some(states.any(|state| matches!(state, 'R' | 'D')))
}

/// A machine that is no trust domain.
fn plain(artifacts: &Artifacts, setting: &Setting, folder: &Path) -> anyhow::Result<Machine> {
    let boot = match (setting.is_uefi, setting.form) {
        (false, _) => artifacts.boot_directly("")?,
        (true, Format::Raw) => artifacts.boot_from_disk(),
        (true, form) => Boot::Firmware { disk: wrap(artifacts, form, folder)? },
    };
    let mut machine = Machine::new(boot);
    machine.cpus = setting.cpus;
    machine.memory_mib = setting.memory_mib;
    Ok(machine)
}

/// Writes the built disk in another form.
fn wrap(artifacts: &Artifacts, form: Format, folder: &Path) -> anyhow::Result<PathBuf> {
    let disk = fs::read(artifacts.disk()).context("cannot read the image's disk")?;
    let path = folder.join(form.file_name());
    fs::write(&path, form.write(&disk)?).context("cannot write a disk")?;
    Ok(path)
}
