//! Clients and archives that are up to no good. The engine's own tests (`runtime/api/tests`) have more of them.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use coffer_images::{Compression, Image, Layer, small};

use super::{Entry, IMAGE, load_small, path, with_image};
use crate::Docker;

pub(super) const CASES: &[Entry] = &[
    ("hostile/layers_that_leave_their_folder", layers),
    ("hostile/archives_that_leave_their_folder", archives),
    ("hostile/files_that_become_fifos", fifos),
    ("hostile/a_load_that_is_given_up", abandoned),
    ("hostile/a_thousand_half_open_connections", half_open),
];

fn layers(docker: &Docker) -> anyhow::Result<()> {
    let before = docker.ok(&["images", "-q"])?;
    let file = docker.folder().join("evil.tar");
    let up = Layer::new().file("../../../../evil", 0o644, b"x");
    let through = Layer::new().symlink("out", "/etc").file("out/evil", 0o644, b"x");
    let linked = Layer::new().hard_link("passwd", "../../../../etc/passwd");
    for layer in [up, through, linked] {
        Image::new(serde_json::json!({ "Cmd": ["/x"] }))
            .layer(layer, Compression::Plain)
            .docker_archive()
            .write_tar(&file)?;
        let output = docker.run(&["load", "-i", path(&file)?])?;
        ensure!(output.code == Some(1) && !output.stderr.is_empty(), "{output:?}");
    }
    ensure!(docker.ok(&["images", "-q"])? == before, "something was left behind");
    Ok(())
}

fn archives(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    docker.ok(&[
        "run",
        "-d",
        "--name",
        "hostile",
        "--read-only",
        "--tmpfs",
        "/in",
        IMAGE,
        "sleep",
        "1000",
    ])?;
    let up = Layer::new().file("good", 0o644, b"x").file("../evil", 0o644, b"x");
    let through = Layer::new().symlink("out", "/dev").file("out/evil", 0o644, b"x");
    let cut = Layer::new().file("large", 0o644, &[b'x'; 4096]);
    let mut cut = cut.finish();
    cut.truncate(2048);
    for archive in [up.finish(), through.finish(), cut, vec![b'x'; 2048]] {
        let output = docker.run_with_input(&["cp", "-", "hostile:/in"], &archive)?;
        ensure!(output.code == Some(1) && !output.stderr.is_empty(), "{output:?}");
    }
    let found = docker.ok(&["exec", "hostile", "sh", "-c", "ls / /dev | grep evil || echo none"])?;
    ensure!(found == "none", "{found:?}");
    docker.ok(&["rm", "-f", "hostile"])?;
    Ok(())
}

/// A file is a FIFO one moment and a file the next, again and again: whoever opens the FIFO waits for ever.
fn fifos(docker: &Docker) -> anyhow::Result<()> {
    with_image(docker)?;
    let script =
        "mkdir /tmp/d; cd /tmp/d; while true; do echo text >new; mv new f; mkfifo new; mv new f; done";
    docker.ok(&["run", "-d", "--name", "fifos", IMAGE, "sh", "-c", script])?;
    docker.until("the file", || Ok(docker.run(&["exec", "fifos", "ls", "/tmp/d/f"])?.code == Some(0)))?;
    for _ in 0..5 {
        docker.ok(&["cp", "fifos:/tmp/d", "-"])?;
    }
    docker.ok(&["export", "fifos"])?;
    docker.ok(&["rm", "-f", "fifos"])?;
    Ok(())
}

/// While one client sends half of an archive and then nothing, others load the same image and go on; and when it has gone, it is forgotten.
fn abandoned(docker: &Docker) -> anyhow::Result<()> {
    let archive = docker.folder().join("abandoned.tar");
    small::busybox()?.docker_archive().write_tar(&archive)?;
    let bytes = std::fs::read(&archive)?;
    let half = bytes.get(..bytes.len() / 2).context("an empty archive")?;
    let mut client = docker
        .command(&["load"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = client.stdin.take().context("no input")?;
    input.write_all(half)?;
    input.flush()?;
    load_small(docker, "meanwhile:one")?;
    let said = docker.ok(&["load", "-i", path(&archive)?])?;
    ensure!(said.contains("Loaded image"), "{said:?}");
    let output = docker.run(&["run", "--rm", "127.0.0.1:1/no/such:image", "true"])?;
    ensure!(output.code == Some(125), "{output:?}");
    client.kill()?;
    client.wait()?;
    docker.ok(&["load", "-i", path(&archive)?])?;
    docker.ok(&["rmi", "meanwhile:one"])?;
    Ok(())
}

/// From a container, because QEMU's user network takes but few connections at a time.
fn half_open(docker: &Docker) -> anyhow::Result<()> {
    const SCRIPT: &str = "mkfifo /held; exec 3<>/held; to=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'); \
                          for n in $(seq 1000); do nc $to 2376 <&3 & done; echo all; sleep 1000";
    let host = docker.ok(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])?;
    // An engine behind a unix socket has no connections of strangers.
    if !host.starts_with("tcp://") {
        return Ok(());
    }
    with_image(docker)?;
    docker.ok(&["run", "-d", "--name", "half-open", IMAGE, "sh", "-c", SCRIPT])?;
    docker.until("a thousand connections", || Ok(docker.run(&["logs", "half-open"])?.stdout == "all\n"))?;
    ensure!(docker.ok(&["exec", "half-open", "echo", "alive"])? == "alive", "the engine does not serve");
    docker.ok(&["rm", "-f", "half-open"])?;
    docker.ok(&["version"])?;
    Ok(())
}
