//! docker cp.

use anyhow::ensure;

use super::{Entry, IMAGE, path, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("cp/into_and_out_of_a_running_container", running),
    ("cp/into_and_out_of_a_stopped_container", stopped),
    ("cp/folders_and_streams", folders),
    ("cp/links_do_not_lead_outside", links),
    ("cp/missing_paths_are_told", missing),
];

fn running(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "cp-running", IMAGE, "sleep", "1000"])?;
    round_trip(docker, "cp-running")?;
    ensure!(docker.ok(&["exec", "cp-running", "cat", "/tmp/copied"])? == "round trip", "not seen inside");
    docker.ok(&["rm", "-f", "cp-running"])?;
    Ok(())
}

fn stopped(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["create", "--name", "cp-stopped", IMAGE, "cat", "/tmp/copied"])?;
    round_trip(docker, "cp-stopped")?;
    ensure!(docker.ok(&["start", "-a", "cp-stopped"])? == "round trip", "not seen inside");
    docker.ok(&["rm", "cp-stopped"])?;
    Ok(())
}

fn round_trip(docker: &Docker, name: &str) -> anyhow::Result<()> {
    let (from, to) = (docker.folder().join("from"), docker.folder().join("to"));
    std::fs::write(&from, "round trip\n")?;
    let _ = std::fs::remove_file(&to);
    docker.ok(&["cp", path(&from)?, &format!("{name}:/tmp/copied")])?;
    docker.ok(&["cp", &format!("{name}:/tmp/copied"), path(&to)?])?;
    ensure!(std::fs::read(&to)? == b"round trip\n", "other bytes came back");
    Ok(())
}

fn folders(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "cp-folders", IMAGE, "sleep", "1000"])?;
    let folder = docker.folder().join("tree");
    std::fs::create_dir_all(folder.join("deep"))?;
    std::fs::write(folder.join("deep/file"), "x")?;
    docker.ok(&["cp", path(&folder)?, "cp-folders:/tmp"])?;
    ensure!(docker.ok(&["exec", "cp-folders", "cat", "/tmp/tree/deep/file"])? == "x", "not there");
    let output = docker.command(&["cp", "cp-folders:/tmp/tree", "-"]).output()?;
    ensure!(output.status.success() && output.stdout.len() > 512, "{:?}", output.status);
    docker.ok(&["rm", "-f", "cp-folders"])?;
    Ok(())
}

fn links(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script = "ln -s / /tmp/root; ln -s /proc/1/root/etc /tmp/other; ln -s ../../../../../../etc/passwd /tmp/up; sleep 1000";
    docker.ok(&["run", "-d", "--name", "cp-links", IMAGE, "sh", "-c", script])?;
    docker.until("the links", || Ok(docker.run(&["exec", "cp-links", "ls", "/tmp/up"])?.code == Some(0)))?;
    let to = docker.folder().join("passwd");
    docker.ok(&["cp", "-L", "cp-links:/tmp/up", path(&to)?])?;
    let text = std::fs::read_to_string(&to)?;
    ensure!(text.contains("worker:x:1000"), "not the container's: {text:?}");
    let from = docker.folder().join("from");
    std::fs::write(&from, "inside\n")?;
    docker.ok(&["cp", path(&from)?, "cp-links:/tmp/root/landed"])?;
    ensure!(docker.ok(&["exec", "cp-links", "cat", "/landed"])? == "inside", "landed elsewhere");
    docker.ok(&["rm", "-f", "cp-links"])?;
    Ok(())
}

fn missing(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["create", "--name", "cp-missing", IMAGE])?;
    let says = ["could not find the file", "no such container:path"];
    docker.refused_by_either(&["cp", "cp-missing:/no/such", "-"], 1, says)?;
    let from = docker.folder().join("from");
    std::fs::write(&from, "x")?;
    let output = docker.run(&["cp", path(&from)?, "cp-missing:/no/such/folder/file"])?;
    ensure!(output.code == Some(1), "{output:?}");
    docker.ok(&["rm", "cp-missing"])?;
    Ok(())
}
