//! Every top folder says in a README of at most one screen what lives there (house rule 1).

use std::fs;

use anyhow::bail;

use crate::workspace;

/// Lines that fit on one screen.
const SCREEN: usize = 60;

/// Folders with nothing of their own to explain.
const EXEMPT: [&str; 1] = ["target"];

/// Fails with every top folder that has no README, or too long a one.
pub fn check() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(workspace::root())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() || name.starts_with('.') || EXEMPT.contains(&name.as_str()) {
            continue;
        }
        match fs::read_to_string(entry.path().join("README.md")) {
            Err(_) => faults.push(format!("{name} has no README.md")),
            Ok(text) if text.lines().count() > SCREEN => {
                faults.push(format!("{name}/README.md has more than {SCREEN} lines"));
            }
            Ok(_) => {}
        }
    }
    faults.sort();
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}
