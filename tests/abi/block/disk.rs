//! A disk as a file: what is written is there when the cache is dropped, up to the last sector and not beyond.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Failure, Outcome, cases, check_eq, check_fails};

cases!("block":
    what_is_written_is_read_from_the_disk,
    a_disk_ends_where_it_says,
    tasks_share_a_disk,
);

/// One of each kind, made by tests/runner/src/abi.rs: zeros, and no whole number of pages.
const DISKS: [&str; 3] = ["vda", "sda", "nvme0n1"];
const SIZE: u64 = (4 << 20) + 3 * SECTOR;
const SECTOR: u64 = 512;

nix::ioctl_none_bad!(drop_cache, 0x1261);
nix::ioctl_read!(size_in_bytes, 0x12, 114, u64);

/// Opens a disk, once it is there: kernels look for some of them while programs run already.
fn open(name: &str) -> Result<File, Failure> {
    let path = Path::new("/dev").join(name);
    let start = Instant::now();
    while !path.exists() && start.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| Failure::wrong(format!("{name}: {error}")))
}

/// Makes what was written durable, and the next read come from the disk.
fn forget(disk: &File) -> Outcome {
    disk.sync_all()?;
    // SAFETY: the descriptor is open, and the call has no argument.
    unsafe { drop_cache(disk.as_raw_fd()) }?;
    Ok(())
}

/// Bytes that tell where they belong.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|index| (index.wrapping_mul(31) ^ index >> 8 ^ seed) as u8 | 1).collect()
}

fn what_is_written_is_read_from_the_disk() -> Outcome {
    for (seed, name) in DISKS.into_iter().enumerate() {
        let disk = open(name)?;
        // Neither at the start of a page nor at the end of one, and longer than one request.
        let (at, data) = (12_345, pattern(seed as u64, 300_000));
        disk.write_all_at(&data, at)?;
        forget(&disk)?;
        let mut read = vec![0xff; data.len() + 2];
        disk.read_exact_at(&mut read, at - 1)?;
        check_eq!((read[0], read[data.len() + 1]), (0, 0));
        if read[1..=data.len()] != data {
            return Err(Failure::wrong(format!("{name} gave other bytes back")));
        }
    }
    Ok(())
}

fn a_disk_ends_where_it_says() -> Outcome {
    for name in DISKS {
        let disk = open(name)?;
        let mut size = 0;
        // SAFETY: the descriptor is open, and `size` is the number that the call writes.
        unsafe { size_in_bytes(disk.as_raw_fd(), &raw mut size) }?;
        check_eq!(size, SIZE);
        let sectors = std::fs::read_to_string(format!("/sys/block/{name}/size"))?;
        check_eq!(sectors.trim(), (SIZE / SECTOR).to_string());

        let last = pattern(7, 3 * SECTOR as usize);
        disk.write_all_at(&last, SIZE - 3 * SECTOR)?;
        check_fails!(disk.write_at(b"beyond", SIZE), ENOSPC);
        forget(&disk)?;
        let mut read = vec![0; 2 * last.len()];
        check_eq!(disk.read_at(&mut read, SIZE - 3 * SECTOR)?, last.len());
        check_eq!(read[..last.len()], last);
        check_eq!(disk.read_at(&mut read, SIZE)?, 0);
    }
    Ok(())
}

fn tasks_share_a_disk() -> Outcome {
    const TASKS: u64 = 4;
    const LEN: u64 = 256 << 10;
    for name in DISKS {
        open(name)?;
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                thread::spawn(move || -> Outcome {
                    let disk = open(name)?;
                    let at = (1 << 20) + task * LEN;
                    for round in 0..4 {
                        let data = pattern(task + 16 * round, LEN as usize);
                        disk.write_all_at(&data, at)?;
                        disk.sync_all()?;
                        let mut read = vec![0; data.len()];
                        disk.read_exact_at(&mut read, at)?;
                        if read != data {
                            return Err(Failure::wrong(format!("{name}: task {task} read another's bytes")));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.join().map_err(|_| Failure::wrong("a task panicked"))??;
        }
        let disk = open(name)?;
        forget(&disk)?;
        for task in 0..TASKS {
            let mut read = vec![0; LEN as usize];
            disk.read_exact_at(&mut read, (1 << 20) + task * LEN)?;
            if read != pattern(task + 48, LEN as usize) {
                return Err(Failure::wrong(format!("{name} has not kept what task {task} wrote")));
            }
        }
    }
    Ok(())
}
