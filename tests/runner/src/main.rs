//! The tests that need machines: ostd's, trust domains, ABI cases, containers, docker clients, images and commands that must be refused.
//!
//! [`suite`] runs a list of [`suite::Job`]s, two machines at a time, and prints a line for each test; [`ostd`], [`tdx`], [`abi`],
//! [`containers`], [`docker`] and [`refusals`] make the lists. The last line is the sum, which `cargo xtask test` reads.
#![forbid(unsafe_code)]

mod abi;
mod configuration;
mod containers;
mod docker;
mod machine;
mod ostd;
mod programs;
mod refusals;
mod runtimes;
mod suite;
mod tdx;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::suite::Suite;

/// Runs the tests that need machines.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only tests whose name contains this, such as `abi/fs` or `container/python`.
    filter: Option<String>,
    /// Only this ring; all of them if it is not given.
    #[arg(long)]
    ring: Option<Ring>,
    /// Also what is left out of every run for its time: see [`suite::LEFT_OUT`].
    #[arg(long)]
    all: bool,
    /// Run the ABI cases on Debian's stock kernel, their oracle.
    #[arg(long)]
    linux: bool,
    /// The folder with the built image.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))]
    image: PathBuf,
    /// Boot the ABI cases with this kernel rather than the image's.
    #[arg(long)]
    kernel: Option<PathBuf>,
    /// Number of CPUs of the machines that run ABI cases.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Machines at a time.
    #[arg(long, default_value_t = 2)]
    machines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ring {
    Ostd,
    Tdx,
    Abi,
    Container,
    Docker,
    Refusal,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(is_success) => ExitCode::from(u8::from(!is_success)),
        Err(error) => {
            eprintln!("coffer-tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut suite = Suite::new(arguments.filter.clone(), arguments.all, arguments.machines);
    let is_wanted =
        |ring| arguments.ring.is_none_or(|wanted| wanted == ring) && (ring == Ring::Abi || !arguments.linux);
    if is_wanted(Ring::Ostd) {
        ostd::add(&mut suite)?;
    }
    if arguments.ring == Some(Ring::Ostd) {
        // The only ring that needs no image.
        return Ok(finish(suite));
    }
    let artifacts = machine::artifacts(&arguments.image)?;
    if is_wanted(Ring::Abi) {
        let kernel = match (&arguments.kernel, arguments.linux) {
            (Some(kernel), _) => machine::Kernel::Coffer(kernel.clone()),
            (None, true) => machine::Kernel::linux()?,
            (None, false) => machine::Kernel::Coffer(artifacts.kernel()),
        };
        abi::add(&mut suite, &kernel, arguments.cpus)?;
    }
    if is_wanted(Ring::Tdx) {
        tdx::add(&mut suite, &artifacts)?;
    }
    if is_wanted(Ring::Refusal) {
        refusals::add(&mut suite, &artifacts)?;
        configuration::add(&mut suite, &artifacts);
    }
    if is_wanted(Ring::Docker) {
        docker::add(&mut suite, &artifacts)?;
    }
    if is_wanted(Ring::Container) {
        containers::add(&mut suite, &artifacts)?;
    }
    Ok(finish(suite))
}

/// Runs all that was added; whether nothing failed.
fn finish(suite: Suite) -> bool {
    let total = suite.run();
    println!("{total}");
    total.failed == 0
}
