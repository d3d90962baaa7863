//! The forms in which an image comes, and one image run many times.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use coffer_harness::Finished;
use coffer_images::small;

use super::{Picture, Test, command};
use crate::machine::{Outcome, Setting};

pub fn tests() -> Vec<Test> {
    vec![
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

/// Memory that is free, mounts, process ids and cached names of the whole machine, once a container. Only the shell itself runs meanwhile: a child that
/// ends just then would count or not.
fn repeated() -> Setting {
    let script = "while read -r name count; do case $name in frames_free) free=$count;; mounts) mounts=$count;; \
                  pids) pids=$count;; dentries) names=$count;; esac; done < /proc/coffer/memory; \
                  echo $((free * 4)) $mounts $pids $names";
    let mut setting = command(&["sh", "-c", script]);
    setting.run.repeat = Some(200);
    setting.patience = Duration::from_secs(600);
    setting
}

/// Fails if memory, mounts, processes or names of later containers differ from those of the first ones.
fn nothing_grows(outcome: &Outcome) -> anyhow::Result<()> {
    /// Caches may fill during the first rounds.
    const WARM: usize = 20;
    /// What free memory may vary by, in KiB: stacks that the kernel keeps for the next tasks, 64 KiB each, are most of it.
    const SLACK_KIB: i64 = 2048;
    /// Processes of the previous container whose last task may still be on its way off a CPU.
    const LEAVING: i64 = 2;
    /// Names that the cache may hold more or less, depending on what was looked at last.
    const NAMES: i64 = 16;
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
    let rounds: Vec<&[i64]> = numbers.chunks(4).collect();
    ensure!(rounds.len() == 200, "{} rounds reported", rounds.len());
    let (early, late) = (rounds[WARM], rounds[199]);
    ensure!(early[0] - late[0] <= SLACK_KIB, "free memory went from {} to {} KiB", early[0], late[0]);
    ensure!(early[1] == late[1], "mounts went from {} to {}", early[1], late[1]);
    ensure!(late[3] <= early[3] + NAMES, "cached names went from {} to {}", early[3], late[3]);
    ensure!(late[2] <= early[2] + LEAVING, "process ids went from {} to {}", early[2], late[2]);
    Ok(())
}
