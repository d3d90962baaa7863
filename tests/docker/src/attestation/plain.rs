//! A machine without hardware says so, and nobody takes it for more.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::relay::ask;
use super::said;
use crate::cases::{self, IMAGE};
use crate::{Docker, Machine};

/// It is refused, unless the policy names it; then docker gets there by a connection that is verified as far as there is something to verify: the key.
///
/// # Errors
/// If not.
pub fn is_refused_unless_named(machine: &Machine, docker: &Docker) -> anyhow::Result<()> {
    let output = said(&mut machine.coffer(&["attest", "test"]))?;
    let why = "refused: policy-plain-vm: it is not a trust domain";
    ensure!(output.code == Some(1) && output.text.contains(why), "{output:?}");
    let output = said(&mut machine.coffer(&["connect", "test"]))?;
    ensure!(output.code == Some(1) && output.text.contains(why), "{output:?}");

    let policy = docker.folder().join("policy.toml");
    fs::write(&policy, "insecure-plain-vm = true\n")?;
    let policy = policy.to_str().context("a path that is not text")?;
    let output = said(&mut machine.coffer(&["connect", "test", "--policy", policy]))?;
    ensure!(output.code == Some(0) && output.text.contains("without any hardware evidence"), "{output:?}");
    cases::with_image(docker)?;
    let text = docker.ok(&["run", "--rm", IMAGE, "echo", "connected"])?;
    ensure!(text.trim() == "connected", "{text:?}");

    let evidence = machine.record["evidence"].as_str().context("no evidence port")?;
    let document: Value = serde_json::from_slice(&ask(evidence, &[7; 32])?.body)?;
    ensure!(document["hardware"] == "none" && document["quote"].is_null(), "{document}");
    ensure!(document["runtime-log"].is_string(), "{document}");
    // With the connection gone, so is the way.
    let output = said(&mut machine.coffer(&["disconnect", "test"]))?;
    ensure!(output.code == Some(0), "{output:?}");
    ensure!(docker.run(&["version"])?.code != Some(0), "the context is still there");
    Ok(())
}
