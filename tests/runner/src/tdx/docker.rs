//! The docker life cycle in trust domains that `coffer launch` has started. At the end they are searched for what containers wrote.

use anyhow::{Context as _, ensure};
use coffer_docker_tests::{Case, Docker, Launch, Machine, TrustDomain, cases, run};
use coffer_harness::Artifacts;

use crate::docker::{Sets, usual_client};
use crate::programs;
use crate::suite::{Suite, Verdict};

/// Which cases: a container's life, and each way in which bytes come to one and leave it. All are in the ring of docker for plain machines.
const CASES: [&str; 14] = [
    "images/load_reads_an_archive",
    "run/output_and_exit_code_are_the_container_s",
    "run/input_reaches_the_container_and_ends",
    "containers/create_start_attach",
    "containers/stop_asks_before_it_kills",
    "containers/ps_filters_and_formats",
    "containers/logs_tail_timestamps_since",
    "containers/a_running_one_is_not_removed",
    "exec/output_and_code",
    "terminals/run_a_shell",
    "cp/into_and_out_of_a_running_container",
    "volumes/keep_what_containers_write",
    "networks/containers_of_one_network_reach_each_other",
    "networks/published_ports_answer",
];

/// What containers write and what is said to them: through TLS it is not in shared memory, either.
const CANARY: &str = "PRIVATE_TO_TD_02";

/// Adds them, with one CPU and with two.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    for cpus in [1, 2] {
        let sets = Sets::new(artifacts);
        let name = move |case: &str| format!("tdx/docker/{cpus}cpu/{case}");
        let private = name("private_memory_stays_private");
        let cases: Vec<Case> = cases::all().filter(|case| CASES.contains(&case.name)).collect();
        ensure!(cases.len() == CASES.len(), "a case has another name");
        let cases: Vec<Case> = cases.into_iter().filter(|case| suite.is_selected(&name(case.name))).collect();
        let mut names: Vec<String> = cases.iter().map(|case| name(case.name)).collect();
        let is_private_wanted = suite.is_selected(&private);
        if is_private_wanted {
            names.push(private.clone());
        }
        if names.is_empty() {
            continue;
        }
        suite.add_group(names, move |report| match launch(&sets, cpus) {
            Ok((machine, docker)) => {
                let mut has_failed = false;
                run(&docker, cases.into_iter(), |verdict| {
                    has_failed |= verdict.result.is_err();
                    report(&name(verdict.name), verdict.result.into());
                });
                if is_private_wanted {
                    let result = stays_private(&machine, &docker);
                    has_failed |= result.is_err();
                    report(&private, Verdict::from(result));
                }
                if has_failed {
                    println!("the console of the trust domain ends with\n{}", machine.console());
                }
            }
            Err(error) => println!("  tdx/docker: {error:#}"),
        });
    }
    Ok(())
}

fn launch(sets: &Sets, cpus: u32) -> anyhow::Result<(Machine, Docker)> {
    let simulator = programs::build_tool("coffer-tdsim")?;
    let options = ["--canary", CANARY].map(str::to_owned).to_vec();
    let trust_domain = Some(TrustDomain { simulator, options });
    let machine = Launch { cpus, memory_mib: 1024, trust_domain, ..sets.usual()? }.launch()?;
    let docker = machine.docker(&usual_client()?)?;
    Ok((machine, docker))
}

/// A container is told a secret, prints it and keeps it in a volume; the machine says what it is; when it goes down the search finds nothing.
fn stays_private(machine: &Machine, docker: &Docker) -> anyhow::Result<()> {
    const SCRIPT: &str = "i=0; while [ $i -lt 1000 ]; do echo $0; i=$((i+1)); done | tee /kept/words";
    cases::with_image(docker)?;
    let told = docker.ok(&[
        "run",
        "-v",
        "kept:/kept",
        "--name",
        "told",
        cases::IMAGE,
        "sh",
        "-c",
        SCRIPT,
        CANARY,
    ])?;
    ensure!(told.lines().filter(|line| *line == CANARY).count() == 1000, "{told:?}");
    let kept = docker.ok(&["run", "--rm", "-v", "kept:/kept", cases::IMAGE, "cat", "/kept/words"])?;
    ensure!(kept == told, "{kept:?}");
    let info = docker.ok(&["info"])?;
    ensure!(info.contains("tdx"), "docker info does not say that this is a trust domain: {info}");

    machine.stop()?;
    let console = machine.console();
    console
        .lines()
        .find(|line| line.contains("none of 1 canaries is in"))
        .map(drop)
        .with_context(|| format!("the module does not say that it found none: {console}"))
}
