//! `cargo xtask bench`: the same program on Coffer and on Debian's stock kernel, in the same QEMU.
//!
//! [`instructions`] counts instructions of the benchmarks (`tests/performance/guest`), which is repeatable. In real time, and so on an
//! idle machine only: [`network`] measures the way from here into the guest, [`container`] one container from creation to removal,
//! [`idle`] the memory of a hundred that do nothing,
//! [`start`] the time from power-on to the first output of a container. [`table`] puts it all together.
#![forbid(unsafe_code)]

mod container;
mod idle;
mod initramfs;
mod instructions;
mod kernels;
mod network;
mod start;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use coffer_harness::Artifacts;

use crate::kernels::{COFFER, Kernel};
use crate::table::Table;

/// Compares Coffer with Debian's stock kernel.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these benchmarks; `host` for all that begins so.
    names: Vec<String>,
    /// The folder with the built image.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target"))]
    image: PathBuf,
    /// Write the table as Markdown to this file as well.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Leave out Coffer.
    #[arg(long)]
    linux_only: bool,
    /// Leave out Linux.
    #[arg(long, conflicts_with = "linux_only")]
    coffer_only: bool,
    /// Leave out what is measured in real time.
    #[arg(long)]
    only_instructions: bool,
    /// Leave out what is counted in instructions.
    #[arg(long, conflicts_with = "only_instructions")]
    only_real_time: bool,
    /// How many starts the median is taken of.
    #[arg(long, default_value_t = 5)]
    starts: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coffer-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let image =
        arguments.image.canonicalize().with_context(|| format!("no folder {}", arguments.image.display()))?;
    let artifacts = Artifacts::at(image);
    let mut kernels = Vec::new();
    if !arguments.coffer_only {
        kernels.extend(Kernel::linux()?);
    }
    if !arguments.linux_only {
        kernels.push(Kernel::coffer(&artifacts));
    }

    let mut table = Table::default();
    for kernel in kernels.iter().filter(|_| !arguments.only_real_time) {
        eprintln!("counting instructions on {}", kernel.column);
        for result in instructions::measure(kernel, &arguments.names)? {
            table.set(kernel.column, &result.name, result.value, &result.unit);
        }
    }
    let is_wanted = |name: &str| {
        !arguments.only_instructions
            && (arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name))
    };
    for kernel in &kernels {
        if arguments.names.is_empty() {
            let size = fs::metadata(&kernel.shipped)
                .with_context(|| format!("no {}", kernel.shipped.display()))?
                .len();
            table.set(kernel.column, "image_size", Some(size as f64 / f64::from(1 << 20)), "MiB");
        }
        if is_wanted("host") {
            eprintln!("talking to {}", kernel.column);
            for result in network::measure(kernel)? {
                table.set(kernel.column, &result.name, result.value, &result.unit);
            }
        }
        if is_wanted("container_run") {
            eprintln!("running containers on {}", kernel.column);
            let milliseconds = container::measure(kernel, &artifacts)?;
            table.set(kernel.column, "container_run", Some(milliseconds), "ms");
        }
        if kernel.column == COFFER && is_wanted("idle_containers_100") {
            eprintln!("running 100 idle containers on {COFFER}");
            table.set(COFFER, "idle_containers_100", Some(idle::measure(&artifacts)?), "MiB");
        }
        if is_wanted("first_output") {
            eprintln!("starting {} {} times", kernel.column, arguments.starts);
            let seconds = start::median(kernel, &artifacts, arguments.starts)?;
            table.set(kernel.column, "first_output", Some(seconds), "s");
        }
    }
    println!("{}", table.text());
    if let Some(path) = &arguments.markdown {
        fs::write(path, table.markdown()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
