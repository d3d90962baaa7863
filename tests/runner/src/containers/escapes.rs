//! Our engine's containers beside those of Debian's runc: the same ways out lead nowhere, and the same things are seen.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};

use super::{Picture, Test, command};
use crate::machine::Outcome;

/// Cases that end in another error here: device files are on mounts without devices, so that opening one fails with EACCES before a control group
/// is asked.
const OTHERWISE: [&str; 5] = [
    "escape/a_disk_cannot_be_opened",
    "escape/the_machines_memory_cannot_be_opened",
    "escape/the_kernels_messages_cannot_be_opened",
    "escape/the_machines_console_cannot_be_opened",
    "escape/the_usual_devices_can_be_opened",
];

/// What runc makes of the same configuration on Debian's kernel, line by line.
const USUAL: &str = include_str!("../../../abi/runtimes/view.txt");

/// Beginnings of lines that differ on purpose: limits and the group's name, which the bundle has chosen; /dev, which takes no devices here, and the
/// devices in it, each of which is a mount for that.
const OTHER: [&str; 9] = [
    "limit ",
    "cgroup ",
    "mount /dev rw,nosuid",
    "mount /dev/null ",
    "mount /dev/zero ",
    "mount /dev/full ",
    "mount /dev/random ",
    "mount /dev/urandom ",
    "mount /dev/tty ",
];

pub fn tests() -> Vec<Test> {
    let mut view = command(&["/abi", "@view"]);
    view.run.hostname = Some("contained".to_owned());
    vec![
        Test {
            name: "escapes_lead_nowhere",
            image: Picture::Cases,
            setting: command(&["/abi", "@contained", "escape/"]),
            expect: all_fail_as_expected,
        },
        Test { name: "view_is_runcs", image: Picture::Cases, setting: view, expect: is_the_usual_view },
    ]
}

fn all_fail_as_expected(outcome: &Outcome) -> anyhow::Result<()> {
    let verdicts: BTreeMap<&str, &str> = outcome
        .stdout
        .lines()
        .filter_map(|line| {
            let (verdict, rest) = line.split_once(' ')?;
            let name = rest.split(": ").next().unwrap_or_default();
            name.starts_with("escape/").then_some((name, verdict))
        })
        .collect();
    ensure!(verdicts.len() >= 60, "only {} cases ran: {:?}", verdicts.len(), outcome.stdout);
    for (name, verdict) in verdicts {
        let is_as_expected = match verdict {
            "ok" => !OTHERWISE.contains(&name),
            "FAIL" => OTHERWISE.contains(&name) && outcome.stdout.contains("EACCES"),
            _ => false,
        };
        if !is_as_expected {
            let line = outcome.stdout.lines().find(|line| line.contains(name)).unwrap_or_default();
            bail!("{line}");
        }
    }
    Ok(())
}

fn is_the_usual_view(outcome: &Outcome) -> anyhow::Result<()> {
    outcome.expect_exit(0)?;
    let is_common = |line: &&str| !OTHER.iter().any(|start| line.starts_with(start));
    let usual: Vec<&str> = USUAL.lines().filter(is_common).collect();
    let shown: Vec<&str> = outcome.stdout.lines().filter(is_common).collect();
    let more: Vec<_> = shown.iter().filter(|line| !usual.contains(line)).collect();
    let less: Vec<_> = usual.iter().filter(|line| !shown.contains(line)).collect();
    ensure!(more.is_empty() && less.is_empty(), "it shows {more:?}, not {less:?}");
    Ok(())
}
