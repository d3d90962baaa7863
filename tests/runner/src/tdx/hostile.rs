//! A hostile host, by seed: it answers nonsense, refuses, loses and invents interrupts, and changes shared memory under the guest's hands.
//!
//! Whatever it does, the guest gives correct service, or says what is wrong and ends. It must not hang, must not believe nonsense, and must not
//! fall over it: a fault of the processor, an index out of bounds or an arithmetic overflow is a failure, even where it stops the machine.

use std::time::Duration;

use anyhow::{bail, ensure};
use coffer_harness::{Artifacts, Ended, Finished};
use coffer_tdsim_rules::hostile::Fault;

use super::coffer::{self, CANARY};
use crate::machine::{Host, Outcome, Setting, tail};
use crate::suite::Suite;

/// Hosts that run every time. The guest hung with boot 35 and service 45 once, as it did with service 5, 37 and 63.
const USUAL: [Storm; 4] = [Storm::Boot(33), Storm::Boot(35), Storm::Service(2), Storm::Service(45)];
/// Seeds of the others.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=64;

/// When a host lies, by its seed.
#[derive(Debug, Clone, Copy)]
enum Storm {
    /// From the beginning on: few guests find a device that they can use.
    Boot(u64),
    /// Once the container runs.
    Service(u64),
}

/// A container that works for some seconds at what needs the host: timers, processors that wait and are woken, memory, output. It checks what it does
/// by itself, for what it prints the host may change.
const SCRIPT: &str = "echo ready; word=$(echo CEVINGR_GB_GQ_01 | tr A-Z N-ZA-M); i=0; bad=0; \
    while [ $i -lt 240 ]; do \
        (sleep 0.01; echo $word $i) > /tmp/$i & \
        test $(seq 1 300 | md5sum | head -c 8) = bf4fa711 || bad=$((bad+1)); \
        wait; test \"$(cat /tmp/$i)\" = \"$word $i\" || bad=$((bad+1)); \
        echo at $i; i=$((i+1)); done; \
    test $(ls /tmp | wc -l) = 240 && test $bad = 0 || exit 77";
/// The container's own check has failed.
const IS_WRONG: i32 = 77;
/// The module's own fault (tests/tdsim/module/src/end.rs).
const MODULE_FAULT: u8 = 0x63;
const PATIENCE: Duration = Duration::from_secs(300);

/// What no error that was foreseen looks like.
const ACCIDENTS: [&str; 10] = [
    "a canary is in shared memory",
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
    let usual = USUAL.map(|storm| ("hostile", storm));
    let storms =
        SEEDS.flat_map(|seed| [Storm::Boot(seed), Storm::Service(seed)]).map(|storm| ("storm", storm));
    for (group, storm) in usual.into_iter().chain(storms) {
        let artifacts = artifacts.clone();
        suite.add(&format!("tdx/{group}/{}", storm.name()), move || {
            let cpus = 1 + u32::try_from(storm.seed() % 2)?;
            let canaries = vec![*CANARY];
            let setting =
                Setting { host: storm.host(), cpus, canaries, patience: PATIENCE, ..Setting::default() };
            let outcome = coffer::run(&artifacts, SCRIPT, setting)?;
            if let Some(count) = outcome.console.iter().rev().find(|line| line.contains(" faults: ")) {
                println!("  {}: {}", storm.name(), count.trim_start_matches("tdsim: "));
            }
            judge(&outcome)
        });
    }
}

impl Storm {
    fn seed(self) -> u64 {
        match self {
            Self::Boot(seed) | Self::Service(seed) => seed,
        }
    }

    fn name(self) -> String {
        let when = match self {
            Self::Boot(_) => "boot",
            Self::Service(_) => "service",
        };
        format!("{when}_{:02}", self.seed())
    }

    fn host(self) -> Host {
        let all = u64::MAX;
        match self {
            // From a storm in which little lives long to a host that lies now and then.
            Self::Boot(seed) => Host { seed, faults: (all, 1 << (seed % 6)), ..Host::default() },
            Self::Service(seed) => {
                // A guest that misses the timer's interrupt sleeps for good: of most hosts it gets them.
                let lost = if seed.is_multiple_of(8) { 0 } else { Fault::LostInterrupt.bit() };
                let faults = (all & !lost, 1 + seed % 3);
                Host { seed, faults, turns_at: Some("ready"), ..Host::default() }
            }
        }
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
            let is_searched = console.contains("none of 1 canaries is in");
            ensure!(is_searched, "the module does not say that it found no canary: {}", tail(&console));
            Ok(())
        }
        Finished::Exit(IS_WRONG) => bail!("the container has computed nonsense: {}", tail(&outcome.stdout)),
        Finished::Exit(code) if *code > 128 => bail!("a signal has ended it: {code}"),
        Finished::Exit(_) | Finished::Refused { .. } => Ok(()),
        Finished::Died { ended: Ended::DebugExit(MODULE_FAULT), .. } => {
            bail!("the module: {}", tail(&console))
        }
        Finished::Died { ended: Ended::DebugExit(_) | Ended::PoweredOff, .. } => {
            let is_told = ["panic", "fatal error", "TD exit"].iter().any(|word| console.contains(word));
            ensure!(is_told, "it ended without a word: {}", tail(&console));
            Ok(())
        }
        // The host has taken from it what it would be asked or would answer by: it waits for nothing in particular, and does not work for it.
        Finished::Cancelled if outcome.is_idle => Ok(()),
        other => bail!("{other:?}: {}", tail(&console)),
    }
}
