//! msgget(2), msgsnd(2), msgrcv(2), msgctl(2).

use std::mem::MaybeUninit;
use std::ptr;

use nix::errno::Errno;

use super::{CREATE, own_key, result};
use crate::case::{Outcome, cases, check_eq, check_fails};
use crate::child;

cases!("ipc":
    msg_are_received_in_order_or_by_kind,
    msg_too_long_stay_or_are_cut,
    msg_wait_for_room_and_for_arrival,
    msg_removal_wakes_sleepers,
    msg_status_counts,
    msg_checks_its_arguments,
);

const NOWAIT: i32 = libc::IPC_NOWAIT;

#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    kind: i64,
    text: [u8; 4096],
}

fn get(key: i32, flags: i32) -> nix::Result<i32> {
    // SAFETY: no pointers are passed.
    result(unsafe { libc::msgget(key, flags) })
}

fn send(id: i32, kind: i64, text: &[u8], flags: i32) -> nix::Result<i32> {
    let mut message = Message { kind, text: [0; 4096] };
    message.text[..text.len()].copy_from_slice(text);
    // SAFETY: the kernel reads a kind and as many bytes as `text` has, which `message` holds.
    result(unsafe { libc::msgsnd(id, (&raw const message).cast(), text.len(), flags) })
}

fn receive(id: i32, kind: i64, max: usize, flags: i32) -> nix::Result<(i64, Vec<u8>)> {
    let mut message = Message { kind: 0, text: [0; 4096] };
    // SAFETY: the kernel writes a kind and at most `max` bytes, which the slice below has been checked to be within.
    let len = unsafe { libc::msgrcv(id, (&raw mut message).cast(), max.min(4096), kind, flags) };
    let len = Errno::result(len)? as usize;
    Ok((message.kind, message.text[..len].to_vec()))
}

fn remove(id: i32) -> nix::Result<i32> {
    // SAFETY: IPC_RMID takes no pointer.
    result(unsafe { libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()) })
}

fn msg_are_received_in_order_or_by_kind() -> Outcome {
    let id = get(libc::IPC_PRIVATE, CREATE)?;
    for (kind, text) in [(3, "three"), (1, "one"), (2, "two"), (1, "one again"), (4, "")] {
        send(id, kind, text.as_bytes(), 0)?;
    }
    let text = |kind, flags| receive(id, kind, 100, flags | NOWAIT).map(|(_, text)| text);
    check_eq!(text(-2, 0)?, b"one");
    check_eq!(text(2, 0)?, b"two");
    check_eq!(receive(id, 0, 100, NOWAIT)?, (3, b"three".to_vec()));
    check_eq!(text(1, 0o20_000)?, b"");
    check_fails!(text(9, 0), ENOMSG);
    check_eq!(text(1, 0)?, b"one again");
    check_fails!(text(0, 0), ENOMSG);
    remove(id)?;
    Ok(())
}

fn msg_too_long_stay_or_are_cut() -> Outcome {
    let id = get(libc::IPC_PRIVATE, CREATE)?;
    send(id, 1, b"long text", 0)?;
    check_fails!(receive(id, 0, 4, NOWAIT), E2BIG);
    check_eq!(receive(id, 0, 4, NOWAIT | libc::MSG_NOERROR)?, (1, b"long".to_vec()));
    check_fails!(receive(id, 0, 100, NOWAIT), ENOMSG);
    remove(id)?;
    Ok(())
}

fn msg_wait_for_room_and_for_arrival() -> Outcome {
    let id = get(libc::IPC_PRIVATE, CREATE)?;
    for _ in 0..4 {
        send(id, 1, &[7; 4096], NOWAIT)?;
    }
    check_fails!(send(id, 1, b"x", NOWAIT), EAGAIN);
    let sender = child::fork(|| i32::from(send(id, 2, b"waited", 0).is_err()))?;
    sender.until_asleep()?;
    check_eq!(receive(id, 1, 4096, 0)?.1.len(), 4096);
    check_eq!(sender.exit_code()?, 0);
    let receiver = child::fork(|| i32::from(receive(id, 3, 100, 0) != Ok((3, b"arrived".to_vec()))))?;
    receiver.until_asleep()?;
    send(id, 3, b"arrived", 0)?;
    check_eq!(receiver.exit_code()?, 0);
    remove(id)?;
    Ok(())
}

fn msg_removal_wakes_sleepers() -> Outcome {
    let id = get(libc::IPC_PRIVATE, CREATE)?;
    let receiver = child::fork(|| i32::from(receive(id, 0, 100, 0) != Err(Errno::EIDRM)))?;
    receiver.until_asleep()?;
    remove(id)?;
    check_eq!(receiver.exit_code()?, 0);
    check_fails!(send(id, 1, b"x", 0), EINVAL);
    Ok(())
}

fn msg_status_counts() -> Outcome {
    let id = get(libc::IPC_PRIVATE, CREATE)?;
    send(id, 1, b"12345", 0)?;
    let mut status = MaybeUninit::<libc::msqid_ds>::zeroed();
    // SAFETY: the kernel writes one structure into memory of its size.
    result(unsafe { libc::msgctl(id, libc::IPC_STAT, status.as_mut_ptr()) })?;
    // SAFETY: zeroed, then written by the kernel; all fields are integers.
    let status = unsafe { status.assume_init() };
    check_eq!((status.msg_qnum, status.msg_qbytes), (1, 16384));
    check_eq!((status.msg_lspid, status.msg_lrpid), (std::process::id().cast_signed(), 0));
    remove(id)?;
    Ok(())
}

fn msg_checks_its_arguments() -> Outcome {
    let key = own_key(5);
    check_fails!(get(key, 0o600), ENOENT);
    let id = get(key, CREATE)?;
    check_eq!(get(key, CREATE)?, id);
    check_fails!(get(key, CREATE | libc::IPC_EXCL), EEXIST);
    check_fails!(send(id, 0, b"x", 0), EINVAL);
    check_fails!(send(-1, 1, b"x", 0), EINVAL);
    let longest = [1u64; 2048];
    // SAFETY: the buffer is larger than a kind and 8193 bytes, which is refused anyway.
    let value = unsafe { libc::msgsnd(id, longest.as_ptr().cast(), 8193, 0) };
    check_fails!(result(value), EINVAL);
    remove(id)?;
    Ok(())
}
