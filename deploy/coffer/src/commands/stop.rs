//! `coffer stop`: orderly power-off.

use std::time::Duration;

use anyhow::bail;
use runtime_control::{Command, Empty};

use crate::control::Control;
use crate::output::{Output, Progress};
use crate::state::Home;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machines.
    #[arg(required = true)]
    names: Vec<String>,
    /// Pull the plug.
    #[arg(short, long)]
    force: bool,
    /// How long a machine may take to power off.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    // All of them are looked for before the first is stopped.
    let homes =
        arguments.names.iter().map(|name| Home::existing(name)).collect::<anyhow::Result<Vec<_>>>()?;
    for home in &homes {
        if arguments.force {
            home.kill()?;
        } else {
            power_off(home, Duration::from_secs(arguments.timeout))?;
        }
    }
    output.print(&arguments.names.join("\n"), &arguments.names)
}

/// A machine that is off already is fine.
fn power_off(home: &Home, patience: Duration) -> anyhow::Result<()> {
    if home.process().is_none() {
        return Ok(());
    }
    let _progress = Progress::begin(&format!("stopping {}", home.name));
    // The connection stays until the machine is off: QEMU drops what a host that left has written.
    let mut control = Control::connect(home)?;
    control.send(&Command::PowerOff(Empty {}))?;
    if !home.wait_for_end(patience) {
        bail!(
            "the machine `{}` does not power off (`coffer stop --force {}` pulls the plug)",
            home.name,
            home.name
        );
    }
    Ok(())
}
