//! Real images on machines of every shape.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use coffer_harness::control::{Run, Size};
use coffer_harness::images::Recipe;
use coffer_harness::{Artifacts, Finished};
use coffer_images::{Image, debian, small};

use crate::machine::{self, Outcome, Setting, tail};
use crate::programs;
use crate::suite::Suite;

mod python;
mod shell;

/// What is tested on one machine.
struct Test {
    name: &'static str,
    image: Picture,
    setting: Setting,
    expect: fn(&Outcome) -> anyhow::Result<()>,
}

/// Which image a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picture {
    Busybox,
    BusyboxArchive,
    Layered,
    Debian,
    Python,
}

/// A setting that runs this command.
fn command(words: &[&str]) -> Setting {
    let args = Some(words.iter().map(|word| (*word).to_owned()).collect());
    Setting { run: Run { args, ..Run::default() }, ..Setting::default() }
}

/// Adds every test of a container.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    let tests = basic().into_iter().chain(shapes()).chain(shell::tests()).chain(python::tests());
    for test in tests {
        let name = format!("container/{}", test.name);
        if !suite.is_selected(&name) {
            continue;
        }
        let artifacts = artifacts.clone();
        suite.add(&name, move || {
            let folder = tempfile::tempdir()?;
            let archive = test.image.archive(folder.path())?;
            let outcome = machine::run(&artifacts, &archive, &test.setting)?;
            (test.expect)(&outcome)
        });
    }
    Ok(())
}

impl Picture {
    fn archive(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("image.tar");
        let write_layout = |image: Image| image.layout()?.write_tar(&path);
        match self {
            Self::Busybox => write_layout(small::busybox()?)?,
            Self::Layered => write_layout(small::layered()?)?,
            Self::BusyboxArchive => small::busybox()?.docker_archive().write_tar(&path)?,
            Self::Debian => return cached(&debian::DEBIAN),
            Self::Python => return cached(&debian::PYTHON),
        }
        Ok(path)
    }
}

/// Where images are kept from run to run.
fn cache() -> PathBuf {
    programs::root().join("target/images")
}

/// One at a time: two machines' tests may want the same image.
fn cached(recipe: &Recipe) -> anyhow::Result<PathBuf> {
    static ASSEMBLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ASSEMBLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    debian::archive(recipe, &cache())
}

/// Output, input, exit codes, signals, users, and the ways in which an image can be given.
fn basic() -> Vec<Test> {
    let shell = |script: &str| command(&["sh", "-c", script]);
    let with = |mut setting: Setting, change: fn(&mut Setting)| {
        change(&mut setting);
        setting
    };
    let busybox = |name, setting, expect| Test { name, image: Picture::Busybox, setting, expect };
    vec![
        busybox("output_and_error_output", shell("echo out; echo err >&2"), |outcome| {
            outcome.expect_output("out\n")?;
            ensure!(outcome.stderr == "err\n", "error output {:?}", outcome.stderr);
            Ok(())
        }),
        busybox("exit_code", shell("exit 37"), |outcome| outcome.expect_exit(37)),
        busybox("end_by_signal", shell("kill -TERM $$"), |outcome| outcome.expect_exit(128 + 15)),
        busybox("input", with(command(&["cat"]), |setting| setting.stdin = vec![b'i'; 300_000]), |outcome| {
            outcome.expect_exit(0)?;
            ensure!(outcome.stdout.len() == 300_000, "{} bytes came back", outcome.stdout.len());
            Ok(())
        }),
        busybox("large_output", shell("seq 1 200000 | md5sum; seq 1 200000"), |outcome| {
            outcome.expect_exit(0)?;
            ensure!(outcome.stdout.ends_with("199999\n200000\n"), "{:?}", tail(&outcome.stdout));
            ensure!(outcome.stdout.len() == 36 + 1_288_895, "{} bytes", outcome.stdout.len());
            Ok(())
        }),
        busybox(
            "signal_from_outside",
            with(
                shell("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"),
                |setting| {
                    setting.signal_at = Some(("ready", 15));
                },
            ),
            |outcome| {
                outcome.expect_exit(9)?;
                ensure!(outcome.stdout == "ready\ncaught\n", "{:?}", outcome.stdout);
                Ok(())
            },
        ),
        busybox("pid_one_and_its_namespaces", shell("echo $$; hostname; ps | wc -l"), |outcome| {
            outcome.expect_exit(0)?;
            let lines: Vec<&str> = outcome.stdout.lines().collect();
            // The heading, the shell, ps and wc.
            ensure!(lines.first() == Some(&"1") && lines.last() == Some(&"4"), "{:?}", outcome.stdout);
            Ok(())
        }),
        busybox(
            "user_by_name",
            with(shell("id -u; id -g; id -G; pwd; echo $HOME"), |setting| {
                setting.run.user = Some("worker".to_owned());
                setting.run.workdir = Some("/tmp".to_owned());
            }),
            |outcome| outcome.expect_output("1000\n1001\n1001 1002\n/tmp\n/home/worker\n"),
        ),
        busybox(
            "environment_and_host_name",
            with(shell("echo $NAME; hostname"), |setting| {
                setting.run.env = vec!["NAME=a value".to_owned()];
                setting.run.hostname = Some("chosen".to_owned());
            }),
            |outcome| outcome.expect_output("a value\nchosen\n"),
        ),
        busybox(
            "read_only_root",
            with(
                shell("touch /file 2>/dev/null && echo written; echo x > /dev/null && echo fine"),
                |setting| {
                    setting.run.read_only = true;
                },
            ),
            |outcome| outcome.expect_output("fine\n"),
        ),
        busybox(
            "terminal",
            with(shell("tty; stty size; echo end"), |setting| {
                setting.run.tty = Some(Size { rows: 33, cols: 111 });
            }),
            |outcome| {
                outcome.expect_exit(0)?;
                let text = outcome.stdout.replace('\r', "");
                ensure!(text.starts_with("/dev/") && text.ends_with("33 111\nend\n"), "{text:?}");
                Ok(())
            },
        ),
        busybox(
            "masked_and_read_only_paths",
            shell(
                "cat /proc/kcore 2>&1 | wc -c; echo x 2>/dev/null > /proc/sys/kernel/hostname || echo refused",
            ),
            |outcome| outcome.expect_output("0\nrefused\n"),
        ),
        Test {
            name: "docker_archive",
            image: Picture::BusyboxArchive,
            setting: command(&["echo", "from an archive"]),
            expect: |outcome| outcome.expect_output("from an archive\n"),
        },
        Test {
            name: "layers_whiteouts_and_links",
            image: Picture::Layered,
            setting: Setting::default(),
            expect: |outcome| outcome.expect_output(&small::layered_output()),
        },
        Test {
            name: "two_hundred_in_a_row",
            image: Picture::Busybox,
            setting: repeated(),
            expect: nothing_grows,
        },
    ]
}

/// The machines that the issue names: one CPU and two, little memory and much, firmware and none.
fn shapes() -> Vec<Test> {
    let shape = |name, cpus, memory_mib, is_uefi| Test {
        name,
        image: Picture::Busybox,
        setting: Setting {
            cpus,
            memory_mib,
            is_uefi,
            ..command(&["sh", "-c", "nproc; grep MemTotal /proc/meminfo"])
        },
        expect: |outcome| {
            outcome.expect_exit(0)?;
            let mut lines = outcome.stdout.lines();
            let cpus: u32 = lines.next().unwrap_or_default().parse().context("no number of CPUs")?;
            ensure!((1..=2).contains(&cpus) && lines.next().is_some(), "{:?}", outcome.stdout);
            Ok(())
        },
    };
    vec![
        shape("one_cpu_512_mib", 1, 512, false),
        shape("two_cpus_512_mib", 2, 512, false),
        shape("one_cpu_4_gib", 1, 4096, false),
        shape("two_cpus_4_gib", 2, 4096, false),
        shape("uefi_one_cpu_512_mib", 1, 512, true),
        shape("uefi_two_cpus_4_gib", 2, 4096, true),
    ]
}

/// Memory that is free and mounts, once a container.
fn repeated() -> Setting {
    let script = "awk '/^MemFree/ { print $2 }' /proc/meminfo; wc -l < /proc/self/mountinfo; ls -d /proc/[0-9]* | wc -l";
    let mut setting = command(&["sh", "-c", script]);
    setting.run.repeat = 200;
    setting.patience = Duration::from_secs(600);
    setting
}

/// Fails if memory, mounts or processes of later containers differ from those of the first ones.
fn nothing_grows(outcome: &Outcome) -> anyhow::Result<()> {
    /// Caches may fill during the first rounds.
    const WARM: usize = 20;
    /// What free memory may vary by, in KiB: less than 11 pages for each of the 180 containers.
    const SLACK_KIB: i64 = 4096;
    ensure!(matches!(outcome.finished, Finished::Exit(0)), "{:?}", outcome.finished);
    ensure!(
        outcome.rounds.len() == 200 && outcome.rounds.iter().all(|code| *code == 0),
        "{:?}",
        outcome.rounds
    );
    let numbers: Vec<i64> = outcome
        .stdout
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("not a number")?;
    let rounds: Vec<&[i64]> = numbers.chunks(3).collect();
    ensure!(rounds.len() == 200, "{} rounds reported", rounds.len());
    let (early, late) = (rounds[WARM], rounds[199]);
    ensure!(early[0] - late[0] <= SLACK_KIB, "free memory went from {} to {} KiB", early[0], late[0]);
    ensure!(early[1] == late[1], "mounts went from {} to {}", early[1], late[1]);
    ensure!(early[2] == late[2], "processes went from {} to {}", early[2], late[2]);
    Ok(())
}

/// The result that the host has for the image's tree, read once.
fn last_checksum() -> anyhow::Result<Arc<str>> {
    debian::last_checksum(&debian::DEBIAN, &cache()).map(Into::into)
}
