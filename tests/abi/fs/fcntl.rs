//! fcntl(2) and flock(2): flags, duplicates, locks.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("fs":
    descriptor_flags_read_back,
    status_flags_can_be_changed_in_part,
    dupfd_takes_the_next_number_from_a_floor,
    dup2_replaces_and_dup3_refuses_itself,
    record_locks_keep_others_out,
    record_locks_end_with_any_close,
    record_locks_refuse_to_wait_in_a_circle,
    many_record_locks_leave_a_file_usable,
    open_file_locks_belong_to_the_open_file,
    flock_keeps_others_out,
    a_bad_command_fails_with_einval,
);

fn descriptor_flags_read_back() -> Outcome {
    let file = File::create("file")?;
    check_eq!(fcntl(&file, FcntlArg::F_GETFD)?, FdFlag::FD_CLOEXEC.bits());
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    check_eq!(fcntl(&file, FcntlArg::F_GETFD)?, 0);
    Ok(())
}

fn status_flags_can_be_changed_in_part() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("file")?;
    let flags = || Ok::<_, nix::Error>(OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?));
    check_eq!(flags()? & OFlag::O_ACCMODE, OFlag::O_RDWR);
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_APPEND))?;
    check!(flags()?.contains(OFlag::O_NONBLOCK | OFlag::O_APPEND));
    check_eq!(flags()? & OFlag::O_ACCMODE, OFlag::O_RDWR);
    check!(!flags()?.contains(OFlag::O_CREAT));
    Ok(())
}

fn dupfd_takes_the_next_number_from_a_floor() -> Outcome {
    let file = File::create("file")?;
    let first = fcntl(&file, FcntlArg::F_DUPFD(100))?;
    let second = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(100))?;
    check_eq!((first, second), (100, 101));
    check_fails!(fcntl(&file, FcntlArg::F_DUPFD(1 << 30)), EINVAL);
    Ok(())
}

fn dup2_replaces_and_dup3_refuses_itself() -> Outcome {
    let file = File::create("file")?;
    let mut other = std::os::fd::OwnedFd::from(File::create("other")?);
    nix::unistd::dup2(&file, &mut other)?;
    check_eq!(nix::sys::stat::fstat(&other)?.st_ino, nix::sys::stat::fstat(&file)?.st_ino);
    let number = file.as_raw_fd().unsigned_abs() as usize;
    check_eq!(crate::raw::harmless(libc::SYS_dup2, [number, number])?, number);
    check_fails!(crate::raw::harmless(libc::SYS_dup3, [number, number, 0]), EINVAL);
    check_fails!(crate::raw::harmless(libc::SYS_dup2, [999, number]), EBADF);
    Ok(())
}

fn lock(kind: i32, start: i64, len: i64) -> libc::flock {
    // SAFETY: all zeroes are valid: every field is an integer.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_start, lock.l_len) = (kind as i16, start, len);
    lock
}

fn record_locks_keep_others_out() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("file")?;
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 10, 10)))?;
    child::passes(|| {
        check_fails!(fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_RDLCK, 15, 1))), EAGAIN);
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 20, 5)))?;
        let mut found = lock(libc::F_WRLCK, 0, 0);
        fcntl(&file, FcntlArg::F_GETLK(&mut found))?;
        check_eq!((found.l_type as i32, found.l_start, found.l_len), (libc::F_WRLCK, 10, 10));
        check_eq!(found.l_pid, nix::unistd::getppid().as_raw());
        Ok(())
    })?;
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_UNLCK, 0, 0)))?;
    child::passes(|| {
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
        Ok(())
    })
}

fn record_locks_end_with_any_close() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("file")?;
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
    drop(File::open("file")?);
    child::passes(|| {
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
        Ok(())
    })
}

fn record_locks_refuse_to_wait_in_a_circle() -> Outcome {
    let file = File::create("file")?;
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 1)))?;
    let child = child::fork_case(|| {
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 1, 1)))?;
        fcntl(&file, FcntlArg::F_SETLKW(&lock(libc::F_WRLCK, 0, 1)))?;
        Ok(())
    })?;
    child::until("the child has its lock", || {
        let mut found = lock(libc::F_WRLCK, 1, 1);
        fcntl(&file, FcntlArg::F_GETLK(&mut found))?;
        Ok(i32::from(found.l_type) != libc::F_UNLCK)
    })?;
    child.until_asleep()?;
    check_fails!(fcntl(&file, FcntlArg::F_SETLKW(&lock(libc::F_WRLCK, 1, 1))), EDEADLK);
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_UNLCK, 0, 0)))?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn many_record_locks_leave_a_file_usable() -> Outcome {
    let file = File::create("file")?;
    for record in 0..20_000 {
        match fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, record * 2, 1))) {
            Err(nix::errno::Errno::ENOLCK) => break,
            result => result.map(drop)?,
        }
    }
    child::passes(|| {
        check_fails!(fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 0))), EAGAIN);
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 1, 1)))?;
        Ok(())
    })?;
    // Gaps close, and what was one lock again can be cut.
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
    fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_UNLCK, 5, 1)))?;
    child::passes(|| {
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 5, 1)))?;
        check_fails!(fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 6, 1))), EAGAIN);
        Ok(())
    })
}

fn open_file_locks_belong_to_the_open_file() -> Outcome {
    let file = File::options().read(true).write(true).create_new(true).open("file")?;
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
    let other = File::options().read(true).write(true).open("file")?;
    check_fails!(fcntl(&other, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, 0, 0))), EAGAIN);
    drop(file);
    fcntl(&other, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, 0, 0)))?;
    Ok(())
}

fn flock_keeps_others_out() -> Outcome {
    let first = File::create("file")?;
    let second = File::open("file")?;
    first.lock()?;
    check!(matches!(second.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    first.unlock()?;
    second.lock_shared()?;
    first.lock_shared()?;
    check!(matches!(first.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    // A waiting lock is granted when the holder closes.
    drop(first);
    let child = child::fork(|| i32::from(File::open("file").and_then(|file| file.lock()).is_err()))?;
    child.until_asleep()?;
    second.unlock()?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}

fn a_bad_command_fails_with_einval() -> Outcome {
    check_fails!(crate::raw::harmless(libc::SYS_fcntl, [0, 0x7777, 0]), EINVAL);
    check_fails!(crate::raw::harmless(libc::SYS_fcntl, [999, 1, 0]), EBADF);
    Ok(())
}
