//! README's way in, as it is written there: build, launch, docker, stop, reproduce.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use coffer_images::small;

use crate::machine::{Guard, coffer};
use crate::terminal::Terminal;

/// The machine's name in README.
const NAME: &str = "demo";

/// How long a line may take: the last one builds the image from nothing.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What a draft of the image must not be put to.
const DRAFT_VARIABLE: &str = "COFFER_DRAFT";

/// The lines of README's console block that launches a machine, without comments.
///
/// # Errors
/// If README does not have it any more.
pub fn commands(readme: &str) -> anyhow::Result<Vec<String>> {
    let block = readme.split("```").find(|block| block.starts_with("console") && block.contains("-- launch"));
    let lines =
        block.context("README launches no machine")?.lines().filter_map(|line| line.strip_prefix("$ "));
    Ok(lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned()).collect())
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
        if line.starts_with("cargo xtask reproduce") && env::var_os(DRAFT_VARIABLE).is_some() {
            println!("README's `{line}` is not run: nobody else's draft is the same");
            continue;
        }
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
        let code = terminal.exit_code_within(PATIENCE)?;
        ensure!(code == 0, "{line}: exit code {code}; it shows {:?}", terminal.shown());
    }
    ensure!(!folder.join("data/coffer/machines").join(NAME).exists(), "the machine is still there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn readme_goes_from_the_source_to_a_reproduced_image() {
        let lines = commands(include_str!("../../../README.md")).unwrap();
        for (line, part) in lines.iter().zip([
            "cargo xtask image",
            "-- launch --name demo",
            "docker --context coffer-demo run --rm -it alpine",
            "-- stop demo",
            "cargo xtask reproduce",
        ]) {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(lines.len(), 5, "{lines:?}");
    }
}
