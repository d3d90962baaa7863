//! The ABI cases (`tests/abi`): one program as PID 1, which runs many of them and prints a line for each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use coffer_harness::{Boot, DEBUG_EXIT_PORT, Ended, Machine};

use crate::machine::Kernel;
use crate::programs;
use crate::runtimes;
use crate::suite::{Suite, Verdict};

const PACKAGE: &str = "coffer-abi";

/// Cases that Coffer is known to fail, one a line: name, reason.
const KNOWN: &str = include_str!("../../abi/known-failures.list");

/// Two groups that take about as long as each other, so that two machines share the work.
const FIRST_HALF: [&str; 5] = ["syscall", "process", "memory", "elf", "tty"];

/// How long all the cases of one machine may take.
const PATIENCE: Duration = Duration::from_secs(400);

/// The longest list of names that a kernel command line is given.
const LONGEST_LIST: usize = 1500;

/// Adds every selected case.
pub fn add(suite: &mut Suite, kernel: &Kernel, cpus: u32) -> anyhow::Result<()> {
    let program = programs::build(PACKAGE)?;
    // The program is static: it runs here as well.
    let output = Command::new(&program).arg("list").output().context("cannot run the ABI program")?;
    let names: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|name| format!("abi/{name}"))
        .filter(|name| suite.is_selected(name))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let folder = Arc::new(tempfile::tempdir().context("cannot make a temporary folder")?);
    let initramfs = folder.path().join("abi.cpio");
    programs::initramfs(&program, &initramfs)?;
    if let Kernel::Linux { modules, .. } = kernel {
        append(&initramfs, |archive| add_modules(archive, modules))?;
    }
    let known: BTreeMap<&str, &str> = match kernel {
        Kernel::Coffer(_) => {
            KNOWN.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name != "#").collect()
        }
        Kernel::Linux { .. } => BTreeMap::new(),
    };
    let is_first = |name: &String| FIRST_HALF.contains(&name.split('/').nth(1).unwrap_or_default());
    let (third, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| runtimes::are_wanted_by(name));
    let (first, second): (Vec<_>, Vec<_>) = names.into_iter().partition(is_first);
    for names in [first, second, third].into_iter().filter(|names| !names.is_empty()) {
        let (kernel, folder, known) = (kernel.clone(), Arc::clone(&folder), known.clone());
        suite.add_group(names.clone(), move |report| {
            let mut initramfs = folder.path().join("abi.cpio");
            if names.iter().any(|name| runtimes::are_wanted_by(name)) {
                match with_runtimes(&initramfs) {
                    Ok(larger) => initramfs = larger,
                    // All the cases are missing then.
                    Err(error) => return println!("  {error:#}"),
                }
            }
            let ended = run(&kernel, &initramfs, cpus, &names, &mut |name, verdict| {
                report(name, judged(name, verdict, &known));
            });
            drop(folder);
            // The cases that are missing are reported as such; the console says why.
            match ended {
                Ok(console) => console.iter().for_each(|line| println!("  {line}")),
                Err(error) => println!("  {error:#}"),
            }
        });
    }
    Ok(())
}

/// A failure that is known is not one; a known one that passes is to be taken off the list.
fn judged(name: &str, verdict: Verdict, known: &BTreeMap<&str, &str>) -> Verdict {
    match (known.get(name.trim_start_matches("abi/")), verdict) {
        (Some(reason), Verdict::Failed(_)) => Verdict::Skipped((*reason).to_owned()),
        (Some(_), Verdict::Passed) => {
            Verdict::Failed("passes, but is in tests/abi/known-failures.list".to_owned())
        }
        (_, verdict) => verdict,
    }
}

/// Boots the kernel with the cases; gives the end of the console if the machine did not power off by itself.
fn run(
    kernel: &Kernel,
    initramfs: &Path,
    cpus: u32,
    names: &[String],
    report: &mut dyn FnMut(&str, Verdict),
) -> anyhow::Result<Vec<String>> {
    let boot = Boot::Direct {
        kernel: kernel.path().to_owned(),
        initramfs: Some(initramfs.to_owned()),
        command_line: format!(
            "console=ttyS0 quiet panic=-1 mitigations=off coffer.debug_exit={DEBUG_EXIT_PORT:#x} abi={}",
            filters(names)
        ),
    };
    let mut machine = Machine::new(boot);
    machine.cpus = cpus;
    machine.memory_mib = 512;
    // Kept until the machine has ended.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    machine.extra = disks(folder.path())?;
    let (sender, lines) = mpsc::channel::<String>();
    let mut running = machine.start(move |line| {
        let _ended = sender.send(line.trim_end().to_owned());
    })?;
    let reader = |line: &str, report: &mut dyn FnMut(&str, Verdict)| {
        if let Some((name, verdict)) = verdict(line) {
            let name = format!("abi/{name}");
            if names.contains(&name) {
                report(&name, verdict);
            }
        }
    };
    let start = std::time::Instant::now();
    while !running.has_ended() && start.elapsed() < PATIENCE {
        if let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
            reader(&line, report);
        }
    }
    let ended = running.wait(Some(Duration::ZERO))?;
    lines.try_iter().for_each(|line| reader(&line, report));
    let mut console = Vec::new();
    if ended != Ended::PoweredOff && ended != Ended::DebugExit(0x10) {
        console = running.console.tail(30);
        console.push(format!("the machine ended by {ended:?}"));
    }
    Ok(console)
}

/// A disk of each kind that can be written to, as `tests/abi/block` expects them.
fn disks(folder: &Path) -> anyhow::Result<Vec<OsString>> {
    const SIZE: u64 = (4 << 20) + 3 * 512;
    let mut arguments: Vec<OsString> = ["-device", "virtio-scsi-pci"].map(OsString::from).to_vec();
    for (name, device) in
        [("blk", "virtio-blk-pci"), ("scsi", "scsi-hd"), ("nvme", "nvme,serial=coffer-test")]
    {
        let path = folder.join(name);
        let file = fs::File::create(&path).context("cannot make a disk")?;
        file.set_len(SIZE).context("cannot make a disk")?;
        let mut drive = OsString::from(format!("if=none,format=raw,cache=unsafe,id={name},file="));
        drive.push(path);
        arguments.extend(["-drive".into(), drive, "-device".into(), format!("{device},drive={name}").into()]);
    }
    Ok(arguments)
}

/// Reads `ok NAME`, `FAIL NAME: reason` or `skip NAME: reason`.
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    let (word, rest) = line.split_once(' ')?;
    let (name, reason) = rest.split_once(": ").unwrap_or((rest, ""));
    let verdict = match word {
        "ok" => Verdict::Passed,
        "FAIL" => Verdict::Failed(reason.to_owned()),
        "skip" => Verdict::Skipped(reason.to_owned()),
        _ => return None,
    };
    name.contains('/').then_some((name, verdict))
}

/// What the program is told to run: the names, or their areas where that would be too long.
fn filters(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.trim_start_matches("abi/")).collect();
    let list = names.join(",");
    if list.len() <= LONGEST_LIST {
        return list;
    }
    let mut areas: Vec<&str> = names.iter().filter_map(|name| name.split('/').next()).collect();
    areas.dedup();
    areas.join(",")
}

/// A copy of an initramfs with what [`runtimes`] adds.
fn with_runtimes(initramfs: &Path) -> anyhow::Result<PathBuf> {
    let larger = initramfs.with_extension("runtimes.cpio");
    fs::copy(initramfs, &larger).context("cannot copy the initramfs")?;
    append(&larger, |archive| runtimes::append(archive, &programs::root().join("target/images")))?;
    Ok(larger)
}

/// Appends a second archive.
fn append(initramfs: &Path, add: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    const ALIGNMENT: usize = 512;
    let mut archive = fs::read(initramfs).context("cannot read the initramfs")?;
    archive.resize(archive.len().next_multiple_of(ALIGNMENT), 0);
    add(&mut archive)?;
    fs::write(initramfs, archive).context("cannot write the initramfs")
}

/// Debian's modules, numbered in their order, which the program loads.
fn add_modules(archive: &mut Vec<u8>, modules: &[PathBuf]) -> anyhow::Result<()> {
    for (number, module) in (1..).zip(modules) {
        let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
        let size = u32::try_from(bytes.len()).context("a module is too large")?;
        let name = format!("module{number}.ko");
        let header = cpio::newc::Builder::new(&name).ino(number).mode(0o100_644).nlink(1);
        let mut writer = header.write(&mut *archive, size);
        std::io::Write::write_all(&mut writer, &bytes).context("cannot append to the initramfs")?;
        writer.finish().context("cannot append to the initramfs")?;
    }
    cpio::newc::trailer(&mut *archive).context("cannot append to the initramfs")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, filters, verdict};

    #[test]
    fn lines_of_cases_are_told_from_others() {
        assert_eq!(verdict("ok fs/x"), Some(("fs/x", Verdict::Passed)));
        let failed = Verdict::Failed("a: b (c.rs:1)".to_owned());
        assert_eq!(verdict("FAIL fs/x: a: b (c.rs:1)"), Some(("fs/x", failed)));
        assert_eq!(verdict("ok then"), None);
        assert_eq!(verdict("[    0.1] ok fs/x"), None);
    }

    #[test]
    fn long_lists_become_areas() {
        assert_eq!(filters(&["abi/fs/a".to_owned()]), "fs/a");
        let many: Vec<_> = (0..500).map(|index| format!("abi/fs/name{index}")).collect();
        assert_eq!(filters(&many), "fs");
    }
}
