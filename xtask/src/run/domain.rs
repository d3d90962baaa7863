//! The machine of `--tdx`: the same image as a trust domain, on the simulated TDX module of the tests.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use coffer_harness::{Artifacts, DEBUG_EXIT_PORT, Machine};
use coffer_tdsim::{Domain, MODULE, Payload, QuoteVersion, build_bare, prepare};

use super::Arguments;

/// Makes it. What is written for it, and what checks its quotes, goes to `folder`.
pub fn machine(arguments: &Arguments, image: &Artifacts, folder: &Path) -> anyhow::Result<Machine> {
    let file = fs::read(image.uki()).with_context(|| format!("cannot read {}", image.uki().display()))?;
    let added_words = format!("coffer.debug_exit={DEBUG_EXIT_PORT:#x}");
    let payload = Payload { added_words, ..Payload::read(&file)? };
    let domain = Domain {
        cpus: arguments.smp,
        memory_mib: arguments.memory,
        // A friendly host: it does at once what it is asked for.
        retry_every: 0,
        split_every: 0,
        ..Domain::default()
    };
    let module = build_bare(MODULE)?;
    Ok(prepare(&domain, &payload, &module, QuoteVersion::default(), folder)?.simulated.machine())
}
