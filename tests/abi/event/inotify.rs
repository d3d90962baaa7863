//! inotify(7), as `tail -f` uses it.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::case::{Outcome, cases, check, check_eq, check_fails};

cases!("event":
    inotify_tells_of_names_that_come_and_go,
    inotify_tells_of_writes_to_a_file,
    inotify_says_how_many_bytes_wait,
);

fn inotify_tells_of_names_that_come_and_go() -> Outcome {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK)?;
    let watch = inotify.add_watch(".", AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE)?;
    check_fails!(inotify.read_events(), EAGAIN);
    fs::File::create("file")?;
    fs::remove_file("file")?;
    let seen: Vec<_> = inotify.read_events()?.into_iter().map(|event| (event.mask, event.name)).collect();
    check_eq!(seen.len(), 2);
    check_eq!((seen[0].0, seen[1].0), (AddWatchFlags::IN_CREATE, AddWatchFlags::IN_DELETE));
    check!(seen.iter().all(|(_, name)| name.as_ref().is_some_and(|name| name == "file")));
    inotify.rm_watch(watch)?;
    Ok(())
}

fn inotify_tells_of_writes_to_a_file() -> Outcome {
    fs::write("file", "")?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK)?;
    inotify.add_watch("file", AddWatchFlags::IN_MODIFY)?;
    fs::write("file", "text")?;
    check!(inotify.read_events()?.iter().any(|event| event.mask.contains(AddWatchFlags::IN_MODIFY)));
    Ok(())
}

nix::ioctl_read_bad!(fionread, libc::FIONREAD, libc::c_int);

fn inotify_says_how_many_bytes_wait() -> Outcome {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK)?;
    inotify.add_watch(".", AddWatchFlags::IN_CREATE)?;
    let waiting = || -> Outcome<i32> {
        let mut bytes = -1;
        // SAFETY: an int is what it writes.
        unsafe { fionread(inotify.as_fd().as_raw_fd(), &mut bytes) }?;
        Ok(bytes)
    };
    check_eq!(waiting()?, 0);
    fs::File::create("file")?;
    // A header, and the name padded to the length of another.
    check_eq!(waiting()?, 32);
    inotify.read_events()?;
    check_eq!(waiting()?, 0);
    Ok(())
}
