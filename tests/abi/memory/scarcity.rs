//! Kernel objects without end while memory is scarce and in pieces: whoever asks is refused or ended; the machine goes on.
//!
//! As [`super::exhaustion`], these run only in the initramfs.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::WaitStatus;

use super::Mapping;
use super::exhaustion::{free_kib, is_alone, memory_is_back};
use crate::case::{Outcome, cases, check, skip};
use crate::child;

cases!("memory":
    scarce_memory_and_processes_without_end,
    scarce_memory_and_descriptors_without_end,
    scarce_memory_and_names_without_end,
    scarce_memory_and_mappings_without_end,
    scarce_memory_and_sockets_full_of_data,
    scarce_memory_and_events_without_end,
    scarce_memory_and_long_arguments,
);

const PAGE: usize = 4096;
/// What is left free, all of it in single pages.
const LEFT_KIB: u64 = 16 << 10;

/// Takes memory until little is left, and gives every second page of a part back.
fn make_scarce() -> Vec<Mapping> {
    let mut taken = Vec::new();
    while free_kib() > LEFT_KIB {
        let Ok(mapping) = Mapping::anonymous(4 << 20) else { break };
        mapping.touch(1);
        taken.push(mapping);
    }
    for mapping in taken.iter().rev().take(8) {
        for page in (0..mapping.len()).step_by(2 * PAGE) {
            let _ = mapping.advise(page..page + PAGE, MmapAdvise::MADV_DONTNEED);
        }
    }
    taken
}

/// Runs `work`, which asks for more until it is refused, in a child that is ended first of all when memory runs out. The error that it
/// was refused with does not matter, the machine's health does.
fn survives(work: impl FnOnce() -> nix::Result<()>) -> Outcome {
    survives_and(work, || Ok(()))
}

/// As [`survives`]; `clean_up` takes away what the child may have left.
fn survives_and(work: impl FnOnce() -> nix::Result<()>, clean_up: impl FnOnce() -> Outcome) -> Outcome {
    if !is_alone() {
        skip!("not in an initramfs of its own");
    }
    let before = free_kib();
    let child = child::fork(|| {
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let taken = make_scarce();
        let result = work();
        drop(taken);
        match result {
            Ok(()) => 0,
            Err(error) => error as i32,
        }
    })?;
    let status = child.wait()?;
    let is_fine = match status {
        WaitStatus::Exited(_, code) => {
            let refusals =
                [Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::ENOSPC, Errno::E2BIG];
            code == 0 || refusals.contains(&Errno::from_raw(code))
        }
        WaitStatus::Signaled(_, Signal::SIGKILL | Signal::SIGBUS, _) => true,
        _ => false,
    };
    check!(is_fine, "{status:?}");
    // What was refused to one is there for the next.
    check!(child::fork(|| 7)?.exit_code()? == 7);
    clean_up()?;
    memory_is_back(before)
}

/// A child that sleeps until its parent ends.
fn sleeper() -> nix::Result<()> {
    let parent = nix::unistd::getpid();
    child::fork(|| {
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
        // The parent may have ended before that.
        while nix::unistd::getppid() == parent {
            nix::unistd::pause();
        }
        0
    })
    .map(drop)
}

fn scarce_memory_and_processes_without_end() -> Outcome {
    survives(|| {
        loop {
            sleeper()?;
        }
    })
}

fn scarce_memory_and_descriptors_without_end() -> Outcome {
    survives(|| {
        setrlimit(Resource::RLIMIT_NOFILE, 1 << 20, 1 << 20)?;
        // The table is long at once, and a copy of it comes with each child.
        nix::fcntl::fcntl(std::io::stdin(), nix::fcntl::FcntlArg::F_DUPFD((1 << 20) - 1))?;
        for _ in 0..64 {
            sleeper()?;
        }
        loop {
            let (near, far) = nix::unistd::pipe()?;
            std::mem::forget((near, far));
        }
    })
}

fn scarce_memory_and_names_without_end() -> Outcome {
    let folder = std::path::Path::new("/tmp/names");
    let work = || {
        std::fs::create_dir(folder).map_err(errno)?;
        for number in 0.. {
            std::fs::File::create(folder.join(format!("{number}"))).map_err(errno)?;
        }
        Ok(())
    };
    survives_and(work, || Ok(std::fs::remove_dir_all(folder)?))
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

fn scarce_memory_and_mappings_without_end() -> Outcome {
    survives(|| {
        let whole =
            Mapping::new(1 << 30, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS)?;
        let mut result = Ok(());
        for page in (0..whole.len()).step_by(2 * PAGE) {
            result = whole.protect(page..page + PAGE, ProtFlags::PROT_READ);
            if result.is_err() {
                break;
            }
        }
        let _ = std::fs::read("/proc/self/maps");
        whole.punch(PAGE..whole.len() - PAGE)?;
        result
    })
}

fn scarce_memory_and_sockets_full_of_data() -> Outcome {
    survives(|| {
        setrlimit(Resource::RLIMIT_NOFILE, 1 << 16, 1 << 16)?;
        let block = vec![5; 64 << 10];
        let mut pairs: Vec<(OwnedFd, OwnedFd)> = Vec::with_capacity(1 << 15);
        loop {
            let (near, far) =
                socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_NONBLOCK)?;
            loop {
                match nix::unistd::write(&near, &block) {
                    Ok(_) => {}
                    Err(Errno::EAGAIN) => break,
                    Err(error) => return Err(error),
                }
            }
            pairs.push((near, far));
        }
    })
}

fn scarce_memory_and_events_without_end() -> Outcome {
    survives(|| {
        setrlimit(Resource::RLIMIT_NOFILE, 1 << 15, 1 << 15)?;
        let set = Epoll::new(EpollCreateFlags::empty())?;
        let (near, _far) = nix::unistd::pipe()?;
        loop {
            let copy = nix::unistd::dup(&near)?;
            set.add(&copy, EpollEvent::new(EpollFlags::EPOLLIN, copy.as_raw_fd() as u64))?;
            std::mem::forget(copy);
        }
    })
}

fn scarce_memory_and_long_arguments() -> Outcome {
    survives(|| {
        setrlimit(Resource::RLIMIT_STACK, libc::RLIM_INFINITY, libc::RLIM_INFINITY)?;
        let long = CString::new(vec![b'a'; 100 << 10]).map_err(|_| Errno::EINVAL)?;
        let mut arguments = vec![CString::from(c"coffer-abi"), CString::from(c"@exit")];
        for count in 0..60 {
            arguments.push(long.clone());
            if count % 10 != 9 {
                continue;
            }
            let child = child::fork(|| {
                // It fails, or the program ends at once.
                let _ = nix::unistd::execv(c"/proc/self/exe", &arguments);
                0
            })?;
            child.wait()?;
        }
        Ok(())
    })
}
