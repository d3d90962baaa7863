//! Debian's docker-compose 1.29 with a project of two services: a network, a volume, a published port, and one that waits until the other is
//! healthy. The program and the Python packages that it needs are unpacked beside each other, not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::cases::with_image;
use crate::docker::Output;
use crate::{Case, Docker, Machine, debian};

const PROJECT: &str = include_str!("compose.yaml");

/// docker-compose, and what it imports beside Python's own library.
const PACKAGES: [&str; 24] = [
    "docker-compose",
    "libyaml-0-2",
    "python3-attr",
    "python3-cached-property",
    "python3-certifi",
    "python3-chardet",
    "python3-charset-normalizer",
    "python3-distro",
    "python3-distutils",
    "python3-docker",
    "python3-dockerpty",
    "python3-docopt",
    "python3-dotenv",
    "python3-idna",
    "python3-jsonschema",
    "python3-lib2to3",
    "python3-pkg-resources",
    "python3-pyrsistent",
    "python3-requests",
    "python3-six",
    "python3-texttable",
    "python3-urllib3",
    "python3-websocket",
    "python3-yaml",
];

/// A machine as docker-compose reaches it.
#[derive(Debug)]
pub struct Compose {
    docker: Docker,
    /// Where the packages are unpacked.
    root: PathBuf,
    host: String,
    certificates: PathBuf,
}

impl AsRef<Docker> for Compose {
    fn as_ref(&self) -> &Docker {
        &self.docker
    }
}

/// All cases.
pub fn all() -> impl Iterator<Item = Case<Compose>> {
    [Case { name: "a_project_s_life", body: life }].into_iter()
}

impl Compose {
    /// docker-compose for this machine; `cache` keeps the packages.
    ///
    /// # Errors
    /// If they cannot be downloaded, or the image cannot be loaded.
    pub fn new(machine: &Machine, docker: Docker, cache: &Path) -> anyhow::Result<Self> {
        let root = debian::unpacked_together(&PACKAGES, cache)?;
        let host = machine.record["api"].as_str().context("coffer launch names no API")?.to_owned();
        with_image(&docker)?;
        fs::write(docker.folder().join("compose.yaml"), PROJECT)?;
        Ok(Self { docker, root, host, certificates: machine.certificates() })
    }

    fn run(&self, args: &[&str]) -> anyhow::Result<Output> {
        let folder = self.docker.folder();
        let mut process = Command::new("/usr/bin/python3");
        process.arg("-B").arg(self.root.join("usr/bin/docker-compose"));
        process
            .args(["--ansi", "never", "--project-name", "project", "--file"])
            .arg(folder.join("compose.yaml"));
        let libraries = ["usr/lib/python3/dist-packages", "usr/lib/python3.11"];
        let libraries = std::env::join_paths(libraries.map(|folder| self.root.join(folder)))?;
        process
            .args(args)
            .env("PYTHONPATH", libraries)
            .env("LD_LIBRARY_PATH", self.root.join("usr/lib/x86_64-linux-gnu"))
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", &self.certificates)
            .env("DOCKER_CONFIG", folder)
            // It would speak TLS 1.2 and nothing else.
            .env("COMPOSE_TLS_VERSION", "TLS")
            // Its HTTP library would prefer these to the authority that it was told.
            .env_remove("REQUESTS_CA_BUNDLE")
            .env_remove("CURL_CA_BUNDLE");
        Docker::finish(&mut process, b"").with_context(|| format!("docker-compose {}", args.join(" ")))
    }

    fn ok(&self, args: &[&str]) -> anyhow::Result<Output> {
        let output = self.run(args)?;
        ensure!(output.code == Some(0), "docker-compose {}: {output:?}", args.join(" "));
        Ok(output)
    }
}

fn life(bench: &Compose) -> anyhow::Result<()> {
    let docker = &bench.docker;
    let (port, address) = docker.published().first().context("no port is forwarded to this machine")?;
    let text = PROJECT.replace("8080:80", &format!("{port}:80"));
    fs::write(docker.folder().join("compose.yaml"), text)?;

    bench.ok(&["up", "-d"])?;
    let listed = bench.ok(&["ps"])?.stdout;
    ensure!(
        listed.contains("Up (healthy)") && listed.contains(&format!("0.0.0.0:{port}->80/tcp")),
        "{listed}"
    );
    let logs = bench.ok(&["logs", "web"])?.stdout;
    ensure!(logs.contains("stored"), "the volume is not the other's: {logs}");
    let found = bench.ok(&["exec", "-T", "web", "cat", "/found"])?.stdout;
    ensure!(found.contains("Name:\tdb"), "{found:?}");
    let found = bench.ok(&["exec", "-T", "db", "nslookup", "www"])?.stdout;
    ensure!(found.contains("Name:\twww"), "{found:?}");
    ensure!(crate::cases::ask(address)? == "from web\n", "no answer through the published port");

    // What is as it should be is left alone.
    let before = docker.ok(&["ps", "-q", "--no-trunc"])?;
    let again = bench.ok(&["up", "-d"])?.stderr;
    ensure!(again.contains("project_web_1 is up-to-date"), "{again:?}");
    ensure!(docker.ok(&["ps", "-q", "--no-trunc"])? == before, "other containers than before");
    bench.ok(&["restart", "-t", "0", "web"])?;
    ensure!(bench.ok(&["port", "web", "80"])?.stdout.trim() == format!("0.0.0.0:{port}"), "another port");

    // As the plugin of the client looks for what belongs to a project.
    let label = "label=com.docker.compose.project=project";
    let service = ["--filter", label, "--filter", "label=com.docker.compose.service=web"];
    let web = docker.ok(&[&["ps", "-a", "--format", "{{.Names}}"], &service[..]].concat())?;
    ensure!(web == "project_web_1", "{web:?}");
    let kept = |noun: &str| docker.ok(&[noun, "ls", "-q", "--filter", label]);
    ensure!(kept("network")?.lines().count() == 1 && kept("volume")?.lines().count() == 1, "not labelled");

    bench.ok(&["down", "--volumes"])?;
    let left = docker.ok(&["ps", "-aq", "--filter", label])?;
    ensure!(left.is_empty() && kept("network")?.is_empty() && kept("volume")?.is_empty(), "left {left:?}");
    Ok(())
}
