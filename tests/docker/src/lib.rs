//! The stock docker client against an engine: each case is a handful of commands, their output and their exit codes.
//!
//! [`Docker`] runs the client; [`cases`] are what a user does; [`run`] prints a line for each. The engine may be anywhere: behind a
//! unix socket on this machine, or in a virtual machine behind mutual TLS.
#![forbid(unsafe_code)]

pub mod cases;
mod docker;
mod terminal;

use std::time::{Duration, Instant};

pub use docker::{Docker, Output};

/// One test.
#[derive(Debug)]
pub struct Case {
    /// `noun/behaviour`.
    pub name: &'static str,
    /// Fails with what was seen instead.
    pub body: fn(&Docker) -> anyhow::Result<()>,
}

/// How a case ended.
#[derive(Debug)]
pub struct Verdict {
    /// The case's name.
    pub name: &'static str,
    /// What it said.
    pub result: anyhow::Result<()>,
    /// How long it took.
    pub took: Duration,
}

/// Runs the cases whose names contain `filter`, one after the other: they share an engine. What a failed case leaves behind is removed.
pub fn run(docker: &Docker, filter: Option<&str>, mut report: impl FnMut(Verdict)) {
    for case in cases::all().filter(|case| filter.is_none_or(|filter| case.name.contains(filter))) {
        let start = Instant::now();
        let result = (case.body)(docker);
        if result.is_err() {
            docker.remove_everything();
        }
        report(Verdict { name: case.name, result, took: start.elapsed() });
    }
}
