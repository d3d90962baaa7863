//! What language runtimes try out at their start, and what the kernel answers that lacks it.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::sys::signal::Signal;

use crate::case::{Outcome, cases, check_eq, check_fails};
use crate::child;
use crate::raw::harmless;

cases!("process":
    a_proc_directory_stands_for_its_process,
    the_affinity_of_nobody_fails_with_esrch,
    protection_keys_are_checked,
    directory_notification_can_be_called_off,
);

fn number(value: i32) -> usize {
    value as usize
}

fn a_proc_directory_stands_for_its_process() -> Outcome {
    let child = child::fork(|| {
        std::thread::sleep(std::time::Duration::from_secs(20));
        0
    })?;
    let send = |path: &str, signal: i32| -> Outcome<nix::Result<usize>> {
        let directory = File::open(path)?;
        let fd = number(directory.as_raw_fd());
        Ok(harmless(libc::SYS_pidfd_send_signal, [fd, number(signal), 0, 0]))
    };
    check_eq!(send(&format!("/proc/{}", child.pid), 0)?, Ok(0));
    check_fails!(send("/proc", 0)?, EBADF);
    check_fails!(send("/tmp", 0)?, EBADF);
    check_eq!(send(&format!("/proc/{}", child.pid), libc::SIGTERM)?, Ok(0));
    check_eq!(child.end_signal()?, Signal::SIGTERM);
    Ok(())
}

fn the_affinity_of_nobody_fails_with_esrch() -> Outcome {
    let mut mask = [0u64; 16];
    let address = mask.as_mut_ptr().addr();
    // SAFETY: the kernel writes at most the 128 bytes of `mask`.
    let ask =
        |tid: i32| unsafe { crate::raw::syscall(libc::SYS_sched_getaffinity, [number(tid), 128, address]) };
    check_fails!(ask(-1), ESRCH);
    check_fails!(ask(i32::MAX), ESRCH);
    Ok(())
}

fn protection_keys_are_checked() -> Outcome {
    check_fails!(harmless(libc::SYS_pkey_alloc, [1, 0]), EINVAL);
    check_fails!(harmless(libc::SYS_pkey_alloc, [0, 4]), EINVAL);
    check_fails!(harmless(libc::SYS_pkey_free, [15]), EINVAL);
    check_fails!(harmless(libc::SYS_pkey_mprotect, [0x1000, 4096, 0, 15]), EINVAL);
    check_eq!(harmless(libc::SYS_pkey_mprotect, [0x1000, 0, 0, usize::MAX]), Ok(0));
    Ok(())
}

fn directory_notification_can_be_called_off() -> Outcome {
    const F_NOTIFY: usize = 1026;
    const DN_MULTISHOT: usize = 0x8000_0000;
    let ask = |file: &File, events| harmless(libc::SYS_fcntl, [number(file.as_raw_fd()), F_NOTIFY, events]);
    let directory = File::open("/")?;
    check_eq!(ask(&directory, 0), Ok(0));
    check_eq!(ask(&directory, DN_MULTISHOT), Ok(0));
    // Even for what is no directory; watching one is another matter.
    let file = File::open("/proc/self/stat")?;
    check_eq!(ask(&file, 0), Ok(0));
    check_fails!(ask(&file, 1), ENOTDIR);
    Ok(())
}
