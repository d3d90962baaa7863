//! semget(2), semop(2), semctl(2).

use std::time::{Duration, Instant};

use super::{CREATE, own_key, result};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("ipc":
    sem_operations_are_applied_together_or_not_at_all,
    sem_wakes_a_sleeper_and_counts_it,
    sem_undo_is_run_at_the_end_of_a_process,
    sem_removal_wakes_sleepers,
    sem_times_out,
    sem_values_are_set_and_checked,
    sem_checks_its_arguments,
);

const NOWAIT: i16 = libc::IPC_NOWAIT as i16;
const UNDO: i16 = libc::SEM_UNDO as i16;

fn get(key: i32, len: i32, flags: i32) -> nix::Result<i32> {
    // SAFETY: no pointers are passed.
    result(unsafe { libc::semget(key, len, flags) })
}

fn op(sem_num: u16, sem_op: i16, sem_flg: i16) -> libc::sembuf {
    libc::sembuf { sem_num, sem_op, sem_flg }
}

fn operate(id: i32, operations: &mut [libc::sembuf]) -> nix::Result<i32> {
    // SAFETY: the kernel reads as many operations as there are.
    result(unsafe { libc::semop(id, operations.as_mut_ptr(), operations.len()) })
}

/// semctl with a number, or with nothing that counts.
fn control(id: i32, index: i32, command: i32, value: i32) -> nix::Result<i32> {
    // SAFETY: only called with commands that take no pointer.
    result(unsafe { libc::semctl(id, index, command, value) })
}

fn remove(id: i32) -> nix::Result<i32> {
    control(id, 0, libc::IPC_RMID, 0)
}

fn values(id: i32) -> nix::Result<[u16; 2]> {
    let mut values = [0; 2];
    // SAFETY: called for sets of two, whose values the kernel writes.
    result(unsafe { libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()) })?;
    Ok(values)
}

fn sem_operations_are_applied_together_or_not_at_all() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 2, CREATE)?;
    check_eq!(values(id)?, [0, 0]);
    operate(id, &mut [op(0, 3, 0), op(1, 1, 0)])?;
    check_eq!(values(id)?, [3, 1]);
    check_fails!(operate(id, &mut [op(0, -1, 0), op(1, -2, NOWAIT)]), EAGAIN);
    check_eq!(values(id)?, [3, 1]);
    // Later operations see what earlier ones did.
    operate(id, &mut [op(1, -1, 0), op(1, 0, 0), op(1, 5, 0)])?;
    check_eq!(values(id)?, [3, 5]);
    check_fails!(operate(id, &mut [op(0, 1, 0), op(1, 32767, 0)]), ERANGE);
    check_eq!(values(id)?, [3, 5]);
    check_eq!(control(id, 0, libc::GETPID, 0)?, std::process::id().cast_signed());
    remove(id)?;
    Ok(())
}

fn sem_wakes_a_sleeper_and_counts_it() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 2, CREATE)?;
    let waiter = child::fork(|| i32::from(operate(id, &mut [op(0, -2, 0)]).is_err()))?;
    let zero = child::fork(|| i32::from(operate(id, &mut [op(1, 1, 0), op(0, 0, 0), op(0, 0, 0)]).is_err()))?;
    child::until("the first is counted", || Ok(control(id, 0, libc::GETNCNT, 0)? == 1))?;
    check_eq!(zero.exit_code()?, 0);
    operate(id, &mut [op(0, 1, 0)])?;
    let zero = child::fork(|| i32::from(operate(id, &mut [op(0, 0, 0)]).is_err()))?;
    child::until("the second is counted", || Ok(control(id, 0, libc::GETZCNT, 0)? == 1))?;
    check_eq!(control(id, 0, libc::GETNCNT, 0)?, 1);
    operate(id, &mut [op(0, 1, 0)])?;
    check_eq!(waiter.exit_code()?, 0);
    check_eq!(zero.exit_code()?, 0);
    check_eq!((control(id, 0, libc::GETNCNT, 0)?, control(id, 0, libc::GETZCNT, 0)?), (0, 0));
    remove(id)?;
    Ok(())
}

fn sem_undo_is_run_at_the_end_of_a_process() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 2, CREATE)?;
    operate(id, &mut [op(0, 1, 0)])?;
    let holder = child::fork(|| {
        if operate(id, &mut [op(0, -1, UNDO), op(1, 2, UNDO)]).is_err() {
            return 1;
        }
        i32::from(values(id) != Ok([0, 2]))
    })?;
    check_eq!(holder.exit_code()?, 0);
    check_eq!(values(id)?, [1, 0]);
    // SETVAL forgets it.
    let holder = child::fork(|| {
        let result = operate(id, &mut [op(1, 2, UNDO)]).and_then(|_| control(id, 1, libc::SETVAL, 9));
        i32::from(result.is_err())
    })?;
    check_eq!(holder.exit_code()?, 0);
    check_eq!(values(id)?, [1, 9]);
    remove(id)?;
    Ok(())
}

fn sem_removal_wakes_sleepers() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 1, CREATE)?;
    let waiter =
        child::fork(|| i32::from(operate(id, &mut [op(0, -1, 0)]) != Err(nix::errno::Errno::EIDRM)))?;
    waiter.until_asleep()?;
    remove(id)?;
    check_eq!(waiter.exit_code()?, 0);
    check_fails!(operate(id, &mut [op(0, 1, 0)]), EINVAL);
    Ok(())
}

fn sem_times_out() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 1, CREATE)?;
    let start = Instant::now();
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: 30_000_000 };
    let mut operations = [op(0, -1, 0)];
    // SAFETY: one operation and one timespec are read.
    let value =
        unsafe { libc::syscall(libc::SYS_semtimedop, id, operations.as_mut_ptr(), 1, &raw const timeout) };
    check_fails!(result(value as i32), EAGAIN);
    check!(start.elapsed() >= Duration::from_millis(30));
    remove(id)?;
    Ok(())
}

fn sem_values_are_set_and_checked() -> Outcome {
    let id = get(libc::IPC_PRIVATE, 2, CREATE)?;
    check_eq!(control(id, 1, libc::SETVAL, 5)?, 0);
    check_eq!(control(id, 1, libc::GETVAL, 0)?, 5);
    check_fails!(control(id, 1, libc::SETVAL, -1), ERANGE);
    check_fails!(control(id, 1, libc::SETVAL, 32768), ERANGE);
    check_fails!(control(id, 2, libc::SETVAL, 1), EINVAL);
    check_fails!(control(id, -1, libc::GETVAL, 0), EINVAL);
    let mut new = [7u16, 8];
    // SAFETY: the kernel reads two values.
    result(unsafe { libc::semctl(id, 0, libc::SETALL, new.as_mut_ptr()) })?;
    check_eq!(values(id)?, [7, 8]);
    remove(id)?;
    Ok(())
}

fn sem_checks_its_arguments() -> Outcome {
    let key = own_key(4);
    check_fails!(get(key, 0, CREATE), EINVAL);
    check_fails!(get(key, -1, CREATE), EINVAL);
    check_fails!(get(key, 1, 0o600), ENOENT);
    let id = get(key, 1, CREATE)?;
    check_fails!(get(key, 2, 0o600), EINVAL);
    check_fails!(get(key, 1, CREATE | libc::IPC_EXCL), EEXIST);
    check_fails!(operate(id, &mut []), EINVAL);
    check_fails!(operate(id, &mut [op(1, 1, 0)]), EFBIG);
    check_fails!(operate(id, &mut [op(0, 0, 0); 501]), E2BIG);
    check_fails!(operate(-1, &mut [op(0, 1, 0)]), EINVAL);
    remove(id)?;
    Ok(())
}
