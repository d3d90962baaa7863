//! How a path is walked: path_resolution(7).

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("fs":
    links_are_followed_in_the_middle_and_at_the_end,
    loops_fail_with_eloop,
    forty_links_are_followed,
    absolute_links_start_at_the_root,
    dotdot_of_a_link_is_its_target_s_parent,
    dotdot_stops_at_the_root,
    deep_paths_work,
    chroot_changes_the_root,
);

fn links_are_followed_in_the_middle_and_at_the_end() -> Outcome {
    fs::create_dir_all("real/inner")?;
    fs::write("real/inner/file", "x")?;
    symlink("real", "middle")?;
    symlink("middle/inner/file", "end")?;
    check_eq!(fs::read_to_string("middle/inner/file")?, "x");
    check_eq!(fs::read_to_string("end")?, "x");
    check_eq!(fs::canonicalize("end")?, std::env::current_dir()?.join("real/inner/file"));
    Ok(())
}

fn loops_fail_with_eloop() -> Outcome {
    symlink("self", "self")?;
    symlink("b", "a")?;
    symlink("a", "b")?;
    for name in ["self", "a", "b/c"] {
        check_fails!(File::open(name), ELOOP);
    }
    check!(fs::symlink_metadata("self")?.is_symlink());
    Ok(())
}

fn forty_links_are_followed() -> Outcome {
    fs::write("link0", "end")?;
    for index in 1..=41 {
        symlink(format!("link{}", index - 1), format!("link{index}"))?;
    }
    check_eq!(fs::read_to_string("link40")?, "end");
    check_fails!(fs::read_to_string("link41"), ELOOP);
    Ok(())
}

fn absolute_links_start_at_the_root() -> Outcome {
    symlink("/proc/self/stat", "link")?;
    check!(fs::read_to_string("link")?.starts_with(&std::process::id().to_string()));
    Ok(())
}

fn dotdot_of_a_link_is_its_target_s_parent() -> Outcome {
    fs::create_dir_all("a/b")?;
    fs::write("a/file", "parent of the target")?;
    symlink("a/b", "link")?;
    check_eq!(fs::read_to_string("link/../file")?, "parent of the target");
    Ok(())
}

fn dotdot_stops_at_the_root() -> Outcome {
    let root = fs::metadata("/")?;
    let above = fs::metadata("/../../..")?;
    check_eq!((root.ino(), root.dev()), (above.ino(), above.dev()));
    Ok(())
}

fn deep_paths_work() -> Outcome {
    let mut path = std::path::PathBuf::new();
    for _ in 0..200 {
        path.push("directory");
    }
    fs::create_dir_all(&path)?;
    File::create(path.join("file"))?;
    check!(fs::metadata(path.join("file"))?.is_file());
    fs::remove_dir_all("directory")?;
    Ok(())
}

fn chroot_changes_the_root() -> Outcome {
    fs::create_dir_all("root/dir")?;
    fs::write("root/file", "new root")?;
    fs::write("file", "outside")?;
    nix::unistd::chroot("root")?;
    std::env::set_current_dir("/")?;
    check_eq!(fs::read_to_string("/file")?, "new root");
    check_eq!(fs::read_to_string("/../../file")?, "new root");
    check_eq!(std::env::current_dir()?.as_os_str(), "/");
    check_fails!(fs::metadata("/proc"), ENOENT);
    Ok(())
}
