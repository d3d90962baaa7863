//! The configuration that QEMU hands over by fw_cfg; the one on a disk is what every machine of `coffer launch` has.

use std::ffi::OsString;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coffer_harness::{Artifacts, Machine};

use crate::suite::Suite;

/// How long a machine may take to come up, or to say why it does not.
const PATIENCE: Duration = Duration::from_secs(180);

/// A configuration, and what the console says of it.
const CASES: [(&str, &str, &[&str]); 2] = [
    (
        "handed_over_by_fw_cfg",
        "hostname = \"handed-over\"\n",
        &["configured by /sys/firmware/qemu_fw_cfg", "the api stays closed"],
    ),
    ("handed_over_and_wrong", "# one\nno-such-key = 1\n", &["line 2", "no-such-key"]),
];

/// Adds every case.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) {
    for (name, text, expected) in CASES {
        let artifacts = artifacts.clone();
        suite.add(&format!("configuration/{name}"), move || says(&artifacts, text, expected));
    }
}

/// Boots an engine machine with this configuration, and waits until its console has said all of that.
fn says(artifacts: &Artifacts, text: &str, expected: &[&str]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("coffer.toml");
    fs::write(&file, text).context("cannot write the configuration")?;
    let mut option = OsString::from("name=opt/coffer/coffer.toml,file=");
    option.push(&file);
    let mut machine = Machine::new(artifacts.boot_directly("")?);
    machine.extra = vec!["-fw_cfg".into(), option];
    let console = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&console);
    let mut running = machine.start(move |line| {
        let mut text = lines.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    })?;
    let start = Instant::now();
    loop {
        // Asked before the console is looked at, which then has all that there will be.
        let has_ended = running.has_ended();
        let said = console.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if expected.iter().all(|words| said.contains(words)) {
            running.stop();
            return Ok(());
        }
        if has_ended || start.elapsed() > PATIENCE {
            bail!("the console does not say all of {expected:?}:\n{said}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}
