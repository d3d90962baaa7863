//! `cargo xtask bench`: builds the image and leaves measuring to `tests/performance`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{image, lint, packages, recipe, setup, workspace};

/// Options of `cargo xtask bench`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Passed on to the benchmark.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    rest: Vec<String>,
}

/// The package that starts machines and measures.
const RUNNER: &str = "coffer-bench";

/// Builds and measures; prints name, Linux, Coffer and their ratio.
pub fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::ensure_met(&[packages::RUN, packages::IMAGES, packages::TEST, packages::BENCH])?;
    recipe::check_toolchain()?;
    if !lint::workspace_packages()?.iter().any(|package| package.name == RUNNER) {
        bail!("the workspace has no package {RUNNER}");
    }
    image::make()?;
    let status = Command::new("cargo")
        .args(["run", "--locked", "--quiet", "--release", "--package", RUNNER, "--"])
        .args(&arguments.rest)
        .current_dir(workspace::root())
        .status()
        .context("cannot start the benchmark")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
