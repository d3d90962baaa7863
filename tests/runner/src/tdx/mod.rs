//! Trust domains on the simulated TDX module (tests/tdsim): the module's rules from inside, stock Linux, and our own image.

mod attestation;
mod client;
mod coffer;
mod docker;
mod evidence;
mod guest;
mod hostile;
mod kernel;
mod linux;
mod rules;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use coffer_harness::{Artifacts, Ended, Machine};
use coffer_tdsim::{Domain, MODULE, Payload, Prepared, QuoteVersion, build_bare, prepare};
use coffer_tdsim_rules::pack::Flags;

use crate::containers;
use crate::machine::Setting;
use crate::suite::{Suite, Verdict};

/// How long one boot may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Adds every test of a trust domain.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    rules::add(suite)?;
    client::add(suite)?;
    linux::add(suite);
    coffer::add(suite, artifacts);
    containers::add_as_trust_domains(suite, artifacts);
    docker::add(suite, artifacts)?;
    attestation::add(suite, artifacts)?;
    kernel::add(suite, artifacts);
    hostile::add(suite, artifacts);
    Ok(())
}

/// The module, built once.
fn module() -> anyhow::Result<PathBuf> {
    static MODULE_PATH: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = MODULE_PATH.get() {
        return Ok(path.clone());
    }
    let path = build_bare(MODULE)?;
    Ok(MODULE_PATH.get_or_init(|| path).clone())
}

/// Our image as a trust domain.
pub fn prepared(artifacts: &Artifacts, setting: &Setting, folder: &Path) -> anyhow::Result<Prepared> {
    let file = std::fs::read(artifacts.uki()).context("cannot read the unified kernel image")?;
    let usual = Domain::default();
    let [retry_every, split_every] =
        if setting.host.is_prompt { [0, 0] } else { [usual.retry_every, usual.split_every] };
    let domain = Domain {
        cpus: setting.cpus,
        memory_mib: setting.memory_mib,
        canaries: setting.canaries.clone(),
        seed: setting.host.seed,
        faults: setting.host.faults,
        flags: setting.host.turns_at.map_or(0, |_| Flags::FRIENDLY_FIRST),
        retry_every,
        split_every,
        ..usual
    };
    prepare(&domain, &Payload::read(&file)?, &module()?, QuoteVersion::V4, folder)
}

/// Runs a machine to its end; gives how it ended and all that it printed.
fn run(machine: &Machine) -> anyhow::Result<(Ended, Vec<String>)> {
    let (sender, lines) = mpsc::channel::<String>();
    let mut running = machine.start(move |line| {
        // Nobody listens any more once the machine has taken too long.
        let _ended = sender.send(line.trim_end().to_owned());
    })?;
    let ended = running.wait(Some(PATIENCE))?;
    Ok((ended, lines.try_iter().collect()))
}

/// The names in a table of cases, of a file.
fn names(file: &'static str, table: &str) -> impl Iterator<Item = &'static str> {
    let start = file.split_once(&format!("const {table}: ")).map_or("", |(_, rest)| rest);
    let rows = start.split_once("];").map_or("", |(rows, _)| rows);
    rows.split("(\"").skip(1).filter_map(|row| row.split_once('"')).map(|(name, _)| name)
}

/// Reads `ok NAME` or `FAIL NAME: reason`.
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    match line.split_once(' ')? {
        ("ok", name) => Some((name, Verdict::Passed)),
        ("FAIL", rest) => rest.split_once(": ").map(|(name, why)| (name, Verdict::Failed(why.to_owned()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{names, verdict};
    use crate::suite::Verdict;

    #[test]
    fn names_stand_in_their_table() {
        let file = "pub const A: [Row; 1] = [(\"x/y\", z)];\nconst B: [Row; 2] = [\n    (\"p\", q),\n    (\"r\", s),\n];";
        assert_eq!(names(file, "A").collect::<Vec<_>>(), ["x/y"]);
        assert_eq!(names(file, "B").collect::<Vec<_>>(), ["p", "r"]);
        assert_eq!(names(file, "C").count(), 0);
    }

    #[test]
    fn lines_are_verdicts_or_nothing() {
        assert_eq!(verdict("ok a/b"), Some(("a/b", Verdict::Passed)));
        assert_eq!(verdict("FAIL a/b: c: d"), Some(("a/b", Verdict::Failed("c: d".to_owned()))));
        assert_eq!(verdict("tdsim: a trust domain"), None);
    }
}
