//! Device nodes: mknod(2) and the memory devices of devtmpfs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    dev_null_swallows_and_gives_nothing,
    dev_zero_gives_zeroes,
    dev_full_is_full,
    dev_urandom_differs,
    a_new_node_reaches_the_same_device,
    an_unknown_device_fails_with_enxio,
    devtmpfs_has_the_usual_nodes,
);

fn dev_null_swallows_and_gives_nothing() -> Outcome {
    let mut null = File::options().read(true).write(true).open("/dev/null")?;
    null.write_all(&[1; 10_000])?;
    check_eq!(null.read(&mut [0; 10])?, 0);
    check_eq!(null.metadata()?.rdev(), makedev(1, 3));
    Ok(())
}

fn dev_zero_gives_zeroes() -> Outcome {
    let mut bytes = [1; 10_000];
    File::open("/dev/zero")?.read_exact(&mut bytes)?;
    check!(bytes.iter().all(|byte| *byte == 0));
    let memory = crate::memory::Mapping::of_file(
        &File::options().read(true).write(true).open("/dev/zero")?,
        0,
        4096,
        nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE,
        nix::sys::mman::MapFlags::MAP_PRIVATE,
    )?;
    memory.set(9, 1);
    check_eq!((memory.byte(8), memory.byte(9)), (0, 1));
    Ok(())
}

fn dev_full_is_full() -> Outcome {
    check_fails!(nix::unistd::write(File::options().write(true).open("/dev/full")?, b"x"), ENOSPC);
    Ok(())
}

fn dev_urandom_differs() -> Outcome {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    File::open("/dev/urandom")?.read_exact(&mut first)?;
    File::open("/dev/random")?.read_exact(&mut second)?;
    check!(first != second && first != [0; 32]);
    Ok(())
}

fn a_new_node_reaches_the_same_device() -> Outcome {
    mknod("zero", SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5))?;
    let mut bytes = [7; 4];
    File::open("zero")?.read_exact(&mut bytes)?;
    check_eq!(bytes, [0; 4]);
    let metadata = fs::metadata("zero")?;
    check!(metadata.file_type().is_char_device());
    check_eq!(metadata.rdev(), makedev(1, 5));
    mknod("plain", SFlag::S_IFREG, Mode::S_IRWXU, 0)?;
    check!(fs::metadata("plain")?.is_file());
    nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
    check!(mknod("x", SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).is_err());
    Ok(())
}

fn an_unknown_device_fails_with_enxio() -> Outcome {
    mknod("char", SFlag::S_IFCHR, Mode::S_IRWXU, makedev(240, 77))?;
    mknod("block", SFlag::S_IFBLK, Mode::S_IRWXU, makedev(240, 77))?;
    check_fails!(File::open("char"), ENXIO);
    check_fails!(File::open("block"), ENXIO);
    Ok(())
}

fn devtmpfs_has_the_usual_nodes() -> Outcome {
    for (name, device) in [
        ("null", (1, 3)),
        ("zero", (1, 5)),
        ("full", (1, 7)),
        ("random", (1, 8)),
        ("urandom", (1, 9)),
        ("tty", (5, 0)),
    ] {
        check_eq!(fs::metadata(format!("/dev/{name}"))?.rdev(), makedev(device.0, device.1));
    }
    check!(fs::metadata("/dev/console")?.file_type().is_char_device());
    Ok(())
}
