//! Threads as a C library makes them: clone(2) with CLONE_THREAD.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{getpid, gettid};

use crate::case::{Failure, Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("thread":
    threads_share_the_pid_and_have_their_own_tid,
    join_returns_the_value,
    many_threads_come_and_go,
    threads_share_memory_and_descriptors,
    thread_locals_are_separate,
    exit_ends_every_thread,
    a_fault_in_a_thread_ends_the_process,
    a_signal_ends_every_thread,
    fork_in_a_thread_copies_only_that,
    proc_lists_the_threads,
    the_first_thread_may_end_before_the_others,
    abort_in_a_thread_ends_the_process,
);

fn threads_share_the_pid_and_have_their_own_tid() -> Outcome {
    let (pid, tid) = (getpid(), gettid());
    check_eq!(pid, tid);
    let handles: Vec<_> = (0..4).map(|_| thread::spawn(|| (getpid(), gettid()))).collect();
    let mut seen = vec![tid];
    for handle in handles {
        let Ok((thread_pid, thread_tid)) = handle.join() else {
            return Err(Failure::wrong("a thread panicked"));
        };
        check_eq!(thread_pid, pid);
        check!(!seen.contains(&thread_tid));
        seen.push(thread_tid);
    }
    Ok(())
}

fn join_returns_the_value() -> Outcome {
    let text = "moved in".to_owned();
    check!(thread::spawn(move || text + " and out").join().is_ok_and(|text| text == "moved in and out"));
    Ok(())
}

fn many_threads_come_and_go() -> Outcome {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..20 {
        let handles: Vec<_> =
            (0..25).map(|_| thread::spawn(|| COUNT.fetch_add(1, Ordering::Relaxed))).collect();
        check!(handles.into_iter().all(|handle| handle.join().is_ok()));
    }
    check_eq!(COUNT.load(Ordering::Relaxed), 500);
    Ok(())
}

fn threads_share_memory_and_descriptors() -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    let mut bytes = [0; 5];
    thread::scope(|scope| {
        scope.spawn(|| nix::unistd::write(&writer, b"hello"));
        nix::unistd::read(&reader, &mut bytes)
    })?;
    check_eq!(&bytes, b"hello");
    let handle = thread::spawn(move || drop(writer));
    check!(handle.join().is_ok());
    check_eq!(nix::unistd::read(&reader, &mut bytes)?, 0);
    Ok(())
}

fn thread_locals_are_separate() -> Outcome {
    thread_local! { static VALUE: std::cell::Cell<u32> = const { std::cell::Cell::new(7) }; }
    VALUE.set(8);
    let handles: Vec<_> =
        (0..8).map(|value| thread::spawn(move || (VALUE.replace(value), VALUE.get() == value))).collect();
    for handle in handles {
        check!(handle.join().is_ok_and(|seen| seen == (7, true)));
    }
    check_eq!(VALUE.get(), 8);
    Ok(())
}

fn exit_ends_every_thread() -> Outcome {
    let child = child::fork(|| {
        for _ in 0..3 {
            thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
            thread::spawn(|| thread::sleep(Duration::from_secs(60)));
        }
        thread::spawn(|| child::exit_now(33));
        thread::sleep(Duration::from_secs(60));
        0
    })?;
    check_eq!(child.exit_code()?, 33);
    Ok(())
}

fn a_fault_in_a_thread_ends_the_process() -> Outcome {
    let child = child::fork(|| {
        // SAFETY: the access ends the process.
        let handle = thread::spawn(|| unsafe { (64 as *mut u8).write_volatile(1) });
        // SAFETY: puts back the default that the runtime's own handler has replaced.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGSEGV, nix::sys::signal::SigHandler::SigDfl) };
        let _ = handle.join();
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGSEGV);
    Ok(())
}

fn a_signal_ends_every_thread() -> Outcome {
    let child = child::fork(|| {
        for _ in 0..4 {
            thread::spawn(|| thread::sleep(Duration::from_secs(60)));
        }
        thread::sleep(Duration::from_secs(60));
        0
    })?;
    child.until_asleep()?;
    child.kill(Signal::SIGKILL)?;
    check_eq!(child.end_signal()?, Signal::SIGKILL);
    check_fails!(std::fs::metadata(format!("/proc/{}", child.pid)), ENOENT);
    Ok(())
}

fn fork_in_a_thread_copies_only_that() -> Outcome {
    let (sender, receiver) = mpsc::channel::<()>();
    let sleeper = thread::spawn(move || receiver.recv());
    let outcome = thread::spawn(|| {
        child::fork(|| {
            let count = std::fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(0);
            i32::from(count != 1 || getpid() != gettid())
        })
        .map(|child| child.exit_code())
    });
    let Ok(code) = outcome.join() else { return Err(Failure::wrong("the thread panicked")) };
    check_eq!(code??, 0);
    drop(sender);
    check!(sleeper.join().is_ok());
    Ok(())
}

fn proc_lists_the_threads() -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let (done, wait) = mpsc::channel::<()>();
    let handle = thread::Builder::new().name("worker".to_owned()).spawn(move || {
        let _ = sender.send(gettid());
        let _ = wait.recv();
    })?;
    let tid = receiver.recv()?;
    let mut listed = std::fs::read_dir("/proc/self/task")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()?;
    listed.sort_by_key(String::len);
    let mut expected = vec![getpid().to_string(), tid.to_string()];
    expected.sort_by_key(String::len);
    listed.sort();
    expected.sort();
    check_eq!(listed, expected);
    child::until("the thread has its name", || {
        Ok(std::fs::read_to_string(format!("/proc/self/task/{tid}/comm"))? == "worker\n")
    })?;
    drop(done);
    check!(handle.join().is_ok());
    child::until("the thread is gone", || Ok(std::fs::metadata(format!("/proc/self/task/{tid}")).is_err()))
}

fn the_first_thread_may_end_before_the_others() -> Outcome {
    let child = child::fork(|| {
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(50));
            child::exit_now(44);
        });
        // SAFETY: ends only this thread, which holds nothing that the other needs.
        unsafe { libc::syscall(libc::SYS_exit, 1) };
        0
    })?;
    check_eq!(child.exit_code()?, 44);
    Ok(())
}

fn abort_in_a_thread_ends_the_process() -> Outcome {
    let child = child::fork(|| {
        // SAFETY: abort has no preconditions.
        let _ = thread::spawn(|| unsafe { libc::abort() }).join();
        0
    })?;
    check_eq!(child.end_signal()?, Signal::SIGABRT);
    Ok(())
}
