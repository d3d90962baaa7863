//! Counts instructions: one of the guest is one nanosecond of its time, on one CPU, so the host's load has no effect.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use coffer_harness::{Boot, Clock, Ended, Machine};

use crate::initramfs;
use crate::kernels::Kernel;

/// All benchmarks take about a minute.
const PATIENCE: Duration = Duration::from_secs(900);

/// One line of the guest program.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The benchmark.
    pub name: String,
    /// Its value; none where it could not be measured.
    pub value: Option<f64>,
    /// Of what; or why it could not be measured.
    pub unit: String,
}

/// Boots the kernel with the benchmarks that are named, or all of them.
pub fn measure(kernel: &Kernel, names: &[String]) -> anyhow::Result<Vec<Measurement>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join("bench.cpio");
    initramfs::with_program()?.write(&path)?;
    let mut machine = Machine::new(Boot::Direct {
        kernel: kernel.path.clone(),
        initramfs: Some(path),
        command_line: format!("{} bench={}", kernel.command_line, names.join(",")),
    });
    machine.cpus = 1;
    machine.memory_mib = 1024;
    machine.clock = Clock::Instructions;
    // QEMU emulates `rep movsb` byte by byte; without these features both kernels copy by words.
    machine.extra = ["-cpu", "max,-erms,-fsrm"].map(Into::into).to_vec();
    let (sender, lines) = mpsc::channel::<String>();
    let mut running = machine.start(move |line| {
        let _ended = sender.send(line.trim_end().to_owned());
    })?;
    let ended = running.wait(Some(PATIENCE))?;
    let lines: Vec<String> = lines.try_iter().collect();
    if ended == Ended::TimedOut || !lines.iter().any(|line| line == "bench: done") {
        let tail = running.console.tail(20).join("\n  ");
        bail!("{} ended by {ended:?} before it was done:\n  {tail}", kernel.column);
    }
    Ok(lines.iter().filter_map(|line| parse(line)).collect())
}

fn parse(line: &str) -> Option<Measurement> {
    let mut fields = line.split('\t');
    let (name, value, unit) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Measurement { name: name.to_owned(), value: value.parse().ok(), unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_of_the_guest_are_read() {
        assert_eq!(parse("stat\t12.5\tns").unwrap().value, Some(12.5));
        assert_eq!(parse("tcp_rtt\t-\tno such family").unwrap().value, None);
        assert_eq!(parse("bench: done"), None);
    }
}
