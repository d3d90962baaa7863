//! clone3(2), clone(2) and vfork(2) called directly.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child::exit_now;
use crate::raw::{self, BAD_ADDRESS};

cases!("process":
    clone3_forks,
    clone3_stores_the_tid_in_the_parent,
    clone3_rejects_bad_arguments,
    clone3_gives_a_pidfd,
    clone_thread_needs_shared_memory_and_handlers,
    vfork_lets_the_child_go_first,
);

const SIZE: usize = size_of::<libc::clone_args>();

fn arguments(flags: i32) -> libc::clone_args {
    // SAFETY: all zeroes are valid: every field is an integer.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(flags.unsigned_abs());
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments
}

/// Forks by clone3; the child exits with `code` at once.
fn clone3(arguments: &libc::clone_args, code: i32) -> nix::Result<Pid> {
    let address = std::ptr::from_ref(arguments) as usize;
    // SAFETY: without CLONE_VM this is a fork; the child only exits.
    let pid = unsafe { raw::syscall(libc::SYS_clone3, [address, SIZE]) }?;
    if pid == 0 {
        exit_now(code)
    }
    Ok(Pid::from_raw(i32::try_from(pid).unwrap_or(0)))
}

fn clone3_forks() -> Outcome {
    let pid = clone3(&arguments(0), 17)?;
    check_eq!(waitpid(pid, None)?, WaitStatus::Exited(pid, 17));
    Ok(())
}

fn clone3_stores_the_tid_in_the_parent() -> Outcome {
    let tid = AtomicU32::new(0);
    let mut arguments = arguments(libc::CLONE_PARENT_SETTID);
    arguments.parent_tid = tid.as_ptr() as u64;
    let pid = clone3(&arguments, 0)?;
    check_eq!(tid.load(Ordering::SeqCst), pid.as_raw().unsigned_abs());
    waitpid(pid, None)?;
    Ok(())
}

fn clone3_rejects_bad_arguments() -> Outcome {
    check_fails!(raw::harmless(libc::SYS_clone3, [BAD_ADDRESS, SIZE]), EFAULT);
    check_fails!(raw::harmless(libc::SYS_clone3, [BAD_ADDRESS, 8]), EINVAL);
    check_fails!(raw::harmless(libc::SYS_clone3, [BAD_ADDRESS, 8192]), E2BIG);
    let mut bad = arguments(0);
    bad.exit_signal = 200;
    check_fails!(clone3(&bad, 0), EINVAL);
    Ok(())
}

fn clone3_gives_a_pidfd() -> Outcome {
    let mut number = -1;
    let mut arguments = arguments(libc::CLONE_PIDFD);
    arguments.pidfd = (&raw mut number) as u64;
    let pid = clone3(&arguments, 4)?;
    // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
    let pidfd = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) };
    let mut polled = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), nix::poll::PollFlags::POLLIN)];
    check_eq!(nix::poll::poll(&mut polled, 2000_u16)?, 1);
    check_eq!(waitpid(pid, Some(WaitPidFlag::WNOHANG))?, WaitStatus::Exited(pid, 4));
    Ok(())
}

fn clone_thread_needs_shared_memory_and_handlers() -> Outcome {
    let flags = |bits: i32| bits.unsigned_abs() as usize;
    check_fails!(raw::harmless(libc::SYS_clone, [flags(libc::CLONE_THREAD)]), EINVAL);
    check_fails!(raw::harmless(libc::SYS_clone, [flags(libc::CLONE_SIGHAND)]), EINVAL);
    check_fails!(raw::harmless(libc::SYS_clone, [flags(libc::CLONE_NEWNS | libc::CLONE_FS)]), EINVAL);
    Ok(())
}

fn vfork_lets_the_child_go_first() -> Outcome {
    // A shared page shows the order without relying on what vfork shares; CLONE_VFORK alone makes the parent wait.
    let shared = crate::memory::Mapping::shared(4096)?;
    let flags = (libc::CLONE_VFORK | libc::SIGCHLD).unsigned_abs() as usize;
    // SAFETY: without CLONE_VM this is a fork whose parent waits; the child only sleeps, stores and exits.
    let pid = unsafe { raw::syscall(libc::SYS_clone, [flags, 0, 0, 0, 0]) }?;
    if pid == 0 {
        std::thread::sleep(std::time::Duration::from_millis(30));
        shared.set(0, 1);
        exit_now(6);
    }
    check!(shared.byte(0) == 1, "the parent went on before the child was done");
    let pid = Pid::from_raw(i32::try_from(pid).unwrap_or(0));
    check_eq!(waitpid(pid, None)?, WaitStatus::Exited(pid, 6));
    Ok(())
}
