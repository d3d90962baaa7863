//! tmpfs: its options and its limits (tmpfs(5)).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use nix::mount::{MsFlags, mount, umount};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    tmpfs_takes_its_options,
    tmpfs_is_full_at_its_size,
    tmpfs_is_empty_when_mounted_anew,
    tmpfs_refuses_unknown_options,
    tmpfs_gives_removed_space_back,
);

fn mounted(options: &str) -> nix::Result<()> {
    super::own_mounts()?;
    nix::unistd::mkdir("mounted", nix::sys::stat::Mode::S_IRWXU)?;
    mount(Some("tmpfs"), "mounted", Some("tmpfs"), MsFlags::empty(), Some(options))
}

fn tmpfs_takes_its_options() -> Outcome {
    mounted("mode=1770,uid=5,gid=6,size=4m")?;
    let root = fs::metadata("mounted")?;
    check_eq!((root.mode() & 0o7777, root.uid(), root.gid()), (0o1770, 5, 6));
    let space = nix::sys::statfs::statfs("mounted")?;
    check_eq!(space.blocks() * space.block_size() as u64, 4 << 20);
    Ok(())
}

fn tmpfs_is_full_at_its_size() -> Outcome {
    mounted("size=1m")?;
    let mut file = File::create("mounted/file")?;
    let block = [1; 4096];
    let mut written = 0;
    let error = loop {
        match file.write(&block) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
        check!(written <= 1 << 20);
    };
    check_fails!(Err::<(), _>(error), ENOSPC);
    check_eq!(written, 1 << 20);
    Ok(())
}

fn tmpfs_is_empty_when_mounted_anew() -> Outcome {
    super::own_mounts()?;
    super::mount_tmpfs("mounted")?;
    File::create("mounted/file")?;
    umount("mounted")?;
    mount(Some("tmpfs"), "mounted", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    check_eq!(super::names("mounted")?, Vec::<String>::new());
    Ok(())
}

fn tmpfs_refuses_unknown_options() -> Outcome {
    check_fails!(mounted("nonsense=1"), EINVAL);
    Ok(())
}

fn tmpfs_gives_removed_space_back() -> Outcome {
    mounted("size=2m")?;
    for _ in 0..20 {
        fs::write("mounted/file", vec![3; 1 << 20])?;
        fs::remove_file("mounted/file")?;
    }
    Ok(())
}
