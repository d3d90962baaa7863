//! Guests that are a script of busybox's on some kernel, and what they print.

use std::fs;

use anyhow::{Context as _, ensure};

/// An initramfs whose process 1 is a script; modules are files module1.ko and so on in its root.
pub fn initramfs(script: &str, modules: Vec<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    const PROGRAM: u32 = 0o100_755;
    const FOLDER: u32 = 0o40_755;
    let busybox = fs::read("/bin/busybox").context("busybox is in the package busybox-static")?;
    let mut files: Vec<(String, u32, Vec<u8>)> =
        ["bin", "dev", "proc", "sys"].map(|name| (name.to_owned(), FOLDER, Vec::new())).to_vec();
    files.push(("bin/busybox".to_owned(), PROGRAM, busybox));
    files.push(("init".to_owned(), PROGRAM, script.as_bytes().to_vec()));
    let modules = (1..).zip(modules).map(|(number, bytes)| (format!("module{number}.ko"), PROGRAM, bytes));
    files.extend(modules);
    let mut archive = Vec::new();
    for (number, (name, mode, bytes)) in (1..).zip(files) {
        let header = cpio::newc::Builder::new(&name).ino(number).mode(mode).nlink(1);
        let mut writer = header.write(&mut archive, u32::try_from(bytes.len())?);
        std::io::Write::write_all(&mut writer, &bytes)?;
        writer.finish()?;
    }
    cpio::newc::trailer(&mut archive).context("cannot end the initramfs")?;
    Ok(archive)
}

/// Some line contains `wanted`.
pub fn expect(lines: &[String], wanted: &str) -> anyhow::Result<()> {
    ensure!(
        lines.iter().any(|line| line.contains(wanted)),
        "it does not say {wanted:?}: {}",
        lines.join("\n")
    );
    Ok(())
}

/// What stands in Base64 between two marks.
pub fn between(lines: &[String], name: &str) -> anyhow::Result<Vec<u8>> {
    let (begin, end) = (format!("{name}-begin"), format!("{name}-end"));
    let text: String = lines
        .iter()
        .skip_while(|line| **line != begin)
        .skip(1)
        .take_while(|line| **line != end)
        .map(String::as_str)
        .collect();
    super::evidence::base64(&text).with_context(|| format!("there is no {name}: {}", lines.join("\n")))
}
