//! docker exec.

use anyhow::ensure;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("exec/output_and_code", output),
    ("exec/input", input),
    ("exec/options", options),
    ("exec/detached", detached),
    ("exec/failures", failures),
];

/// Runs `body` with a sleeper called `name`.
fn with_sleeper(
    docker: &Docker,
    name: &str,
    body: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", name, "-e", "FROM=container", IMAGE, "sleep", "1000"])?;
    body()?;
    docker.ok(&["rm", "-f", name])?;
    Ok(())
}

fn output(docker: &Docker) -> anyhow::Result<()> {
    with_sleeper(docker, "exec-output", || {
        let output = docker.run(&["exec", "exec-output", "sh", "-c", "echo $FROM; echo err >&2; exit 6"])?;
        ensure!(
            output.code == Some(6) && output.stdout == "container\n" && output.stderr == "err\n",
            "{output:?}"
        );
        Ok(())
    })
}

fn input(docker: &Docker) -> anyhow::Result<()> {
    with_sleeper(docker, "exec-input", || {
        let output = docker.run_with_input(&["exec", "-i", "exec-input", "sha256sum"], b"hello")?;
        ensure!(output.stdout.starts_with("2cf24dba5fb0a30e"), "{output:?}");
        Ok(())
    })
}

fn options(docker: &Docker) -> anyhow::Result<()> {
    with_sleeper(docker, "exec-options", || {
        let args = [
            "exec",
            "-e",
            "Y=1",
            "-u",
            "1000",
            "-w",
            "/tmp",
            "exec-options",
            "sh",
            "-c",
            "echo $Y; id -u; pwd",
        ];
        let said = docker.ok(&args)?;
        ensure!(said == "1\n1000\n/tmp", "{said:?}");
        Ok(())
    })
}

fn detached(docker: &Docker) -> anyhow::Result<()> {
    with_sleeper(docker, "exec-detached", || {
        docker.ok(&["exec", "-d", "exec-detached", "touch", "/done"])?;
        docker
            .until("the file", || Ok(docker.run(&["exec", "exec-detached", "ls", "/done"])?.code == Some(0)))
    })
}

fn failures(docker: &Docker) -> anyhow::Result<()> {
    with_sleeper(docker, "exec-failures", || {
        // The stream is open by then, so the reason comes as the program's output would: on standard output.
        let output = docker.run(&["exec", "exec-failures", "no-such-program"])?;
        ensure!(output.code == Some(127) && output.stdout.contains("no-such-program"), "{output:?}");
        docker.refused(&["exec", "no-such-container", "true"], 1, "no such container")?;
        docker.ok(&["stop", "-t", "0", "exec-failures"])?;
        docker.refused(&["exec", "exec-failures", "true"], 1, "is not running")
    })
}
