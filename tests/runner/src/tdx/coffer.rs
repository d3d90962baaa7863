//! Our image as a trust domain: the same file that boots as a plain machine.

use coffer_harness::Artifacts;
use coffer_harness::control::Run;
use coffer_images::small;

use crate::machine::{self, Setting};
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
            let folder = tempfile::tempdir()?;
            let archive = folder.path().join("image.tar");
            small::busybox()?.layout()?.write_tar(&archive)?;
            let args = Some(["sh", "-c", script].map(str::to_owned).to_vec());
            let setting = Setting {
                run: Run { args, ..Run::default() },
                cpus,
                memory_mib,
                is_trust_domain: true,
                ..Setting::default()
            };
            machine::run(&artifacts, &archive, &setting)?.expect_output("works\n")
        });
    }
}
