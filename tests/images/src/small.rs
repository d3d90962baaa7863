//! Small images that run: busybox, alone and in layers.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{Compression, Image, Layer};

const BUSYBOX: &str = "/bin/busybox";

/// busybox with a link for each of its applets, and the files that name users.
///
/// # Errors
/// If busybox-static is not installed.
pub fn busybox() -> anyhow::Result<Image> {
    Ok(Image::new(config(&["sh"])).layer(base()?, Compression::Gzip))
}

/// busybox itself, for images that are put together elsewhere.
///
/// # Errors
/// If busybox-static is not installed.
pub fn busybox_file() -> anyhow::Result<Vec<u8>> {
    std::fs::read(BUSYBOX)
        .with_context(|| format!("{BUSYBOX} is missing: it is in the package busybox-static"))
}

/// A program alone, as `/abi`, and a folder for it to work in.
#[must_use]
pub fn program(bytes: &[u8]) -> Image {
    let layer = Layer::new().file("abi", 0o755, bytes).directory("etc", 0o755).directory("tmp", 0o1777);
    Image::new(json!({ "Cmd": ["/abi"] })).layer(layer, Compression::Plain)
}

fn config(command: &[&str]) -> Value {
    json!({ "Cmd": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] })
}

fn base() -> anyhow::Result<Layer> {
    let program = busybox_file()?;
    let output = Command::new(BUSYBOX).arg("--list").output().context("busybox does not run")?;
    ensure!(output.status.success(), "{BUSYBOX} does not list its applets");
    let mut layer = Layer::new()
        .directory("bin", 0o755)
        .file("bin/busybox", 0o755, &program)
        .directory("etc", 0o755)
        .file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1001::/home/worker:/bin/sh\n",
        )
        .file("etc/group", 0o644, b"root:x:0:\nworkers:x:1001:\nextra:x:1002:worker\n")
        .directory("home", 0o755)
        .directory("home/worker", 0o755)
        .directory("root", 0o700)
        .directory("tmp", 0o1777);
    for applet in String::from_utf8_lossy(&output.stdout).lines().filter(|applet| *applet != "busybox") {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    Ok(layer)
}

/// Three layers with every way of changing what is below, one in each form of compression. Its command prints what must come
/// out, which is [`LAYERED_OUTPUT`].
///
/// # Errors
/// If busybox-static or zstd is not installed.
pub fn layered() -> anyhow::Result<Image> {
    let long = format!("data/{}/file", "long-name-".repeat(20));
    let middle = Layer::new()
        .directory("data", 0o755)
        .file("data/removed", 0o644, b"")
        .file("data/replaced", 0o644, b"old")
        .file("data/kept", 0o640, b"kept")
        .directory("data/opaque", 0o755)
        .file("data/opaque/hidden", 0o644, b"")
        .directory("data/tree", 0o755)
        .file("data/tree/file", 0o644, b"")
        .file("data/first", 0o644, b"linked")
        .hard_link("data/second", "data/first")
        .file(&long, 0o644, b"found");
    let top = Layer::new()
        .whiteout("data/removed")
        .whiteout("data/tree")
        .file("data/replaced", 0o644, b"new")
        .directory("data/opaque", 0o700)
        .opaque("data/opaque")
        .file("data/opaque/shown", 0o644, b"")
        .file("data/set-user-id", 0o4755, b"");
    let script = "cd /data; ls; ls opaque; cat replaced kept first second long*/file; echo; \
                  stat -c '%h %a' first kept set-user-id opaque";
    Ok(Image::new(config(&["sh", "-c", script]))
        .layer(base()?, Compression::Gzip)
        .layer(middle, Compression::Zstd)
        .layer(top, Compression::Plain))
}

/// What the command of [`layered`] prints.
#[must_use]
pub fn layered_output() -> String {
    let long = "long-name-".repeat(20);
    format!(
        "first\nkept\n{long}\nopaque\nreplaced\nsecond\nset-user-id\nshown\nnewkeptlinkedlinkedfound\n\
         2 644\n1 640\n1 4755\n2 700\n"
    )
}
