//! What a hundred containers cost that do nothing: memory of a machine, before and after they are started by the docker client.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use coffer_docker_tests::{Docker, Launch, client};
use coffer_harness::Artifacts;
use coffer_images::small;

/// How many there are.
const CONTAINERS: u32 = 100;
const MEMORY_MIB: u32 = 2048;
const IMAGE: &str = "busybox:bench";

/// MiB that the containers take together, with their shims, networks and overlays.
pub fn measure(artifacts: &Artifacts) -> anyhow::Result<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--package", "coffer"])
        .current_dir(&root)
        .status()
        .context("cannot start cargo")?;
    ensure!(build.success(), "coffer does not build");
    let machine = Launch {
        program: root.join("target/debug/coffer"),
        image: artifacts.kernel().parent().context("no image")?.to_path_buf(),
        cpus: 2,
        memory_mib: MEMORY_MIB,
        ports: Vec::new(),
        configuration: None,
        trust_domain: None,
        workload: None,
    }
    .launch()?;
    let client = client::on_path().map_or_else(|| client::debian(&root.join("target/clients")), Ok)?;
    let docker = machine.docker(&client)?;
    let archive = docker.folder().join("busybox.tar");
    small::busybox()?.docker_archive().write_tar(&archive)?;
    docker.ok(&["load", "-q", "-i", archive.to_str().context("a path that is not text")?])?;
    docker.ok(&["tag", "test:latest", IMAGE])?;

    // The first one makes what all of them share.
    docker.ok(&["run", "--rm", IMAGE, "true"])?;
    let before = available_kib(&docker)?;
    for _ in 0..CONTAINERS {
        docker.ok(&["run", "-d", IMAGE, "sleep", "1000000"])?;
    }
    let after = available_kib(&docker)?;
    let running = docker.ok(&["ps", "-q"])?.lines().count();
    ensure!(running == CONTAINERS as usize, "{running} of {CONTAINERS} containers run");
    Ok((before - after) / 1024.0)
}

/// `MemAvailable` of the machine.
fn available_kib(docker: &Docker) -> anyhow::Result<f64> {
    let text = docker.ok(&["run", "--rm", IMAGE, "grep", "MemAvailable:", "/proc/meminfo"])?;
    let number = text.split_whitespace().nth(1).with_context(|| format!("no figure in {text:?}"))?;
    Ok(number.parse()?)
}
