//! What a user does, by noun. Each case cleans up behind itself; names of containers begin with the case's.

mod containers;
mod crash;
mod exec;
mod files;
mod health;
mod hostile;
mod images;
mod limits;
mod networks;
mod run;
mod sharing;
mod system;
mod terminals;
mod volumes;

use anyhow::{Context as _, ensure};
use coffer_images::{Compression, Layer, small};

pub(crate) use self::networks::ask;
use crate::{Case, Docker};

/// The image that all cases run, loaded by the first one that wants it.
pub const IMAGE: &str = "busybox:test";

/// All cases, in the order in which they run.
pub fn all() -> impl Iterator<Item = Case> {
    system::CASES
        .iter()
        .chain(images::CASES)
        .chain(run::CASES)
        .chain(containers::CASES)
        .chain(exec::CASES)
        .chain(terminals::CASES)
        .chain(files::CASES)
        .chain(volumes::CASES)
        .chain(networks::CASES)
        .chain(health::CASES)
        .chain(limits::CASES)
        .chain(sharing::CASES)
        .chain(hostile::CASES)
        .chain(crash::CASES)
        .map(|(name, body)| Case { name, body: *body })
}

type Entry = (&'static str, fn(&Docker) -> anyhow::Result<()>);

/// Loads the image unless it is there.
pub fn with_image(docker: &Docker) -> anyhow::Result<()> {
    if docker.run(&["image", "inspect", IMAGE])?.code == Some(0) {
        return Ok(());
    }
    let archive = docker.folder().join("busybox.tar");
    small::busybox()?.docker_archive().write_tar(&archive)?;
    let said = docker.ok(&["load", "-i", path(&archive)?])?;
    ensure!(said.contains("Loaded image"), "load said {said:?}");
    docker.ok(&["tag", "test:latest", IMAGE])?;
    Ok(())
}

/// An image of one small layer over nothing, with a name: for what must be removed again.
fn load_small(docker: &Docker, name: &str) -> anyhow::Result<()> {
    let archive = docker.folder().join("small.tar");
    let layer = Layer::new().file("hello", 0o644, name.as_bytes());
    coffer_images::Image::new(serde_json::json!({ "Cmd": ["/hello"] }))
        .layer(layer, Compression::Plain)
        .docker_archive()
        .write_tar(&archive)?;
    docker.ok(&["load", "-q", "-i", path(&archive)?])?;
    docker.ok(&["tag", "test:latest", name])?;
    Ok(())
}

pub(crate) fn path(path: &std::path::Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is not text")
}
