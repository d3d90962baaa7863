//! Machines that prove themselves: `coffer attest`, `coffer connect` and everything that they must not fall for.
//!
//! [`Bench`] is a trust domain on the simulated TDX module, its owner's client by way of `connect`, and a third party that has no certificate at all.
//! [`attacks`] are refused, each with its own words; [`sealed`] has a machine that nobody drives; [`plain`] one without hardware.

mod attacks;
pub mod plain;
mod relay;
pub mod sealed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::cases::{self, IMAGE};
use crate::{Case, Docker, Launch, Machine, TrustDomain};

pub use attacks::CASES as ATTACKS;

/// What is right.
pub const CASES: &[Case<Bench>] = &[
    Case { name: "a_third_party_gets_a_report", body: a_third_party_gets_a_report },
    Case { name: "docker_runs_through_a_verified_connection", body: docker_runs_through_it },
    Case { name: "the_report_says_what_ran", body: the_report_says_what_ran },
    Case { name: "the_certificate_has_its_own_quote", body: relay::the_certificate_has_its_own_quote },
];

/// All, in the order in which they run: some leave the machine exposed.
pub fn all() -> impl Iterator<Item = Case<Bench>> {
    CASES.iter().chain(ATTACKS).map(|case| Case { name: case.name, body: case.body })
}

/// A trust domain, what is wanted of it, and docker by a verified connection.
#[derive(Debug)]
pub struct Bench {
    machine: Machine,
    /// Another one, of other make: another command line, and open to its host.
    other: Machine,
    docker: Docker,
    folder: PathBuf,
    /// The policy that the machine is as wanted by.
    policy: String,
}

impl AsRef<Docker> for Bench {
    fn as_ref(&self) -> &Docker {
        &self.docker
    }
}

/// How a program of ours ended, and all that it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    text: String,
}

impl Bench {
    /// Launches the machines and connects.
    ///
    /// # Errors
    /// If one does not come up, or is refused.
    pub fn start(launch: &Launch, simulator: &Path, client: &Path) -> anyhow::Result<Self> {
        let trust_domain = |options: &[&str]| {
            let options = options.iter().map(|&option| option.to_owned()).collect();
            Some(TrustDomain { simulator: simulator.to_owned(), options })
        };
        let launch = Launch { memory_mib: 1024, cpus: 1, ..launch.clone() };
        let machine = Launch { trust_domain: trust_domain(&[]), ..launch.clone() }.launch()?;
        let odd = ["--debug", "--append", "coffer.other=1"];
        let other = Launch { trust_domain: trust_domain(&odd), ports: Vec::new(), ..launch }.launch()?;
        let docker = machine.docker(client)?;
        let folder = docker.folder().to_path_buf();
        let policy = policy(&machine)?;
        let bench = Self { machine, other, docker, folder, policy };
        // The machine's own context was launch's; from here on it is the verified one.
        let said = bench.coffer(&["connect", "test"], &bench.policy)?;
        ensure!(said.code == Some(0), "connect: {said:?}");
        Ok(bench)
    }

    /// `coffer` with these words, this policy, and the simulation's trust root and collateral.
    fn coffer(&self, words: &[&str], policy: &str) -> anyhow::Result<Said> {
        let mut command = self.judging(words, policy)?;
        trusting(&mut command, &self.machine)?;
        said(&mut command)
    }

    /// `coffer` with these words and this policy.
    fn judging(&self, words: &[&str], policy: &str) -> anyhow::Result<Command> {
        let path = self.folder.join("policy.toml");
        fs::write(&path, policy)?;
        let mut command = self.machine.coffer(words);
        command.arg("--policy").arg(path);
        Ok(command)
    }

    /// The last lines of the machine's console.
    #[must_use]
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// A third party's report, by the policy with these lines more.
    fn attest(&self, more: &str) -> anyhow::Result<Said> {
        self.coffer(&["attest", "test"], &format!("{}\n{more}", self.policy))
    }
}

/// Has a command trust the simulation.
fn trusting(command: &mut Command, machine: &Machine) -> anyhow::Result<()> {
    let simulator = &machine.record["simulator"];
    let path = |name: &str| simulator[name].as_str().with_context(|| format!("no {name} in {simulator}"));
    command.arg("--trust-root").arg(path("trust_root")?).arg("--collateral").arg(path("collateral")?);
    Ok(())
}

fn said(command: &mut Command) -> anyhow::Result<Said> {
    let output = command.output().context("cannot start coffer")?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Said { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() })
}

/// A policy that names the machine's registers.
fn policy(machine: &Machine) -> anyhow::Result<String> {
    let measurements = fs::read_to_string(machine.certificates().join("measurements.toml"))?;
    Ok(format!(
        "[[image]]\nname = \"the test's\"\n{measurements}\n[logs]\nevent-log = true\n[machine]\n[runtime]\nmodes = [\"open\"]"
    ))
}

fn a_third_party_gets_a_report(bench: &Bench) -> anyhow::Result<()> {
    let page = bench.folder.join("report.html");
    let path = page.to_str().context("a path that is not text")?;
    let said = bench.coffer(&["attest", "test", "--html", path], &bench.policy)?;
    ensure!(said.code == Some(0), "{said:?}");
    for word in [
        "accepted: genuine, and as the policy wants it",
        "open: who has a certificate",
        "pass policy-binding",
    ] {
        ensure!(said.text.contains(word), "no `{word}` in {}", said.text);
    }
    let page = fs::read_to_string(page)?;
    ensure!(page.contains("RTMR3") && page.contains("accepted"), "{page}");
    Ok(())
}

fn docker_runs_through_it(bench: &Bench) -> anyhow::Result<()> {
    cases::with_image(&bench.docker)?;
    let said = bench.docker.ok(&["run", "--rm", IMAGE, "echo", "through"])?;
    ensure!(said.trim() == "through", "{said:?}");
    // Bytes the other way round, and a half-closed connection.
    let output = bench.docker.run_with_input(&["run", "--rm", "-i", IMAGE, "wc", "-c"], &[b'x'; 100_000])?;
    ensure!(output.stdout.trim() == "100000", "{output:?}");
    Ok(())
}

fn the_report_says_what_ran(bench: &Bench) -> anyhow::Result<()> {
    let id = bench.docker.ok(&["image", "inspect", "--format", "{{.Id}}", IMAGE])?;
    let id = id.trim();
    let said = bench.attest(&format!("container-images = [\"{id}\"]"))?;
    ensure!(said.code == Some(0) && said.text.contains(&format!("image {id}, confined")), "{said:?}");
    let said = bench.coffer(&["--json", "attest", "test"], &bench.policy)?;
    let report: Value = serde_json::from_str(&said.text).context("the report is not JSON")?;
    let runtime = report["runtime"].as_array().context("no runtime events")?;
    ensure!(runtime.iter().any(|event| event["what"] == "container start"), "{report}");
    ensure!(report["verdict"] == "accepted", "{report}");
    Ok(())
}
