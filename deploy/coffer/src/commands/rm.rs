//! `coffer rm`: everything that `launch` has made.

use anyhow::ensure;

use crate::connection::Connection;
use crate::context::Context;
use crate::output::Output;
use crate::state::Home;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machines.
    #[arg(required = true)]
    names: Vec<String>,
    /// Stop a machine that runs, by pulling the plug.
    #[arg(short, long)]
    force: bool,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let homes =
        arguments.names.iter().map(|name| Home::existing(name)).collect::<anyhow::Result<Vec<_>>>()?;
    for home in &homes {
        let is_off = home.process().is_none();
        ensure!(
            is_off || arguments.force,
            "the machine `{}` runs: stop it (`coffer stop {}`)",
            home.name,
            home.name
        );
    }
    for home in &homes {
        home.kill()?;
        Connection::of(&home.name)?.remove()?;
        Context::of(&home.name)?.remove()?;
        home.remove()?;
    }
    output.print(&arguments.names.join("\n"), &arguments.names)
}
