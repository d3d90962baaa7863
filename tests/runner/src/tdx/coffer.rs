//! Our image as a trust domain: the same file that boots as a plain machine.

use anyhow::{Context as _, ensure};
use coffer_harness::control::Run;
use coffer_harness::{Artifacts, Clock};
use coffer_images::small;

use crate::machine::{self, Host, Outcome, Setting};
use crate::suite::Suite;

/// Name, processors, memory, what the container runs.
const TESTS: [(&str, u32, u32, &str); 3] = [
    ("one_cpu", 1, 1024, "test $(nproc) = 1 && echo works"),
    ("two_cpus", 2, 1024, "test $(nproc) = 2 && echo works"),
    ("tdx_guest", 1, 1024, "grep -q tdx_guest /proc/cpuinfo && echo works"),
];

pub fn add(suite: &mut Suite, artifacts: &Artifacts) {
    for (name, cpus, memory_mib, script) in TESTS {
        let artifacts = artifacts.clone();
        suite.add(&format!("tdx/coffer/{name}"), move || {
            run(&artifacts, script, Setting { cpus, memory_mib, ..Setting::default() })?
                .expect_output("works\n")
        });
    }
    let boots = artifacts.clone();
    suite.add("tdx/coffer/starts_nearly_as_fast", move || starts_nearly_as_fast(&boots));
    let artifacts = artifacts.clone();
    suite.add("tdx/coffer/private_memory_stays_private", move || {
        let setting = Setting { canaries: vec![*CANARY], ..Setting::default() };
        let outcome = run(&artifacts, CANARY_SCRIPT, setting)?;
        outcome.expect_output("works\n")?;
        // That the search finds something is tested by `tdx/dies/leak`.
        let is_clean = outcome.console.iter().any(|line| line.contains("none of 1 canaries is in"));
        ensure!(is_clean, "the module does not say that it found none: {}", outcome.console.join("\n"));
        Ok(())
    });
}

/// From the kernel's entry to a container's output with 4 GiB, a trust domain takes at most 1.5 times as long as a plain machine: by a clock that
/// counts instructions, those of the simulated module among them.
fn starts_nearly_as_fast(artifacts: &Artifacts) -> anyhow::Result<()> {
    const LIMIT: f64 = 1.5;
    const ROUNDS: usize = 3;
    let seconds = |is_trust_domain| -> anyhow::Result<f64> {
        let host = Host { is_prompt: true, ..Host::default() };
        let setting = Setting { memory_mib: 4096, clock: Clock::Instructions, host, ..Setting::default() };
        let outcome = busybox(artifacts, "cut -d ' ' -f 1 /proc/uptime", is_trust_domain, setting)?;
        outcome.expect_exit(0)?;
        outcome.stdout.trim().parse().context("no time of the machine")
    };
    // What comes from outside comes by another clock, so a run may wait: the least of some counts.
    let (mut plain, mut domain) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        plain = plain.min(seconds(false)?);
        domain = domain.min(seconds(true)?);
        if domain <= LIMIT * plain {
            break;
        }
    }
    println!("  a plain machine's container speaks after {plain} s, a trust domain's after {domain} s");
    ensure!(domain <= LIMIT * plain, "a trust domain takes {domain} s, a plain machine {plain} s");
    Ok(())
}

pub const CANARY: &[u8; 16] = b"PRIVATE_TO_TD_01";

/// The container makes the canary out of what it is given, so that it is not in its own command line, which comes through shared memory; and has it
/// in files, in pages of its own and in pipes.
const CANARY_SCRIPT: &str = "word=$(echo CEVINGR_GB_GQ_01 | tr A-Z N-ZA-M); export word; \
    i=0; while [ $i -lt 4000 ]; do echo $word$word; i=$((i+1)); done > /tmp/words; \
    cat /tmp/words | tac | sort | md5sum > /dev/null; test $(grep -c TO_TD /tmp/words) = 4000 && echo works";

/// Runs a script in busybox, in a trust domain.
pub fn run(artifacts: &Artifacts, script: &str, setting: Setting) -> anyhow::Result<Outcome> {
    busybox(artifacts, script, true, setting)
}

fn busybox(
    artifacts: &Artifacts,
    script: &str,
    is_trust_domain: bool,
    setting: Setting,
) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("image.tar");
    small::busybox()?.layout()?.write_tar(&archive)?;
    let args = Some(["sh", "-c", script].map(str::to_owned).to_vec());
    let setting = Setting { run: Run { args, ..Run::default() }, is_trust_domain, ..setting };
    machine::run(artifacts, &archive, &setting)
}
