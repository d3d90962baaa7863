//! futex(2) itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::memory::Mapping;
use crate::raw::{BAD_ADDRESS, harmless};

cases!("thread":
    waiting_for_another_value_fails_with_eagain,
    a_wait_times_out,
    an_absolute_timeout_in_the_past_ends_at_once,
    wake_counts_the_woken,
    shared_memory_wakes_another_process,
    requeue_moves_waiters,
    bitsets_choose_whom_to_wake,
    bad_addresses_fail,
    a_robust_mutex_survives_its_owner,
    the_tid_address_is_cleared_at_exit,
);

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;

fn futex(
    word: &AtomicU32,
    operation: i32,
    value: u32,
    fourth: usize,
    second: usize,
    third: u32,
) -> nix::Result<usize> {
    let operation = operation.unsigned_abs() as usize;
    let arguments = [word.as_ptr() as usize, operation, value as usize, fourth, second, third as usize];
    // SAFETY: the words are live, and so is the time where one is given.
    unsafe { crate::raw::syscall(libc::SYS_futex, arguments) }
}

fn wait(word: &AtomicU32, value: u32, flags: i32, timeout: Option<Duration>) -> nix::Result<usize> {
    let time = timeout.map(nix::sys::time::TimeSpec::from_duration);
    let address = time.as_ref().map_or(0, |time| std::ptr::from_ref(time) as usize);
    futex(word, libc::FUTEX_WAIT | flags, value, address, 0, 0)
}

fn wake(word: &AtomicU32, count: u32, flags: i32) -> nix::Result<usize> {
    futex(word, libc::FUTEX_WAKE | flags, count, 0, 0, 0)
}

fn waiting_for_another_value_fails_with_eagain() -> Outcome {
    let word = AtomicU32::new(1);
    check_fails!(wait(&word, 0, PRIVATE, None), EAGAIN);
    check_fails!(wait(&word, 0, 0, None), EAGAIN);
    check_eq!(wake(&word, 1, PRIVATE)?, 0);
    Ok(())
}

fn a_wait_times_out() -> Outcome {
    let word = AtomicU32::new(0);
    let start = Instant::now();
    check_fails!(wait(&word, 0, PRIVATE, Some(Duration::from_millis(50))), ETIMEDOUT);
    check!(start.elapsed() >= Duration::from_millis(50), "after {:?}", start.elapsed());
    check!(start.elapsed() < Duration::from_secs(2), "after {:?}", start.elapsed());
    Ok(())
}

fn an_absolute_timeout_in_the_past_ends_at_once() -> Outcome {
    let word = AtomicU32::new(0);
    let time = nix::sys::time::TimeSpec::new(0, 1);
    let address = std::ptr::from_ref(&time) as usize;
    let operation = libc::FUTEX_WAIT_BITSET | PRIVATE;
    check_fails!(futex(&word, operation, 0, address, 0, u32::MAX), ETIMEDOUT);
    check_fails!(futex(&word, operation | libc::FUTEX_CLOCK_REALTIME, 0, address, 0, u32::MAX), ETIMEDOUT);
    check_fails!(futex(&word, operation, 0, 0, 0, 0), EINVAL);
    Ok(())
}

/// Starts `count` threads that wait on the word, runs `body` once they all sleep, and joins them.
fn with_waiters(count: usize, word: &AtomicU32, body: impl FnOnce() -> Outcome) -> Outcome {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while word.load(Ordering::SeqCst) == 0
                    && wait(word, 0, PRIVATE, Some(Duration::from_secs(5))).is_err()
                {}
            });
        }
        // No call tells how many wait; a wake of none does not, so the case gives them time.
        thread::sleep(Duration::from_millis(60));
        let outcome = body();
        word.store(1, Ordering::SeqCst);
        let _ = wake(word, u32::MAX >> 1, PRIVATE);
        outcome
    })
}

fn wake_counts_the_woken() -> Outcome {
    let word = AtomicU32::new(0);
    with_waiters(5, &word, || {
        check_eq!(wake(&word, 2, PRIVATE)?, 2);
        check_eq!(wake(&word, 100, PRIVATE)?, 3);
        check_eq!(wake(&word, 100, PRIVATE)?, 0);
        Ok(())
    })
}

/// The first word of a mapping.
fn word_of(memory: &Mapping) -> &AtomicU32 {
    // SAFETY: the mapping is aligned, large enough, and lives as long as the reference; all access is atomic.
    unsafe { &*(memory.address() as *const AtomicU32) }
}

fn shared_memory_wakes_another_process() -> Outcome {
    let memory = Mapping::shared(4096)?;
    let word = word_of(&memory);
    let child = child::fork(|| {
        while word.load(Ordering::SeqCst) == 0 {
            let _ = wait(word, 0, 0, Some(Duration::from_secs(5)));
        }
        i32::try_from(word.load(Ordering::SeqCst)).unwrap_or(0)
    })?;
    child.until_asleep()?;
    word.store(6, Ordering::SeqCst);
    check_eq!(wake(word, 1, 0)?, 1);
    check_eq!(child.exit_code()?, 6);
    Ok(())
}

fn requeue_moves_waiters() -> Outcome {
    let (first, second) = (AtomicU32::new(0), AtomicU32::new(0));
    let target = second.as_ptr() as usize;
    with_waiters(4, &first, || {
        // Wake one, move the other three.
        let moved = futex(&first, libc::FUTEX_CMP_REQUEUE | PRIVATE, 1, 100, target, 0)?;
        check_eq!(moved, 4);
        check_fails!(futex(&first, libc::FUTEX_CMP_REQUEUE | PRIVATE, 1, 100, target, 9), EAGAIN);
        check_eq!(wake(&first, 100, PRIVATE)?, 0);
        first.store(1, Ordering::SeqCst);
        check_eq!(wake(&second, 100, PRIVATE)?, 3);
        Ok(())
    })
}

fn bitsets_choose_whom_to_wake() -> Outcome {
    let (word, woken) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for bits in [1, 2, 4] {
            let (word, woken) = (&word, &woken);
            scope.spawn(move || {
                if futex(word, libc::FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, bits).is_ok() {
                    woken.fetch_or(bits, Ordering::SeqCst);
                }
            });
        }
        thread::sleep(Duration::from_millis(60));
        let operation = libc::FUTEX_WAKE_BITSET | PRIVATE;
        let result = (|| {
            check_eq!(futex(&word, operation, 100, 0, 0, 2)?, 1);
            child::until("the second is awake", || Ok(woken.load(Ordering::SeqCst) == 2))
        })();
        let _ = futex(&word, operation, 100, 0, 0, u32::MAX);
        result
    })
}

fn bad_addresses_fail() -> Outcome {
    check_fails!(harmless(libc::SYS_futex, [BAD_ADDRESS, 0, 0, 0, 0, 0]), EFAULT);
    check_fails!(harmless(libc::SYS_futex, [BAD_ADDRESS + 1, 0, 0, 0, 0, 0]), EINVAL);
    check_fails!(harmless(libc::SYS_futex, [crate::raw::KERNEL_ADDRESS, 0, 0, 0, 0, 0]), EFAULT);
    check_fails!(harmless(libc::SYS_futex, [BAD_ADDRESS, 99, 0, 0, 0, 0]), ENOSYS);
    Ok(())
}

fn a_robust_mutex_survives_its_owner() -> Outcome {
    let memory = Mapping::shared(4096)?;
    let mutex = memory.start().as_ptr().cast::<libc::pthread_mutex_t>();
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: initialises a live local.
    unsafe { libc::pthread_mutexattr_init(attributes) };
    // SAFETY: the attributes are initialised.
    unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
    // SAFETY: as above.
    check_eq!(unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) }, 0);
    // SAFETY: the mapping is large enough for a mutex and nothing else uses it.
    check_eq!(unsafe { libc::pthread_mutex_init(mutex, attributes) }, 0);
    let child = child::fork(|| {
        // SAFETY: the mutex is initialised and shared.
        unsafe { libc::pthread_mutex_lock(mutex) }
    })?;
    check_eq!(child.exit_code()?, 0);
    // SAFETY: the mutex is initialised and shared.
    check_eq!(unsafe { libc::pthread_mutex_lock(mutex) }, libc::EOWNERDEAD);
    // SAFETY: this thread has the lock.
    check_eq!(unsafe { libc::pthread_mutex_consistent(mutex) }, 0);
    // SAFETY: as above.
    check_eq!(unsafe { libc::pthread_mutex_unlock(mutex) }, 0);
    Ok(())
}

fn the_tid_address_is_cleared_at_exit() -> Outcome {
    let memory = Mapping::shared(4096)?;
    let word = word_of(&memory);
    word.store(77, Ordering::SeqCst);
    // Another thread keeps the child's memory in use: the word of a process that leaves its memory alone stays.
    let child = child::fork(|| {
        let address = word.as_ptr() as usize;
        thread::spawn(move || {
            // SAFETY: the word stays mapped; the kernel writes it when this thread ends.
            let _ = unsafe { crate::raw::syscall(libc::SYS_set_tid_address, [address]) };
            // SAFETY: ends this thread only, as the case wants it.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
        while word.load(Ordering::SeqCst) == 77 {
            let _ = wait(word, 77, 0, Some(Duration::from_secs(5)));
        }
        i32::from(word.load(Ordering::SeqCst) != 0)
    })?;
    check_eq!(child.exit_code()?, 0);
    Ok(())
}
