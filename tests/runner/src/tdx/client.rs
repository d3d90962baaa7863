//! The tdx-guest crate (tests/tdsim/client): a client of the module's interface that nobody here wrote.

use anyhow::{Context as _, ensure};
use coffer_harness::Ended;
use coffer_tdsim::{CLIENT_TOOLCHAIN, Domain, Payload, QuoteVersion, build_client, prepare};

use super::{module, names, run, verdict};
use crate::suite::{Suite, Verdict};

const FILE: &str = include_str!("../../../tdsim/client/src/main.rs");
const CLEAN: u8 = 0x10;

pub fn add(suite: &mut Suite) -> anyhow::Result<()> {
    let all: Vec<String> = names(FILE, "CASES").map(|name| format!("tdx/{name}")).collect();
    ensure!(!all.is_empty(), "the client names its cases in another way");
    if !all.iter().any(|name| suite.is_selected(name)) {
        return Ok(());
    }
    suite.add_group(all.clone(), move |report| match boot() {
        Ok(None) => {
            let why = format!("its compiler is not installed: rustup toolchain install {CLIENT_TOOLCHAIN} --target x86_64-unknown-none");
            all.iter().for_each(|name| report(name, Verdict::Skipped(why.clone())));
        }
        Ok(Some((ended, lines))) => {
            for (name, verdict) in lines.iter().filter_map(|line| verdict(line)) {
                report(&format!("tdx/{name}"), verdict);
            }
            if ended != Ended::DebugExit(CLEAN) {
                lines.iter().for_each(|line| println!("  {line}"));
                println!("  the machine ended by {ended:?}");
            }
        }
        Err(error) => println!("  {error:#}"),
    });
    Ok(())
}

/// Runs it; `None` without its compiler.
fn boot() -> anyhow::Result<Option<(Ended, Vec<String>)>> {
    let Some(program) = build_client()? else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let payload = Payload::read(&std::fs::read(program).context("cannot read the client")?)?;
    let domain = Domain { memory_mib: 512, ..Domain::default() };
    let prepared = prepare(&domain, &payload, &module()?, QuoteVersion::V4, folder.path())?;
    run(&prepared.simulated.machine()).map(Some)
}
