//! Trust domains that prove themselves to a laptop, and what must be refused (`tests/docker/src/attestation`): one machine for all, beside one of
//! other make, and a sealed one.

use coffer_docker_tests::attestation::{self, Bench, sealed};
use coffer_docker_tests::{Case, run};
use coffer_harness::Artifacts;

use crate::docker::{Sets, usual_client};
use crate::programs;
use crate::suite::{Suite, Verdict};

/// Adds them.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    let sets = Sets::new(artifacts);
    let name = |case: &str| format!("tdx/attest/{case}");
    let cases: Vec<Case<Bench>> =
        attestation::all().filter(|case| suite.is_selected(&name(case.name))).collect();
    if !cases.is_empty() {
        let names = cases.iter().map(|case| name(case.name)).collect();
        let sets = sets.clone();
        suite.add_group(names, move |report| match bench(&sets) {
            Ok(bench) => {
                let mut has_failed = false;
                run(&bench, cases.into_iter(), |verdict| {
                    has_failed |= verdict.result.is_err();
                    report(&name(verdict.name), Verdict::from(verdict.result));
                });
                if has_failed {
                    println!("the console of the trust domain ends with\n{}", bench.console());
                }
            }
            Err(error) => println!("  tdx/attest: {error:#}"),
        });
    }
    suite.add("tdx/attest/sealed", move || {
        let simulator = programs::build_tool("coffer-tdsim")?;
        sealed::is_attested_from_outside(&sets.usual()?, &simulator, &programs::build("coffer-docker-guest")?)
    });
    Ok(())
}

fn bench(sets: &Sets) -> anyhow::Result<Bench> {
    Bench::start(&sets.usual()?, &programs::build_tool("coffer-tdsim")?, &usual_client()?)
}
