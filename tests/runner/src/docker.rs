//! Stock clients on machines that `coffer launch` has started: the cases of `tests/docker`, each set of them on a machine of its own.

use std::path::PathBuf;

use coffer_docker_tests::compose::{self, Compose};
use coffer_docker_tests::registry::{self, Registries};
use coffer_docker_tests::sdk::{self, Sdk};
use coffer_docker_tests::software::{self, Software};
use coffer_docker_tests::{
    Case, Docker, Launch, Machine, attestation, cases, client, libvirt, measurement, newcomer, run,
};
use coffer_harness::Artifacts;

use crate::programs;
use crate::suite::{Suite, Verdict};

/// A port that the machine publishes for the cases.
const PORT: u16 = 8080;

/// Adds every case: docker's commands for the client on the PATH and for Debian's, which is much older, and the Python SDK.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    let sets = Sets::new(artifacts);
    let own = client::on_path();
    // Where Debian's client has to stand in for the other, it does not run twice.
    if own.is_some() {
        sets.add(suite, "docker-20.10", cases::all(), |sets| {
            let machine = sets.usual()?.launch()?;
            let docker = machine.docker(&named("docker-20.10", client::debian(&cache())?)?)?;
            Ok((machine, docker))
        });
    }
    sets.add(suite, "docker", cases::all(), |sets| {
        let machine = sets.usual()?.launch()?;
        let docker = machine.docker(&named("docker", usual_client()?)?)?;
        Ok((machine, docker))
    });
    sets.add(suite, "docker-sdk", sdk::all(), |sets| {
        let machine = sets.usual()?.launch()?;
        let sdk = Sdk::new(&machine, machine.docker(&usual_client()?)?, &cache())?;
        Ok((machine, sdk))
    });
    sets.add(suite, "docker-compose", compose::all(), |sets| {
        let machine = sets.usual()?.launch()?;
        let compose = Compose::new(&machine, machine.docker(&usual_client()?)?, &cache())?;
        Ok((machine, compose))
    });
    sets.add(suite, "docker-software", software::all(), |sets| {
        let machine = Launch { memory_mib: 3072, ..sets.usual()? }.launch()?;
        let docker = machine.docker(&usual_client()?)?;
        Ok((machine, Software::new(docker, programs::root().join("target/images"))))
    });
    suite.add("docker-readme/build_launch_run_stop_reproduce", || {
        let root = programs::root().canonicalize()?;
        newcomer::follow(&root, &programs::build_tool("coffer")?, &usual_client()?)
    });
    let launch = sets.usual()?;
    suite.add("docker-measurement/boot_phase_and_plain_evidence", move || {
        let machine = launch.launch()?;
        let docker = machine.docker(&usual_client()?)?;
        measurement::boot_phase(&machine, &docker)?;
        measurement::leave_of_the_initial_namespace(&docker)?;
        // On the same machine, for it ends without a way to it.
        attestation::plain::is_refused_unless_named(&machine, &docker)
    });
    let disk = artifacts.disk();
    suite.add("docker-libvirt/launch_run_stop", move || {
        libvirt::launch_run_stop(&programs::build_tool("coffer")?, &disk, &usual_client()?)
    });
    sets.add(suite, "docker-registry", registry::all(), |sets| sets.with_registries(2048));
    sets.add(suite, "docker-registry/full_store", registry::full(), |sets| sets.with_registries(512));
    Ok(())
}

/// What all sets need.
#[derive(Debug, Clone)]
pub struct Sets {
    /// The folder with the image that machines boot.
    image: PathBuf,
}

impl Sets {
    /// Machines of that image.
    pub fn new(artifacts: &Artifacts) -> Self {
        Self { image: artifacts.folder().to_path_buf() }
    }

    /// Adds cases, which share a machine that `start` starts.
    fn add<B: AsRef<Docker> + 'static>(
        &self,
        suite: &mut Suite,
        prefix: &'static str,
        cases: impl Iterator<Item = Case<B>>,
        start: fn(&Self) -> anyhow::Result<(Machine, B)>,
    ) {
        let name = move |case: &str| format!("{prefix}/{case}");
        let cases: Vec<Case<B>> = cases.filter(|case| suite.is_selected(&name(case.name))).collect();
        if cases.is_empty() {
            return;
        }
        let names = cases.iter().map(|case| name(case.name)).collect();
        let sets = self.clone();
        suite.add_group(names, move |report| match start(&sets) {
            Ok((machine, bench)) => {
                let mut has_failed = false;
                run(&bench, cases.into_iter(), |verdict| {
                    has_failed |= verdict.result.is_err();
                    report(&name(verdict.name), Verdict::from(verdict.result));
                });
                if has_failed {
                    println!("the console of the machine of {prefix} ends with\n{}", machine.console());
                }
            }
            Err(error) => println!("  {prefix}: {error:#}"),
        });
    }

    /// A machine that is told of registries.
    fn with_registries(&self, memory_mib: u32) -> anyhow::Result<(Machine, registry::Bench)> {
        let registries = Registries::start(&cache())?;
        let configuration = Some(registries.configuration());
        let machine = Launch { memory_mib, configuration, ..self.usual()? }.launch()?;
        let bench = registries.with(machine.docker(&usual_client()?)?);
        Ok((machine, bench))
    }

    /// A machine of the usual shape.
    pub fn usual(&self) -> anyhow::Result<Launch> {
        Ok(Launch {
            program: programs::build_tool("coffer")?,
            image: self.image.clone(),
            cpus: 2,
            memory_mib: 2048,
            ports: vec![PORT],
            configuration: None,
            workload: None,
            trust_domain: None,
        })
    }
}

/// The docker client on the PATH, or Debian's.
pub fn usual_client() -> anyhow::Result<PathBuf> {
    client::on_path().map_or_else(|| client::debian(&cache()), Ok)
}

/// Says which client it is that drives a set.
fn named(prefix: &str, program: PathBuf) -> anyhow::Result<PathBuf> {
    println!("{prefix}/ is {} ({})", client::version(&program)?, program.display());
    Ok(program)
}

/// Where clients are kept from run to run.
fn cache() -> PathBuf {
    programs::root().join("target/clients")
}
