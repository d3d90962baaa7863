//! msgget(2), msgsnd(2), msgrcv(2), msgctl(2): <https://man7.org/linux/man-pages/man2/msgop.2.html>

use crate::context::Context;
use crate::error::{Errno, Result};
use crate::ipc::Owner;
use crate::ipc::msg::{self, MSGMAX, Message};
use crate::syscall::UserPtr;
use coffer_abi_types::ipc::command::{
    IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, MSG_INFO, MSG_STAT, MSG_STAT_ANY,
};
use coffer_abi_types::ipc::msqid64_ds;

/// Of a message's kind, which stands before its text.
const KIND_LEN: usize = size_of::<i64>();

/// msgget(2).
pub fn sys_msgget(key: i32, flags: u32, context: &mut Context<'_>) -> Result<i32> {
    msg::get(&context.thread.namespaces()?.ipc, key, flags, context.process)
}

/// msgsnd(2).
pub fn sys_msgsnd(
    id: i32,
    message: UserPtr<i64>,
    len: usize,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<()> {
    let kind = message.read()?;
    if len > MSGMAX || kind < 1 {
        return Err(Errno::EINVAL.into());
    }
    let text = message.cast_at(KIND_LEN).read_array(len)?;
    let queue = context.thread.namespaces()?.ipc.queues.by_id(id)?;
    queue.send(Message { kind, text }, flags, context.process)
}

/// msgrcv(2).
pub fn sys_msgrcv(
    id: i32,
    message: UserPtr<i64>,
    len: usize,
    kind: i64,
    flags: u32,
    context: &mut Context<'_>,
) -> Result<usize> {
    if isize::try_from(len).is_err() {
        return Err(Errno::EINVAL.into());
    }
    let queue = context.thread.namespaces()?.ipc.queues.by_id(id)?;
    let received = queue.receive(kind, len, flags, context.process)?;
    // As on Linux, a message that cannot be stored is gone.
    let text = received.text.get(..len).unwrap_or(&received.text);
    message.write(&received.kind)?;
    message.cast_at(KIND_LEN).write_array(text)?;
    Ok(text.len())
}

/// msgctl(2).
pub fn sys_msgctl(
    id: i32,
    command: u32,
    buffer: UserPtr<msqid64_ds>,
    context: &mut Context<'_>,
) -> Result<i32> {
    let namespace = &context.thread.namespaces()?.ipc;
    let queues = &namespace.queues;
    let credentials = context.process.credentials();
    let pids = context.process.pid_namespace();
    match command {
        IPC_INFO | MSG_INFO => {
            buffer.cast_at(0).write(&msg::info(namespace, command == MSG_INFO))?;
            Ok(queues.highest())
        }
        MSG_STAT | MSG_STAT_ANY => {
            let (id, queue) = queues.at(id)?;
            buffer.write(&queue.status((command == MSG_STAT).then_some(&*credentials), pids)?)?;
            Ok(id)
        }
        IPC_STAT => buffer.write(&queues.by_id(id)?.status(Some(&credentials), pids)?).map(|()| 0),
        IPC_SET => {
            let new = buffer.read()?;
            queues
                .by_id(id)?
                .set(Owner::said(new.msg_perm, &credentials)?, new.msg_qbytes, &credentials)
                .map(|()| 0)
        }
        IPC_RMID => queues.by_id(id)?.destroy(namespace, &credentials).map(|()| 0),
        _ => Err(Errno::EINVAL.into()),
    }
}
