//! statfs(2) and sync(2).

use std::fs::File;

use nix::sys::statfs::{FsType, fstatfs, statfs};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    statfs_tells_the_kind,
    statfs_counts_what_is_used,
    sync_calls_succeed,
);

fn statfs_tells_the_kind() -> Outcome {
    const PROC: FsType = FsType(0x9fa0);
    const TMPFS: FsType = FsType(0x0102_1994);
    const SYSFS: FsType = FsType(0x6265_6572);
    check_eq!(statfs("/proc")?.filesystem_type(), PROC);
    check_eq!(statfs("/sys")?.filesystem_type(), SYSFS);
    super::own_mounts()?;
    super::mount_tmpfs("mounted")?;
    check_eq!(statfs("mounted")?.filesystem_type(), TMPFS);
    check_eq!(fstatfs(File::open("mounted")?)?.filesystem_type(), TMPFS);
    check_eq!(statfs("mounted")?.maximum_name_length(), 255);
    check_fails!(statfs("missing"), ENOENT);
    Ok(())
}

fn statfs_counts_what_is_used() -> Outcome {
    super::own_mounts()?;
    super::mount_tmpfs("mounted")?;
    let before = statfs("mounted")?.blocks_free();
    std::fs::write("mounted/file", vec![1; 1 << 20])?;
    let used = before - statfs("mounted")?.blocks_free();
    check!((256..=300).contains(&used), "{used} blocks for 1 MiB");
    std::fs::remove_file("mounted/file")?;
    check_eq!(statfs("mounted")?.blocks_free(), before);
    Ok(())
}

fn sync_calls_succeed() -> Outcome {
    let file = File::create("file")?;
    file.sync_all()?;
    file.sync_data()?;
    nix::unistd::syncfs(&file)?;
    nix::unistd::sync();
    let (reader, _writer) = nix::unistd::pipe()?;
    check_fails!(nix::unistd::fsync(&reader), EINVAL);
    Ok(())
}
