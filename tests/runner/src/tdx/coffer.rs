//! Our image as a trust domain: the same file that boots as a plain machine.

use anyhow::ensure;
use coffer_harness::Artifacts;
use coffer_harness::control::Run;
use coffer_images::small;

use crate::machine::{self, Outcome, Setting};
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

pub const CANARY: &[u8; 16] = b"PRIVATE_TO_TD_01";

/// The container makes the canary out of what it is given, so that it is not in its own command line, which comes through shared memory; and has it
/// in files, in pages of its own and in pipes.
const CANARY_SCRIPT: &str = "word=$(echo CEVINGR_GB_GQ_01 | tr A-Z N-ZA-M); export word; \
    i=0; while [ $i -lt 4000 ]; do echo $word$word; i=$((i+1)); done > /tmp/words; \
    cat /tmp/words | tac | sort | md5sum > /dev/null; test $(grep -c TO_TD /tmp/words) = 4000 && echo works";

/// Runs a script in busybox, in a trust domain.
pub fn run(artifacts: &Artifacts, script: &str, setting: Setting) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("image.tar");
    small::busybox()?.layout()?.write_tar(&archive)?;
    let args = Some(["sh", "-c", script].map(str::to_owned).to_vec());
    let setting = Setting { run: Run { args, ..Run::default() }, is_trust_domain: true, ..setting };
    machine::run(artifacts, &archive, &setting)
}
