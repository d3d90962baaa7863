//! Time from power-on to the first output: Coffer runs a busybox image, Linux the same busybox from an initramfs.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coffer_harness::control::Run;
use coffer_harness::{Artifacts, Boot, Disk, IMAGE_DISK, Machine, Session, Streams};
use coffer_images::small;

use crate::initramfs::{Initramfs, busybox};
use crate::kernels::{COFFER, Kernel};

/// What is printed.
const MARK: &str = "first output of the container";

const PATIENCE: Duration = Duration::from_secs(120);

/// The median of so many starts, in seconds.
pub fn median(kernel: &Kernel, artifacts: &Artifacts, starts: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut seconds = Vec::new();
    for _ in 0..starts.max(1) {
        let took = if kernel.column == COFFER {
            coffer(artifacts, folder.path())?
        } else {
            linux(kernel, folder.path())?
        };
        seconds.push(took.as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

fn coffer(artifacts: &Artifacts, folder: &Path) -> anyhow::Result<Duration> {
    let archive = folder.join("image.tar");
    small::busybox()?.layout()?.write_tar(&archive)?;
    let mut machine = Machine::new(artifacts.boot_directly("")?);
    machine.has_ports = true;
    machine.disks.push(Disk { path: archive, serial: IMAGE_DISK.to_owned() });
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    let running = machine.start(|_| {})?;
    let streams = Streams {
        stdin: Box::new(io::empty()),
        stdout: Box::new(First(Some(sender))),
        stderr: Box::new(io::sink()),
    };
    let args = Some(["sh", "-c", &format!("echo {MARK}")].map(str::to_owned).to_vec());
    let session = Session::start(running, Run { args, ..Run::default() }, streams, |_| {})?;
    let finished = session.finish(Some(PATIENCE))?;
    match receiver.try_recv() {
        Ok(at) => Ok(at - start),
        Err(_) => bail!("the container printed nothing: {finished:?}"),
    }
}

/// Notes when the first byte arrives.
struct First(Option<mpsc::Sender<Instant>>);

impl Write for First {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(sender) = self.0.take() {
            // The receiver waits for the end of the session, which is after this.
            let _received = sender.send(Instant::now());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn linux(kernel: &Kernel, folder: &Path) -> anyhow::Result<Duration> {
    let initramfs = folder.join("busybox.cpio");
    write_initramfs(&initramfs)?;
    let machine = Machine::new(Boot::Direct {
        kernel: kernel.path.clone(),
        initramfs: Some(initramfs),
        command_line: kernel.command_line.clone(),
    });
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    let mut running = machine.start(move |line| {
        if line.contains(MARK) {
            let _received = sender.send(Instant::now());
        }
    })?;
    let at = receiver.recv_timeout(PATIENCE);
    running.stop();
    at.map(|at| at - start).with_context(|| format!("{} printed nothing", kernel.column))
}

/// busybox, a shell script as `/init`, and a console.
fn write_initramfs(path: &Path) -> anyhow::Result<()> {
    let mut archive = Initramfs::default();
    archive.console()?;
    archive.program("bin/busybox", &busybox()?)?;
    let script = format!("#!/bin/busybox sh\necho {MARK}\nexec /bin/busybox poweroff -f\n");
    archive.program("init", script.as_bytes())?;
    archive.write(path)
}
