//! Stock docker clients on machines that `coffer launch` has started: the cases of `tests/docker`, once for each client.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use coffer_docker_tests::{Docker, Launch, Machine, cases, client, run};
use coffer_harness::Artifacts;

use crate::programs;
use crate::suite::{Suite, Verdict};

/// A port that the machine publishes for the cases.
const PORT: u16 = 8080;

/// Which client drives the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// The user's own; where there is none, Debian's.
    Own,
    /// Debian's, of a much older release.
    Debian,
}

impl Client {
    /// What the names of its tests begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Own => "docker",
            Self::Debian => "docker-20.10",
        }
    }

    fn program(self) -> anyhow::Result<PathBuf> {
        match (self, client::on_path()) {
            (Self::Own, Some(program)) => Ok(program),
            _ => client::debian(&programs::root().join("target/clients")),
        }
    }
}

/// Adds every case, once for each client.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    // Where Debian's client has to stand in for the other, it does not run twice.
    let clients: &[Client] =
        if client::on_path().is_some() { &[Client::Own, Client::Debian] } else { &[Client::Own] };
    let mut launch = None;
    for client in clients.iter().copied() {
        let name = move |case: &str| format!("{}/{case}", client.prefix());
        let names: Vec<String> =
            cases::all().map(|case| name(case.name)).filter(|name| suite.is_selected(name)).collect();
        if names.is_empty() {
            continue;
        }
        let launch = match &launch {
            Some(launch) => launch,
            None => launch.insert(usual(artifacts)?),
        };
        let launch = launch.clone();
        suite.add_group(names.clone(), move |report| {
            let cases = cases::all().filter(|case| names.contains(&name(case.name)));
            let started = start(client, &launch);
            let result = started.map(|(machine, docker)| {
                let mut has_failed = false;
                run(&docker, cases, |verdict| {
                    has_failed |= verdict.result.is_err();
                    report(&name(verdict.name), Verdict::from(verdict.result));
                });
                if has_failed {
                    println!("the console of {}'s machine ends with\n{}", client.prefix(), machine.console());
                }
            });
            if let Err(error) = result {
                println!("  {}: {error:#}", client.prefix());
            }
        });
    }
    Ok(())
}

/// A machine of the usual shape.
fn usual(artifacts: &Artifacts) -> anyhow::Result<Launch> {
    let image = artifacts.kernel().parent().map(Path::to_path_buf).context("the image has no folder")?;
    Ok(Launch {
        program: programs::build_tool("coffer")?,
        image,
        memory_mib: 2048,
        ports: vec![PORT],
        configuration: None,
    })
}

/// Finds the client, says which one it is, and starts a machine for it.
fn start(client: Client, launch: &Launch) -> anyhow::Result<(Machine, Docker)> {
    let program = client.program()?;
    println!("{}/ is {}", client.prefix(), client::version(&program)?);
    let machine = launch.launch()?;
    let docker = machine.docker(&program)?;
    Ok((machine, docker))
}
