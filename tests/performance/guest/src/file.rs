//! Files on tmpfs.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{unlink, write};

use crate::bench::{Bench, EACH, Unit, time};
use crate::cpu::MIB;

/// The file that benchmarks work on. Each makes it anew.
pub const SCRATCH: &CStr = c"/tmp/coffer-ubench";

const BLOCK: usize = 64 << 10;
const A_MIB: Unit = Unit::Rate { bytes: MIB as u32 };

pub const BENCHES: &[Bench] = &[
    Bench { name: "create_unlink_4k", unit: EACH, run: create_unlink },
    Bench { name: "file_write_1m", unit: A_MIB, run: overwrite },
    Bench { name: "file_read_1m", unit: A_MIB, run: read },
];

/// The scratch file, empty before and then of that size.
pub fn scratch(size: usize) -> io::Result<File> {
    let path = SCRATCH.to_str().map_err(io::Error::other)?;
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all(&vec![7; size])?;
    Ok(file)
}

fn create_unlink(count: u64) -> io::Result<Duration> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
    time(count, || {
        let file = open(SCRATCH, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        write(&file, &[7; 4096])?;
        drop(file);
        unlink(SCRATCH).map_err(io::Error::from)
    })
}

fn overwrite(count: u64) -> io::Result<Duration> {
    let (file, block) = (scratch(MIB)?, vec![9; BLOCK]);
    time(count, || (0..MIB).step_by(BLOCK).try_for_each(|offset| file.write_all_at(&block, offset as u64)))
}

fn read(count: u64) -> io::Result<Duration> {
    let (file, mut block) = (scratch(MIB)?, vec![0; BLOCK]);
    time(count, || {
        (0..MIB).step_by(BLOCK).try_for_each(|offset| file.read_exact_at(&mut block, offset as u64))
    })
}
