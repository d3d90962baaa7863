//! docker volume, -v and --mount.

use anyhow::ensure;

use super::{Entry, IMAGE, with_image};
use crate::Docker;

/// Above the limit of open files of the engine.
const DEPTH: u32 = 1200;

pub(super) const CASES: &[Entry] = &[
    ("volumes/keep_what_containers_write", keep),
    ("volumes/are_filled_from_the_image", copy_up),
    ("volumes/anonymous_ones_go_with_rm", anonymous),
    ("volumes/read_only", read_only),
    ("volumes/bind_the_whole_machine", whole_machine),
    ("volumes/list_inspect_prune", list),
    ("volumes/trees_of_any_depth_are_removed", deep),
];

fn keep(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["volume", "create", "kept"])?;
    docker.ok(&["run", "--rm", "-v", "kept:/data", IMAGE, "sh", "-c", "echo value > /data/file"])?;
    let said =
        docker.ok(&["run", "--rm", "--mount", "source=kept,target=/other", IMAGE, "cat", "/other/file"])?;
    ensure!(said == "value", "{said:?}");
    docker.ok(&["create", "--name", "user", "-v", "kept:/data", IMAGE])?;
    docker.refused(&["volume", "rm", "kept"], 1, "volume is in use")?;
    docker.ok(&["rm", "user"])?;
    docker.ok(&["volume", "rm", "kept"])?;
    docker.refused(&["volume", "inspect", "kept"], 1, "no such volume")
}

fn copy_up(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let said = docker.ok(&["run", "--rm", "-v", "filled:/etc", IMAGE, "cat", "/etc/group"])?;
    ensure!(said.contains("workers:x:1001"), "{said:?}");
    docker.ok(&["volume", "rm", "filled"])?;
    Ok(())
}

fn anonymous(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "--name", "anonymous", "-v", "/data", IMAGE, "true"])?;
    ensure!(docker.ok(&["volume", "ls", "-q"])?.lines().count() == 1, "no volume");
    docker.ok(&["rm", "-v", "anonymous"])?;
    ensure!(docker.ok(&["volume", "ls", "-q"])?.is_empty(), "it stayed");
    Ok(())
}

fn read_only(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let output = docker.run(&["run", "--rm", "-v", "ro:/data:ro", IMAGE, "touch", "/data/x"])?;
    ensure!(output.code == Some(1) && output.stderr.contains("Read-only file system"), "{output:?}");
    docker.ok(&["volume", "rm", "ro"])?;
    Ok(())
}

fn whole_machine(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    // What is mounted below is there as well, and none of it more writable or with more devices than the top.
    let script = "ls -d /host/run/coffer /host/proc/1; touch /host/run/x; head -c 1 /host/dev/zero";
    let output = docker.run(&["run", "--rm", "-v", "/:/host:ro", IMAGE, "sh", "-c", script])?;
    ensure!(output.stdout.trim() == "/host/proc/1\n/host/run/coffer", "{output:?}");
    ensure!(output.stderr.contains("Read-only file system"), "{output:?}");
    ensure!(output.stderr.contains("Permission denied"), "{output:?}");
    let script = "echo x > /x/of-a-container && rm /x/of-a-container";
    docker.ok(&["run", "--rm", "-v", "/run/coffer:/x", IMAGE, "sh", "-c", script])?;
    Ok(())
}

fn list(docker: &Docker) -> anyhow::Result<()> {
    docker.ok(&["volume", "create", "--label", "a=b", "listed"])?;
    ensure!(docker.ok(&["volume", "ls", "-q", "--filter", "label=a=b"])? == "listed", "not found by label");
    let volume = docker.inspect("listed")?;
    ensure!(volume["Driver"] == "local" && volume["Scope"] == "local", "{volume}");
    // Docker 20.10 has no such option: it always prunes volumes that have names as well.
    let all =
        if docker.ok(&["volume", "prune", "--help"])?.contains("--all") { "--all=true" } else { "--force" };
    docker.ok(&["volume", "prune", "--force", all])?;
    ensure!(docker.ok(&["volume", "ls", "-q"])?.is_empty(), "it stayed");
    Ok(())
}

/// Deeper than an engine could remove that had every level open at once: the container goes, the volume goes, and the next volume of its name is empty.
fn deep(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = format!(
        "cd -P $0 && i=0 && while [ $i -lt {DEPTH} ]; do mkdir d && cd -P d || exit 1; i=$((i+1)); done"
    );
    docker.ok(&["run", "--rm", "-v", "deep:/data", IMAGE, "sh", "-c", &script, "/data"])?;
    docker.ok(&["run", "--rm", IMAGE, "sh", "-c", &script, "/tmp"])?;
    ensure!(docker.ok(&["ps", "-aq"])?.is_empty(), "a container stayed");
    docker.ok(&["volume", "rm", "deep"])?;
    let said = docker.ok(&["run", "--rm", "-v", "deep:/data", IMAGE, "ls", "-a", "/data"])?;
    ensure!(said == ".\n..", "{said:?}");
    docker.ok(&["volume", "rm", "deep"])?;
    Ok(())
}
