//! `coffer`: Coffer machines, from the user's own computer. One file a verb in `commands/`.
//!
//! [`state`] is what is kept of each machine, [`tls`] the certificates on both sides, [`context`] the docker client's way to a machine.
#![forbid(unsafe_code)]

mod collateral;
mod commands;
mod connection;
mod context;
mod control;
mod evidence;
mod image;
mod judging;
mod output;
mod simulator;
mod state;
mod target;
mod tls;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

/// Starts Coffer machines and connects docker to them.
#[derive(Debug, Parser)]
#[command(name = "coffer", version)]
struct Arguments {
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a machine on this computer, and make a docker context for it.
    Launch(commands::launch::Arguments),
    /// List machines.
    Ls,
    /// Print a machine's console.
    Logs(commands::logs::Arguments),
    /// Power machines off. What was in them is gone: a machine keeps everything in its memory.
    Stop(commands::stop::Arguments),
    /// Remove stopped machines, their keys and their docker contexts.
    Rm(commands::rm::Arguments),
    /// Look into image files, in any of their forms.
    #[command(subcommand)]
    Image(commands::image::Verb),
    /// Judge a machine's evidence, from files: is it genuine, is it wanted?
    Verify(commands::verify::Arguments),
    /// Report on a machine: what it is, what runs on it, and whether that is genuine and wanted.
    Attest(commands::attest::Arguments),
    /// Verify a machine, and make a docker context whose every connection verifies it again.
    Connect(commands::connect::Arguments),
    /// Take back what connect made.
    Disconnect(commands::disconnect::Arguments),
    /// What connect leaves in the background.
    #[command(hide = true)]
    Proxy(commands::proxy::Arguments),
    /// Write down what is wanted of a machine.
    #[command(subcommand)]
    Policy(commands::policy::Verb),
    /// Print completions for a shell.
    Completions {
        /// Which one.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = output::Output { is_json: arguments.json };
    let done = |()| ExitCode::SUCCESS;
    let result = match &arguments.verb {
        Verb::Launch(arguments) => commands::launch::main(arguments, output).map(done),
        Verb::Ls => commands::ls::main(output).map(done),
        Verb::Logs(arguments) => commands::logs::main(arguments).map(done),
        Verb::Stop(arguments) => commands::stop::main(arguments, output).map(done),
        Verb::Rm(arguments) => commands::rm::main(arguments, output).map(done),
        Verb::Image(verb) => commands::image::main(verb, output),
        Verb::Verify(arguments) => commands::verify::main(arguments, output),
        Verb::Attest(arguments) => commands::attest::main(arguments, output),
        Verb::Connect(arguments) => commands::connect::main(arguments, output),
        Verb::Disconnect(arguments) => commands::disconnect::main(arguments, output).map(done),
        Verb::Proxy(arguments) => commands::proxy::main(arguments).map(done),
        Verb::Policy(verb) => commands::policy::main(verb).map(done),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "coffer", &mut script);
            output::say(&String::from_utf8_lossy(&script)).map(done)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("coffer: {error:#}");
        // Of `image diff`, `verify`, `attest` and `connect`, 1 is an answer.
        if matches!(arguments.verb, Verb::Image(_) | Verb::Verify(_) | Verb::Attest(_) | Verb::Connect(_)) {
            ExitCode::from(2)
        } else {
            ExitCode::FAILURE
        }
    })
}
