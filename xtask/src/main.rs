//! The front door: `cargo xtask <verb>`, one file a verb.
//!
//! [`recipe`] says how everything is compiled, [`packages`] what the machine needs for it, [`progress`] shows what happens.
#![forbid(unsafe_code)]

mod bench;
mod clean;
mod docs;
mod fuzz;
mod image;
mod lint;
mod packages;
mod progress;
mod recipe;
mod reproduce;
mod run;
mod setup;
mod symbols;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};

/// Builds, runs and tests Coffer.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a container in a new virtual machine; exits with the container's status.
    Run(run::Arguments),
    /// Check everything, cheap first.
    Test(test::Arguments),
    /// Build target/coffer.efi and the bootable disk target/coffer.raw.
    Image,
    /// Build the image again in other places, and compare every byte of it.
    Reproduce(reproduce::Arguments),
    /// Compare with Debian's kernel in the same virtual machine.
    Bench(bench::Arguments),
    /// Give every parser of attestation evidence what a fuzzer makes up.
    Fuzz(fuzz::Arguments),
    /// Install what the build and the tests need.
    Setup,
    /// Formatting, lints and the rules of the house.
    Lint,
    /// Write docs/syscalls.md from the kernel's table.
    Docs,
    /// Remove everything that was built and assembled.
    Clean,
}

/// Exit status of failures that are Coffer's own, as docker has it.
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    let verb = Arguments::try_parse().unwrap_or_else(|error| suggesting(error).exit()).verb;
    let own_failure = if matches!(verb, Verb::Run(_)) { OWN_FAILURE } else { 1 };
    let result = match verb {
        Verb::Run(arguments) => run::main(&arguments),
        Verb::Test(arguments) => test::main(&arguments),
        Verb::Image => image::main(),
        Verb::Reproduce(arguments) => reproduce::main(&arguments),
        Verb::Bench(arguments) => bench::main(&arguments),
        Verb::Fuzz(arguments) => fuzz::main(&arguments),
        Verb::Setup => setup::main(),
        Verb::Lint => lint::main(),
        Verb::Docs => docs::main(),
        Verb::Clean => clean::main(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("coffer: {}", one_line(&error));
        ExitCode::from(own_failure)
    })
}

/// Adds the verb that was meant, also where two letters changed places (`rnu`), which clap's own measure takes for quite another word.
fn suggesting(mut error: clap::Error) -> clap::Error {
    const LARGEST_DISTANCE: usize = 2;
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    if error.kind() != ErrorKind::InvalidSubcommand || error.get(ContextKind::SuggestedSubcommand).is_some() {
        return error;
    }
    let command = Arguments::command();
    let distance = |verb: &str| strsim::damerau_levenshtein(word, verb);
    let verbs = command.get_subcommands().map(clap::Command::get_name);
    let nearest = verbs.min_by_key(|verb| distance(verb)).filter(|verb| distance(verb) <= LARGEST_DISTANCE);
    if let Some(verb) = nearest.map(str::to_owned) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![verb]));
    }
    error
}

/// The error and its causes, without those whose text the one before holds already (libraries differ in whether an error's own
/// text includes its cause's).
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.ends_with(&cause) {
            let separator = if line.is_empty() { "" } else { ": " };
            line = format!("{line}{separator}{cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_verb_is_suggested() {
        let said = |word: &str| {
            suggesting(Arguments::try_parse_from(["cargo xtask", word]).unwrap_err()).to_string()
        };
        assert!(said("rnu").contains("'run'"), "{}", said("rnu"));
        assert!(said("tset").contains("'test'"), "{}", said("tset"));
        assert!(!said("frobnicate").contains("similar"), "{}", said("frobnicate"));
    }
}
