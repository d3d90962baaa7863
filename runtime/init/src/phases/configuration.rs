//! Configuration: find the disk that has it, or the file that QEMU hands over (fw_cfg), measure it, check it, keep it for the engine.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Instant;

use runtime_config::{Configuration, SIZE_LIMIT, volume};
use runtime_measure::Log;

use super::host::{PATIENCE, PAUSE};
use super::measurement;
use crate::error::Error;

/// Where the engine finds the checked file.
const KEPT: &str = "/run/coffer/coffer.toml";

/// Where the kernel shows what `-fw_cfg name=opt/coffer/coffer.toml,file=…` hands over. In a trust domain there is no such file.
const HANDED_OVER: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/coffer/coffer.toml/raw";

/// The machine's configuration, the default if nothing brings one, and the digest that was measured.
pub fn load(log: &mut Log) -> Result<(Configuration, [u8; 48]), Error> {
    let Some((source, bytes)) = find()? else {
        let digest = measurement::configuration(log, &[])?;
        println!("coffer: no disk has the label {}; the configuration is the default", volume::LABEL);
        return Ok((Configuration::default(), digest));
    };
    let digest = measurement::configuration(log, &bytes)?;
    let configuration = Configuration::parse(&bytes)?;
    println!("coffer: configured by {}", source.display());
    let kept = Path::new(KEPT);
    let folder = kept.parent().unwrap_or(kept);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(kept, bytes))
        .map_err(Error::system(format!("keep the configuration in `{KEPT}`")))?;
    Ok((configuration, digest))
}

/// Looks as long as a disk may take to appear, unless QEMU has handed a file over.
fn find() -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    let start = Instant::now();
    loop {
        let found = match volume::find(Path::new("/sys/block"), Path::new("/dev"))? {
            None => handed_over()?,
            found => found,
        };
        if found.is_some() || start.elapsed() >= PATIENCE {
            return Ok(found);
        }
        sleep(PAUSE * 10);
    }
}

fn handed_over() -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    let read = |file: fs::File| {
        let mut bytes = Vec::new();
        file.take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match fs::File::open(HANDED_OVER).and_then(read) {
        Ok(bytes) => Ok(Some((HANDED_OVER.into(), bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::system(format!("read `{HANDED_OVER}`"))(error)),
    }
}
