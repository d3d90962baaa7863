//! README's way in, as it is written there: launch, docker, stop.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use coffer_images::small;

use crate::machine::{Guard, coffer};
use crate::terminal::Terminal;

/// The machine's name in README.
const NAME: &str = "demo";

/// The lines of README's console block that launches a machine, without comments and without the first, which builds the image.
///
/// # Errors
/// If README does not have it any more.
pub fn commands(readme: &str) -> anyhow::Result<Vec<String>> {
    let block = readme.split("```").find(|block| block.starts_with("console") && block.contains("-- launch"));
    let lines =
        block.context("README launches no machine")?.lines().filter_map(|line| line.strip_prefix("$ "));
    let mut lines = lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    let first = lines.next().context("README's block is empty")?;
    ensure!(first == "cargo xtask image", "README begins with {first:?}");
    Ok(lines.collect())
}

/// Does what README says in a folder below `target`, which is below the source tree `root`; in the place of alpine's archive there is one of
/// busybox, which looks the same. `coffer` ends the machine if that is not done, `docker` is the client.
///
/// # Errors
/// With the first command that does not do what it should.
pub fn follow(root: &Path, coffer_program: &Path, docker: &Path) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("newcomer-").tempdir_in(root.join("target"))?.keep();
    let _guard = Guard::start(coffer_program, &folder, NAME)?;
    let mut archive = small::busybox()?.docker_archive();
    for (name, text) in &mut archive.0 {
        if name == "manifest.json" {
            *text = String::from_utf8_lossy(text).replace("test:latest", "alpine:latest").into_bytes();
        }
    }
    archive.write_tar(&folder.join("alpine.tar"))?;
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    for line in commands(&readme)? {
        let mut path = docker.parent().unwrap_or(root).as_os_str().to_owned();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let environment = coffer(coffer_program, &folder);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("cd '{}' && {line}", folder.display())).env("PATH", path);
        shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut terminal = Terminal::start(&shell)?;
        if line.contains(" -it ") {
            terminal.expect("/ # ")?;
            terminal.type_keys("echo inside-$((6*7)); exit\r")?;
            terminal.expect("inside-42")?;
        }
        let code = terminal.exit_code()?;
        ensure!(code == 0, "{line}: exit code {code}; it shows {:?}", terminal.shown());
    }
    ensure!(!folder.join("data/coffer/machines").join(NAME).exists(), "the machine is still there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn readme_launches_a_machine_and_stops_it() {
        let lines = commands(include_str!("../../../README.md")).unwrap();
        assert!(lines.iter().any(|line| line.contains("-- launch --name demo")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("docker --context coffer-demo run --rm -it alpine")));
        assert!(lines.iter().any(|line| line.contains("-- stop demo")), "{lines:?}");
    }
}
