//! `coffer disconnect`: takes back what `connect` made.

use crate::connection::Connection;
use crate::context::Context;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The connections, by the names that they were given.
    #[arg(required = true)]
    names: Vec<String>,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let connections =
        arguments.names.iter().map(|name| Connection::of(name)).collect::<anyhow::Result<Vec<_>>>()?;
    // All of them are looked for before the first goes.
    connections.iter().try_for_each(|connection| connection.record().map(drop))?;
    for connection in &connections {
        Context::of(&connection.name)?.remove()?;
        connection.remove()?;
    }
    output.print(&arguments.names.join("\n"), &arguments.names)
}
