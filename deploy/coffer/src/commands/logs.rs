//! `coffer logs`: a machine's console.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::state::{Home, PLACES};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machine.
    name: String,
    /// Go on until the machine ends.
    #[arg(short, long)]
    follow: bool,
}

pub fn main(arguments: &Arguments) -> anyhow::Result<()> {
    let home = Home::existing(&arguments.name)?;
    let path = home.path(PLACES.console);
    let mut log = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    loop {
        // Asked before the rest is read, so that nothing is missed.
        let has_ended = home.process().is_none();
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
        // The guest's firmware and kernel must not move the caller's cursor.
        bytes.retain(|byte| matches!(byte, b'\n' | b'\t') || !byte.is_ascii_control());
        match io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.context("cannot print")?,
        }
        if !arguments.follow || has_ended {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
