//! The stock docker client against an engine: each case is a handful of commands, their output and their exit codes.
//!
//! [`Docker`] runs the client; [`cases`] are what a user does; [`run`] runs them one after the other. The engine may be anywhere: behind a
//! unix socket on this machine, or in a virtual machine behind mutual TLS, such as a [`Machine`]. [`sdk`] does the same by the Python SDK,
//! [`compose`] has a project of docker-compose's, [`registry`] pulls from real registries, [`software`] runs servers, [`libvirt`] has a machine of
//! libvirt's, [`measurement`] reads its log, [`newcomer`] follows README.
#![forbid(unsafe_code)]

pub mod attestation;
pub mod cases;
pub mod client;
pub mod compose;
mod debian;
mod docker;
pub mod libvirt;
mod machine;
pub mod measurement;
pub mod newcomer;
pub mod registry;
pub mod sdk;
pub mod software;
mod terminal;

use std::time::{Duration, Instant};

pub use docker::{Docker, Output};
pub use machine::{Launch, Machine, TrustDomain};

/// One test of an engine, which `B` knows how to reach.
#[derive(Debug)]
pub struct Case<B = Docker> {
    /// `noun/behaviour`.
    pub name: &'static str,
    /// Fails with what was seen instead.
    pub body: fn(&B) -> anyhow::Result<()>,
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

/// Runs cases one after the other: they share an engine. What a failed one leaves behind is removed. Once the engine does not answer
/// any more, the others fail at once.
pub fn run<B: AsRef<Docker>>(
    bench: &B,
    cases: impl Iterator<Item = Case<B>>,
    mut report: impl FnMut(Verdict),
) {
    let docker = bench.as_ref();
    let mut has_gone = false;
    for case in cases {
        let start = Instant::now();
        let result = if has_gone { Err(anyhow::anyhow!("the engine is gone")) } else { (case.body)(bench) };
        if result.is_err() && !has_gone {
            docker.remove_everything();
            has_gone = docker.ok(&["version"]).is_err();
        }
        report(Verdict { name: case.name, result, took: start.elapsed() });
    }
}
