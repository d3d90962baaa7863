//! load, images, tag, rmi, save, history.

use anyhow::ensure;

use super::{Entry, IMAGE, load_small, path, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("images/load_reads_an_archive", load),
    ("images/load_refuses_garbage", load_garbage),
    ("images/tag_and_rmi", tag_and_rmi),
    ("images/save_can_be_loaded", save),
    ("images/one_in_use_is_not_removed", in_use),
    ("images/inspect_and_history", inspect),
    ("images/prune_takes_dangling_ones", prune),
];

fn load(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let list = docker.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    ensure!(list.lines().any(|line| line == IMAGE), "{list}");
    Ok(())
}

fn load_garbage(docker: &Docker) -> anyhow::Result<()> {
    let before = docker.ok(&["images", "-q"])?;
    let file = docker.folder().join("garbage.tar");
    std::fs::write(&file, b"this is no archive")?;
    let output = docker.run(&["load", "-i", path(&file)?])?;
    ensure!(output.code == Some(1) && !output.stderr.is_empty(), "{output:?}");
    ensure!(docker.ok(&["images", "-q"])? == before, "something was left behind");
    Ok(())
}

fn tag_and_rmi(docker: &Docker) -> anyhow::Result<()> {
    load_small(docker, "tagged:one")?;
    docker.ok(&["tag", "tagged:one", "registry.example:5000/deep/name:two"])?;
    let said = docker.ok(&["rmi", "tagged:one", "test:latest"])?;
    ensure!(said.contains("Untagged: tagged:one"), "{said}");
    let said = docker.ok(&["rmi", "registry.example:5000/deep/name:two"])?;
    ensure!(said.contains("Untagged:") && said.contains("Deleted: sha256:"), "{said}");
    docker.refused(&["image", "inspect", "tagged:one"], 1, "no such image")?;
    docker.refused(&["rmi", "tagged:one"], 1, "no such image")
}

fn save(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    load_small(docker, "saved:one")?;
    let id = docker.ok(&["image", "inspect", "--format", "{{.Id}}", "saved:one"])?;
    let file = docker.folder().join("saved.tar");
    docker.ok(&["save", "-o", path(&file)?, "saved:one"])?;
    docker.ok(&["rmi", "saved:one", "test:latest"])?;
    docker.refused(&["image", "inspect", "saved:one"], 1, "no such image")?;
    docker.ok(&["load", "-i", path(&file)?])?;
    ensure!(docker.ok(&["image", "inspect", "--format", "{{.Id}}", "saved:one"])? == id, "another id");
    docker.ok(&["rmi", "saved:one"])?;
    Ok(())
}

fn in_use(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&["tag", IMAGE, "in-use:one"])?;
    docker.ok(&["create", "--name", "in-use", "in-use:one", "true"])?;
    docker.refused(&["rmi", "in-use:one", IMAGE, "test:latest"], 1, "container")?;
    docker.ok(&["rm", "in-use"])?;
    docker.run(&["rmi", "in-use:one"])?;
    with_image(docker)
}

fn inspect(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let image = docker.inspect(IMAGE)?;
    ensure!(image["Os"] == "linux" && image["Architecture"] == "amd64", "{image}");
    ensure!(image["Config"]["Cmd"][0] == "sh", "{image}");
    ensure!(image["RootFS"]["Layers"].as_array().is_some_and(|layers| layers.len() == 1), "{image}");
    docker.ok(&["history", IMAGE])?;
    Ok(())
}

fn prune(docker: &Docker) -> anyhow::Result<()> {
    load_small(docker, "dangling:one")?;
    let id = docker.ok(&["image", "inspect", "--format", "{{.Id}}", "dangling:one"])?;
    docker.ok(&["tag", IMAGE, "dangling:one"])?;
    docker.ok(&["tag", IMAGE, "test:latest"])?;
    ensure!(
        docker.ok(&["images", "-q", "--no-trunc", "--filter", "dangling=true"])?.contains(&id),
        "not dangling"
    );
    let said = docker.ok(&["image", "prune", "-f"])?;
    ensure!(said.contains(&id), "{said}");
    docker.ok(&["rmi", "dangling:one"])?;
    Ok(())
}
