//! Ways out of a container, none of which leads anywhere: each case tries one from inside of a container with docker's default configuration,
//! and fails with the error that Linux gives there.
//!
//! They run in one container for all, which Debian's runc makes of the bundle in the initramfs ([`crate::runtimes`]).

use crate::case::Case;
use crate::child;
use crate::runtimes::{RUNTIMES, Stage};

mod calls;
mod files;
mod rights;

/// What the names of these cases begin with.
pub const AREA: &str = "escape/";

pub const CASES: &[&[Case]] = &[calls::CASES, files::CASES, rights::CASES];

/// Runs cases in a container, which says itself how they went.
pub fn run_contained(cases: &[&Case]) {
    let arguments: Vec<&str> = ["@contained"].into_iter().chain(cases.iter().map(|case| case.name)).collect();
    let outcome = child::passes(|| {
        let stage = Stage::new(RUNTIMES[0])?;
        stage.configure(&arguments)?;
        // What it says goes to the console.
        let status = stage.command(&["run", "escape"]).status()?;
        println!("escape: runc ended with {status}");
        Ok(())
    });
    if let Err(failure) = outcome {
        println!("escape: {failure:?}");
    }
}
