//! The Python SDK, in a virtual environment of its own: `cases.py` has the cases, each of which is a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use coffer_images::small;

use crate::debian::command;
use crate::{Case, Docker, Machine, cases};

const CASES: &str = include_str!("cases.py");
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// A machine as the SDK reaches it.
#[derive(Debug)]
pub struct Sdk {
    docker: Docker,
    python: PathBuf,
    host: String,
    certificates: PathBuf,
}

impl AsRef<Docker> for Sdk {
    fn as_ref(&self) -> &Docker {
        &self.docker
    }
}

impl Sdk {
    /// The SDK for this machine. `docker` is for what failed cases leave behind; `cache` keeps the virtual environment.
    ///
    /// # Errors
    /// If the packages cannot be installed or the image of the cases cannot be loaded.
    pub fn new(machine: &Machine, docker: Docker, cache: &Path) -> anyhow::Result<Self> {
        let python = environment(cache)?;
        let host = machine.record["api"].as_str().context("coffer launch names no API")?.to_owned();
        cases::with_image(&docker)?;
        fs::write(docker.folder().join("cases.py"), CASES)?;
        small::busybox()?.docker_archive().write_tar(&docker.folder().join("archive.tar"))?;
        Ok(Self { docker, python, host, certificates: machine.certificates() })
    }

    fn case(&self, name: &str) -> anyhow::Result<()> {
        let folder = self.docker.folder();
        let mut process = Command::new(&self.python);
        process.arg("-B").arg(folder.join("cases.py")).arg(name);
        process
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", &self.certificates)
            .env("DOCKER_CONFIG", folder)
            // The SDK's HTTP library would prefer these to the authority that it was told.
            .env_remove("REQUESTS_CA_BUNDLE")
            .env_remove("CURL_CA_BUNDLE")
            .env("ARCHIVE", folder.join("archive.tar"));
        if let Some((port, address)) = self.docker.published().first() {
            process.env("PUBLISHED", format!("{port}={address}"));
        }
        let output = Docker::finish(&mut process, b"").with_context(|| name.to_owned())?;
        // The last line of a traceback is the reason; those before it say where.
        ensure!(output.code == Some(0), "{}", output.stderr.trim());
        Ok(())
    }
}

macro_rules! cases {
    ($($name:ident)*) => {
        /// All cases, in the order in which they run.
        pub fn all() -> impl Iterator<Item = Case<Sdk>> {
            [$(Case { name: stringify!($name), body: |sdk: &Sdk| sdk.case(stringify!($name)) }),*].into_iter()
        }
    };
}

cases! {
    version_and_info
    images
    pull_says_why_not
    life_of_a_container
    run_gives_the_output_or_an_error
    stop_pause_and_restart
    exec_run
    logs_are_followed
    attach_sends_input
    networks
    published_ports
    volumes
    events
    archives
    the_calls_of_the_compose_plugin
    prune
}

/// The interpreter of a virtual environment with the SDK, made if it is not there or has other packages.
fn environment(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join("python");
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(python);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let wanted = cache.join("requirements.txt");
    fs::write(&wanted, REQUIREMENTS)?;
    command(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    command(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&wanted),
    )?;
    // Last: it says that the rest is there.
    fs::rename(&wanted, &stamp)?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::{CASES, all};

    #[test]
    fn every_case_is_a_function_and_every_function_a_case() {
        let functions = CASES.lines().filter_map(|line| line.strip_prefix("def ")?.strip_suffix("():"));
        assert_eq!(functions.collect::<Vec<_>>(), all().map(|case| case.name).collect::<Vec<_>>());
    }
}
