//! Configuration: find the disk that has it, check it, keep it for the engine.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use runtime_config::{Configuration, volume};

use super::host::{PATIENCE, PAUSE};
use crate::error::Error;

/// Where the engine finds the checked file.
const KEPT: &str = "/run/coffer/coffer.toml";

/// The machine's configuration; the default, if no disk has one.
pub fn load() -> Result<Configuration, Error> {
    let Some((disk, bytes)) = find()? else {
        println!("coffer: no disk has the label {}; the configuration is the default", volume::LABEL);
        return Ok(Configuration::default());
    };
    let configuration = Configuration::parse(&bytes)?;
    println!("coffer: configured by {}", disk.display());
    let kept = Path::new(KEPT);
    let folder = kept.parent().unwrap_or(kept);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(kept, bytes))
        .map_err(Error::system(format!("keep the configuration in `{KEPT}`")))?;
    Ok(configuration)
}

/// Looks as long as a disk may take to appear.
fn find() -> Result<Option<(std::path::PathBuf, Vec<u8>)>, Error> {
    let start = Instant::now();
    loop {
        let found = volume::find(Path::new("/sys/block"), Path::new("/dev"))?;
        if found.is_some() || start.elapsed() >= PATIENCE {
            return Ok(found);
        }
        sleep(PAUSE * 10);
    }
}
