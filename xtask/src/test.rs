//! `cargo xtask test`: everything, cheap first: lints, host tests, then the rings that need machines (tests/runner).

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::progress::Step;
use crate::reproduce::{self, Place};
use crate::{fuzz, image, lint, packages, recipe, setup, workspace};

/// Options of `cargo xtask test`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave out what needs virtual machines.
    #[arg(long)]
    host_only: bool,
    /// Also what takes long: all of ostd under Miri, machines of every shape, ten minutes of fuzzing, the image built again elsewhere.
    #[arg(long)]
    all: bool,
    /// Only guest tests whose name contains this.
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
}

/// What a ring of tests came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(formatter, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// Packages whose tests run on the host though they are built for another target.
const HOST_TESTED_LIBRARIES: [&str; 1] = ["coffer-stub"];

/// The package that drives machines.
const RUNNER: &str = "coffer-tests";

/// Runs all rings; the last line is the sum.
pub fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure_met(&[packages::RUN, packages::IMAGES, packages::TEST, packages::NIX])?;
    recipe::check_toolchain()?;
    let mut total = Count::default();
    if arguments.filter.is_none() {
        total += lint_ring();
        total += cargo_ring("host tests", &["test", "--locked", "--no-fail-fast"])?;
        for library in HOST_TESTED_LIBRARIES {
            total += cargo_ring(library, &["test", "--locked", "--package", library, "--lib"])?;
        }
        total += miri_ring(arguments.all)?;
    }
    if !arguments.host_only {
        total += guest_ring(arguments.filter.as_deref(), arguments.all).unwrap_or_else(|error| {
            eprintln!("guest tests: {error:#}");
            Count { failed: 1, ..Count::default() }
        });
    }
    if arguments.all && arguments.filter.is_none() {
        total += long_ring();
    }
    println!("{total}");
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lint_ring() -> Count {
    match lint::check() {
        Ok(lint::Checked { passed, skipped }) => Count { passed, skipped, failed: 0 },
        Err(error) => {
            eprintln!("lint: {error:#}");
            Count { failed: 1, ..Count::default() }
        }
    }
}

/// What takes as long as all the rest: ten minutes of fuzzing; the image built in other places, of which the guest tests have been to Nix's
/// sandbox already, because README says so; the host CLI built there.
fn long_ring() -> Count {
    let compare = || {
        let verdict = reproduce::compare(&Place::ALL)?;
        println!("{verdict}");
        ensure!(verdict.is_reproduced(), "the image differs");
        Ok(())
    };
    let mut count = Count::default();
    let tests: [(&str, &dyn Fn() -> anyhow::Result<()>); 3] = [
        ("fuzz", &fuzz::check),
        ("reproduce", &compare),
        ("the host CLI with Nix", &reproduce::build_host_cli),
    ];
    for (name, test) in tests {
        match test() {
            Ok(()) => count.passed += 1,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                count.failed += 1;
            }
        }
    }
    count
}

/// Runs ostd's tests under Miri, which wants a nightly compiler. It is not needed for anything that ships, so a machine without one
/// skips this.
fn miri_ring(is_whole: bool) -> anyhow::Result<Count> {
    const CARGO: [&str; 3] = ["run", "nightly", "cargo"];
    let version =
        Command::new("rustup").args(CARGO).args(["miri", "--version"]).stdin(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("miri: skipped: no nightly toolchain with the components miri and rust-src");
        return Ok(Count { skipped: 1, ..Count::default() });
    }
    let mut command = Command::new("rustup");
    command.args(CARGO).args(["miri", "test", "--locked", "--package", "ostd"]);
    if !is_whole {
        // The modules whose `unsafe` the host can run; under two minutes, where the whole takes over ten.
        command.args(["--lib", "--", "mm::", "pci"]);
    }
    command.env("MIRIFLAGS", "-Zmiri-permissive-provenance");
    ring("ostd under Miri", &mut command)
}

/// Runs `cargo test`, which says what it came to once for each binary.
fn cargo_ring(title: &str, arguments: &[&str]) -> anyhow::Result<Count> {
    ring(title, Command::new("cargo").args(arguments))
}

/// Runs something that ends in the words of `cargo test`.
fn ring(title: &str, command: &mut Command) -> anyhow::Result<Count> {
    let step = Step::begin(title);
    let output =
        command.current_dir(workspace::root()).stdin(Stdio::null()).output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut count = Count::default();
    for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        count += read_count(line);
    }
    if !output.status.success() {
        step.vanish();
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        // A test binary that does not compile has failed as much as a test.
        count.failed = count.failed.max(1);
        return Ok(count);
    }
    step.done();
    Ok(count)
}

/// Builds the image and leaves the machines to the runner, whose words are passed on and whose last line is the sum.
fn guest_ring(filter: Option<&str>, is_whole: bool) -> anyhow::Result<Count> {
    if !lint::workspace_packages()?.iter().any(|package| package.name == RUNNER) {
        eprintln!("no guest tests: the workspace has no package {RUNNER}");
        return Ok(Count { skipped: 1, ..Count::default() });
    }
    image::make()?;
    let mut runner = Command::new("cargo")
        .args(["run", "--locked", "--quiet", "--package", RUNNER, "--"])
        .args(is_whole.then_some("--all"))
        .args(filter)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the guest tests")?;
    let mut last = String::new();
    if let Some(stdout) = runner.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what the guest tests say")?;
            println!("{line}");
            last = line;
        }
    }
    let status = runner.wait().context("cannot wait for the guest tests")?;
    let mut count = read_count(&last);
    ensure!(count != Count::default(), "the guest tests ended without a result ({status})");
    if !status.success() {
        count.failed = count.failed.max(1);
    }
    Ok(count)
}

/// Reads `… 12 passed; 1 failed; 2 ignored …`, or the same with commas and "skipped".
fn read_count(line: &str) -> Count {
    let mut count = Count::default();
    let words: Vec<_> = line.split(|character: char| !character.is_ascii_alphanumeric()).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    for pair in words.windows(2) {
        let [number, what] = pair else { continue };
        let Ok(number) = number.parse() else { continue };
        match *what {
            "passed" => count.passed = number,
            "failed" => count.failed = number,
            "ignored" | "skipped" => count.skipped = number,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{Count, read_count};

    #[test]
    fn both_forms_of_a_result_are_read() {
        let cargo = "ok. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.26s";
        let expected = Count { passed: 12, failed: 1, skipped: 2 };
        assert_eq!(read_count(cargo), expected);
        assert_eq!(read_count(&expected.to_string()), expected);
        assert_eq!(read_count("thread panicked"), Count::default());
    }
}
