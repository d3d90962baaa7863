//! Broken images and commands: one clear line, the right exit code, nothing left behind.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use coffer_harness::control::Run;
use coffer_harness::{Artifacts, Finished};
use coffer_images::{broken, small};

use crate::machine::{self, Outcome, Setting};
use crate::programs;
use crate::suite::Suite;

/// Coffer's own failures, as docker has them.
const OWN_FAILURE: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Adds every test of a refusal.
pub fn add(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    for image in broken::all()? {
        let artifacts = artifacts.clone();
        suite.add(&format!("refusal/{}", image.name), move || {
            let folder = tempfile::tempdir()?;
            let archive = folder.path().join("image.tar");
            image.files.write_tar(&archive)?;
            let outcome = machine::run(&artifacts, &archive, &Setting::default())?;
            expect_refusal(&outcome, OWN_FAILURE, image.words)
        });
    }
    add_commands(suite, artifacts)?;
    add_front_door(suite);
    Ok(())
}

/// Commands that the image does not have, or that cannot be executed.
fn add_commands(suite: &mut Suite, artifacts: &Artifacts) -> anyhow::Result<()> {
    let files = Arc::new(small::busybox()?.layout()?);
    let commands: [(&str, &[&str], i32); 5] = [
        ("missing_entrypoint", &["/no/such/program"], NOT_FOUND),
        ("missing_command_on_path", &["no-such-program"], NOT_FOUND),
        ("file_without_permission", &["/etc/passwd"], NOT_EXECUTABLE),
        ("directory_as_command", &["/etc"], NOT_EXECUTABLE),
        ("unknown_user", &["true"], OWN_FAILURE),
    ];
    for (name, command, code) in commands {
        let (artifacts, files) = (artifacts.clone(), Arc::clone(&files));
        suite.add(&format!("refusal/{name}"), move || {
            let folder = tempfile::tempdir()?;
            let archive = folder.path().join("image.tar");
            files.write_tar(&archive)?;
            let user = (name == "unknown_user").then(|| "nobody-of-that-name".to_owned());
            let args = Some(command.iter().map(|word| (*word).to_owned()).collect());
            let setting = Setting { run: Run { args, user, ..Run::default() }, ..Setting::default() };
            let outcome = machine::run(&artifacts, &archive, &setting)?;
            let word = if name == "unknown_user" { "nobody-of-that-name" } else { command[0] };
            expect_refusal(&outcome, code, &[word])
        });
    }
    Ok(())
}

/// What `cargo xtask run` refuses before it starts a machine.
fn add_front_door(suite: &mut Suite) {
    for (name, image, word) in [
        ("missing_image", "/no/such/image", "/no/such/image"),
        ("folder_without_layout", "/proc/self", "/proc/self"),
    ] {
        suite.add(&format!("refusal/{name}"), move || {
            let output = Command::new(env!("CARGO"))
                .args(["run", "--quiet", "--package", "xtask", "--", "run", "--", image])
                .current_dir(programs::root())
                .output()
                .context("cannot start cargo")?;
            ensure!(output.status.code() == Some(OWN_FAILURE), "it ended with {}", output.status);
            let stderr = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
            ensure!(lines.len() == 1 && lines[0].contains(word), "it said {stderr:?}");
            Ok(())
        });
    }
}

fn expect_refusal(outcome: &Outcome, expected: i32, words: &[&str]) -> anyhow::Result<()> {
    match &outcome.finished {
        Finished::Refused { code, message } => {
            ensure!(*code == expected, "exit code {code} instead of {expected}: {message}");
            ensure!(words.iter().any(|word| message.contains(word)), "the reason is not named: {message:?}");
            ensure!(!message.contains('\n') && !message.is_empty(), "not one line: {message:?}");
            Ok(())
        }
        other => bail!("{other:?} instead of a refusal"),
    }
}
