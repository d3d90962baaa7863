//! The rules of the simulated module, from inside of a domain (tests/tdsim/payload): with two processors and 48 bits of guest
//! addresses, with one and 52; and one boot for each thing that must end a domain.

use anyhow::{Context as _, ensure};
use coffer_harness::Ended;
use coffer_tdsim::{Domain, PAYLOAD, Payload, QuoteVersion, build_bare, prepare};

use super::{module, run, verdict};
use crate::suite::Suite;

/// The file with the cases: the program says what it ran, this what it must have run.
const CASES: &str = include_str!("../../../tdsim/payload/src/cases/mod.rs");

const SHAPES: [(&str, u32, u32); 2] = [("2cpu_48bit", 2, 48), ("1cpu_52bit", 1, 52)];

/// What ends a domain, how QEMU ends then (`tests/tdsim/module/src/end.rs`), and what the module says.
const DEATHS: [(&str, u8, &str); 7] = [
    ("pending", 0x60, "is used but not accepted"),
    ("shared_as_private", 0x60, "is Shared, and used as private"),
    ("private_as_shared", 0x60, "is Private, and used as shared"),
    ("accept_shared", 0x60, "there is nothing to accept"),
    ("leak", 0x64, "a canary is in shared memory"),
    ("fatal_error", 0x61, "the guest reports a fatal error 0x42: GivingUp"),
    ("triple_fault", 0x62, "triple fault"),
];

/// What `dies/leak` makes of what it is given.
const CANARY: &[u8; 16] = b"COFFER^TEST^LEAK";

const CLEAN: u8 = 0x10;

pub fn add(suite: &mut Suite) -> anyhow::Result<()> {
    let names: Vec<&'static str> = names("ALL").collect();
    ensure!(
        names.len() > 30 && self::names("FATAL").count() == DEATHS.len(),
        "the payload names its cases in another way"
    );
    for (shape, cpus, gpaw) in SHAPES {
        let full = move |name: &str| format!("tdx/rules/{shape}/{name}");
        if !names.iter().any(|name| suite.is_selected(&full(name))) {
            continue;
        }
        suite.add_group(names.iter().map(|name| full(name)).collect(), move |report| {
            match boot(&Domain { cpus, gpaw, ..Domain::default() }, "") {
                Ok((ended, lines)) => {
                    for (name, verdict) in lines.iter().filter_map(|line| verdict(line)) {
                        report(&full(name), verdict);
                    }
                    if ended != Ended::DebugExit(CLEAN) {
                        lines.iter().for_each(|line| println!("  {line}"));
                        println!("  the machine ended by {ended:?}");
                    }
                }
                Err(error) => println!("  {error:#}"),
            }
        });
    }
    for name in self::names("PENDING") {
        suite.add(&format!("tdx/rules/{name}"), move || {
            // Neither SEPT_VE_DISABLE nor anything else.
            let domain = Domain { attributes: 0, ..Domain::default() };
            let (ended, lines) = boot(&domain, &format!("case={name}"))?;
            ensure!(ended == Ended::DebugExit(CLEAN), "it ended by {ended:?}: {lines:?}");
            Ok(())
        });
    }
    for (name, code, words) in DEATHS {
        suite.add(&format!("tdx/dies/{name}"), move || {
            let (ended, lines) =
                boot(&Domain::default(), &format!("case=dies/{name} canary=DPGGFS_UFTU_MFBL"))?;
            ensure!(ended == Ended::DebugExit(code), "it ended by {ended:?}: {lines:?}");
            lines.iter().find(|line| line.contains(words)).with_context(|| format!("it said {lines:?}"))?;
            Ok(())
        });
    }
    Ok(())
}

/// The names in a table of cases.
fn names(table: &str) -> impl Iterator<Item = &'static str> {
    super::names(CASES, table)
}

fn boot(domain: &Domain, words: &str) -> anyhow::Result<(Ended, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let file = std::fs::read(build_bare(PAYLOAD)?).context("cannot read the payload")?;
    let payload = Payload { added_words: words.to_owned(), ..Payload::read(&file)? };
    let domain = Domain { memory_mib: 512, canaries: vec![*CANARY], ..domain.clone() };
    run(&prepare(&domain, &payload, &module()?, QuoteVersion::V5, folder.path())?.simulated.machine())
}

#[cfg(test)]
mod tests {
    use super::{DEATHS, names};

    #[test]
    fn cases_are_read_from_their_tables() {
        assert!(names("ALL").any(|name| name == "memory/accept_large"));
        assert!(names("FATAL").all(|name| DEATHS.iter().any(|(known, ..)| name == format!("dies/{known}"))));
    }
}
