//! A hostile host, by seed: it answers nonsense, refuses, loses and invents interrupts, and changes shared memory under the guest's hands.
//!
//! Whatever it does, the guest gives correct service, or says what is wrong and ends. It must not hang, must not believe nonsense, and must not
//! fall over it: a fault of the processor, an index out of bounds or an arithmetic overflow is a failure, even where it stops the machine.

use std::time::Duration;

use anyhow::{bail, ensure};
use coffer_harness::{Artifacts, Ended, Finished};

use super::coffer;
use crate::machine::{Outcome, Setting, tail};
use crate::suite::Suite;

/// Seeds that run every time: their hosts lie rarely, so that most of a run is service. Such as fail once are kept here.
const SEEDS: [u64; 3] = [33, 34, 35];
/// All of them.
const STORM: std::ops::RangeInclusive<u64> = 1..=64;

const SCRIPT: &str =
    "i=0; while [ $i -lt 20 ]; do echo $i | md5sum > /tmp/$i; i=$((i+1)); done; ls /tmp | wc -l";
const EXPECTED: &str = "20\n";
const PATIENCE: Duration = Duration::from_secs(45);

/// What no error that was foreseen looks like.
const ACCIDENTS: [&str; 9] = [
    "index out of bounds",
    "out of range for slice",
    "overflow",
    "unwrap()",
    "page fault",
    "double fault",
    "general protection",
    "triple fault",
    "unreachable",
];

pub fn add(suite: &mut Suite, artifacts: &Artifacts) {
    let usual = SEEDS.map(|seed| (format!("tdx/hostile/seed_{seed}"), seed));
    let storm = STORM.map(|seed| (format!("tdx/storm/seed_{seed}"), seed));
    for (name, seed) in usual.into_iter().chain(storm) {
        let artifacts = artifacts.clone();
        suite.add(&name, move || {
            let cpus = 1 + u32::try_from(seed % 2)?;
            let setting = Setting { seed, cpus, patience: PATIENCE, ..Setting::default() };
            let outcome = coffer::run(&artifacts, SCRIPT, setting)?;
            if let Some(count) = outcome.console.iter().rev().find(|line| line.contains(" faults: ")) {
                println!("  seed {seed}: {}", count.trim_start_matches("tdsim: "));
            }
            judge(&outcome)
        });
    }
}

/// Service, a refusal, or a fatal error with words.
fn judge(outcome: &Outcome) -> anyhow::Result<()> {
    let console = outcome.console.join("\n");
    if let Some(accident) = ACCIDENTS.iter().find(|accident| console.contains(*accident)) {
        bail!("{accident}: {}", tail(&console));
    }
    match &outcome.finished {
        Finished::Exit(0) => {
            ensure!(outcome.stdout == EXPECTED, "it printed {:?}", tail(&outcome.stdout));
            Ok(())
        }
        Finished::Exit(_) | Finished::Refused { .. } => Ok(()),
        Finished::Died { ended: Ended::DebugExit(_) | Ended::PoweredOff, .. } => {
            let is_told = ["panic", "fatal error", "TD exit"].iter().any(|word| console.contains(word));
            ensure!(is_told, "it ended without a word: {}", tail(&console));
            Ok(())
        }
        // The host keeps the port from it by which the container would be asked for, and it has said so: it waits for nothing in particular.
        Finished::TimedOut if console.contains("left alone: ") => Ok(()),
        other => bail!("{other:?}: {}", tail(&console)),
    }
}
