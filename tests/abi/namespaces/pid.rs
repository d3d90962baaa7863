//! PID namespaces: pid_namespaces(7).

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, getpid, getppid};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("namespaces":
    the_first_child_is_pid_one,
    pids_outside_cannot_be_seen,
    priorities_outside_cannot_be_set,
    the_end_of_pid_one_ends_all,
    pid_one_adopts_orphans,
    pid_one_ignores_signals_from_inside,
    pid_one_can_wait_for_signals_without_handlers,
    pid_one_dies_of_its_own_faults,
    proc_shows_the_namespace_it_was_mounted_in,
);

/// Runs `body` as PID 1 of a new namespace.
fn as_init(body: impl FnOnce() -> Outcome) -> Outcome {
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        child::passes(body)
    })
}

fn the_first_child_is_pid_one() -> Outcome {
    as_init(|| {
        check_eq!((getpid().as_raw(), getppid().as_raw()), (1, 0));
        let child = child::fork(|| i32::from(getpid().as_raw() != 2 || getppid().as_raw() != 1))?;
        check_eq!(child.pid.as_raw(), 2);
        check_eq!(child.exit_code()?, 0);
        Ok(())
    })
}

fn pids_outside_cannot_be_seen() -> Outcome {
    let outside = getpid();
    as_init(|| {
        check_fails!(kill(outside, None), ESRCH);
        check_fails!(nix::unistd::getsid(Some(outside)), ESRCH);
        Ok(())
    })
}

fn priorities_outside_cannot_be_set() -> Outcome {
    let set = |nice| {
        // SAFETY: takes and gives numbers only.
        check_eq!(unsafe { libc::setpriority(libc::PRIO_USER, 0, nice) }, 0);
        Ok(())
    };
    // SAFETY: as above.
    let own = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let outside = own();
    as_init(|| {
        set(7)?;
        check_eq!(own(), 7);
        Ok(())
    })?;
    check_eq!(own(), outside);
    Ok(())
}

fn the_end_of_pid_one_ends_all() -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        let init = child::fork(|| {
            let started = child::fork(|| {
                nix::unistd::pause();
                0
            });
            i32::from(started.is_err())
        })?;
        check_eq!(init.exit_code()?, 0);
        check_fails!(child::fork(|| 0), ENOMEM);
        Ok(())
    })?;
    drop(writer);
    // Nobody is left who holds the other end.
    check_eq!(nix::unistd::read(&reader, &mut [0])?, 0);
    Ok(())
}

fn pid_one_adopts_orphans() -> Outcome {
    as_init(|| {
        let middle = child::fork(|| {
            let inner = child::fork(|| {
                let adopted = child::until("a new parent", || Ok(getppid().as_raw() == 1));
                if adopted.is_ok() { 7 } else { 8 }
            });
            i32::from(inner.is_err())
        })?;
        check_eq!(middle.exit_code()?, 0);
        check_eq!(wait()?, WaitStatus::Exited(Pid::from_raw(3), 7));
        Ok(())
    })
}

fn pid_one_ignores_signals_from_inside() -> Outcome {
    as_init(|| {
        let child = child::fork(|| {
            let sent = [Signal::SIGTERM, Signal::SIGKILL].map(|signal| kill(Pid::from_raw(1), signal));
            i32::from(sent != [Ok(()), Ok(())])
        })?;
        check_eq!(child.exit_code()?, 0);
        Ok(())
    })?;
    // From outside SIGKILL works.
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        let init = child::fork(|| {
            nix::unistd::pause();
            0
        })?;
        init.kill(Signal::SIGKILL)?;
        check_eq!(init.end_signal()?, Signal::SIGKILL);
        Ok(())
    })
}

fn pid_one_can_wait_for_signals_without_handlers() -> Outcome {
    as_init(|| {
        let mut set = SigSet::empty();
        set.add(Signal::SIGUSR2);
        set.thread_block()?;
        kill(getpid(), Signal::SIGUSR2)?;
        check_eq!(set.wait()?, Signal::SIGUSR2);
        // Its default action comes when it is unblocked: none, for process 1.
        kill(getpid(), Signal::SIGUSR2)?;
        set.thread_unblock()?;
        Ok(())
    })
}

fn pid_one_dies_of_its_own_faults() -> Outcome {
    child::passes(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        let init = child::fork(|| {
            // SAFETY: the page at 0 is never mapped; the fault is what the case is about.
            let value = unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
            i32::from(value)
        })?;
        check_eq!(init.end_signal()?, Signal::SIGSEGV);
        Ok(())
    })
}

fn proc_shows_the_namespace_it_was_mounted_in() -> Outcome {
    as_init(|| {
        crate::fs::own_mounts()?;
        std::fs::create_dir("proc")?;
        mount(Some("proc"), "proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
        let numbers: Vec<u32> = std::fs::read_dir("proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok())
            .collect();
        check_eq!(numbers, [1]);
        check_eq!(std::fs::read_link("proc/self")?.as_os_str(), "1");
        check!(std::fs::read_to_string("proc/1/stat")?.starts_with("1 ("));
        Ok(())
    })
}
