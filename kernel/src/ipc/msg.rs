//! Message queues (msgget(2), msgop(2)).

use super::permissions::{READ, WRITE};
use super::trace::Trace;
use super::{Owner, Permissions, objects};
use crate::error::{Errno, Error, Result};
use crate::process::Process;
use crate::process::credentials::{Capability, Credentials};
use crate::process::namespace::ipc::IpcNamespace;
use crate::process::namespace::pid::PidNamespace;
use crate::thread::wait;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::ipc::flags::{IPC_NOWAIT, MSG_COPY, MSG_EXCEPT, MSG_NOERROR};
use coffer_abi_types::ipc::{msginfo, msqid64_ds};
use ostd::sync::{SpinLock, WaitQueue};

/// The most queues of a namespace (kernel.msgmni).
pub const MSGMNI: usize = 32000;
/// The longest message (kernel.msgmax).
pub const MSGMAX: usize = 8192;
/// The most bytes of a new queue (kernel.msgmnb).
pub const MSGMNB: usize = 16384;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is chosen by; positive.
    pub kind: i64,
    /// Its text.
    pub text: Vec<u8>,
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    id: i32,
    state: SpinLock<State>,
    /// Who waits for a message.
    arrived: WaitQueue,
    /// Who waits for room.
    room: WaitQueue,
}

#[derive(Debug)]
struct State {
    permissions: Permissions,
    messages: VecDeque<Message>,
    bytes: usize,
    bytes_max: usize,
    sent_at: i64,
    received_at: i64,
    changed_at: i64,
    last_sender: Trace,
    last_receiver: Trace,
    is_removed: bool,
}

impl objects::Object for Queue {
    fn permissions(&self) -> Permissions {
        self.state.lock().permissions
    }
}

/// msgget(2).
///
/// # Errors
/// As [`super::Objects::get`].
pub fn get(namespace: &IpcNamespace, key: i32, flags: u32, process: &Process) -> Result<i32> {
    let credentials = process.credentials();
    namespace.queues.get(
        key,
        flags,
        &credentials,
        |_| Ok(()),
        |id| {
            let state = State {
                permissions: Permissions::new(key, flags, &credentials),
                messages: VecDeque::new(),
                bytes: 0,
                bytes_max: MSGMNB,
                sent_at: 0,
                received_at: 0,
                changed_at: super::now(),
                last_sender: Trace::default(),
                last_receiver: Trace::default(),
                is_removed: false,
            };
            Ok(Arc::new(Queue {
                id,
                state: SpinLock::new(state),
                arrived: WaitQueue::new(),
                room: WaitQueue::new(),
            }))
        },
    )
}

/// Limits (IPC_INFO) or, with `is_use`, what there is (MSG_INFO).
pub fn info(namespace: &IpcNamespace, is_use: bool) -> msginfo {
    let limits = msginfo {
        msgpool: (MSGMNI * MSGMNB / 1024) as i32,
        msgmap: MSGMNB as i32,
        msgmax: MSGMAX as i32,
        msgmnb: MSGMNB as i32,
        msgmni: MSGMNI as i32,
        msgssz: 16,
        msgtql: MSGMNB as i32,
        msgseg: 0xffff,
        padding: 0,
    };
    if !is_use {
        return limits;
    }
    let all = namespace.queues.all();
    let sum =
        |of: fn(&State) -> usize| all.iter().map(|(_, queue)| of(&queue.state.lock())).sum::<usize>() as i32;
    msginfo {
        msgpool: all.len() as i32,
        msgmap: sum(|state| state.messages.len()),
        msgtql: sum(|state| state.bytes),
        ..limits
    }
}

impl Queue {
    /// msgsnd(2).
    ///
    /// # Errors
    /// EACCES, EAGAIN, EIDRM, ENOMEM; ERESTARTNOHAND on a signal.
    pub fn send(&self, message: Message, flags: u32, process: &Process) -> Result<()> {
        let mut message = Some(message);
        let mut attempt = || {
            let mut state = self.state.lock();
            if state.is_removed {
                return Some(Err(Errno::EIDRM.into()));
            }
            if let Err(error) = state.permissions.check(&process.credentials(), WRITE) {
                return Some(Err(error));
            }
            let len = message.as_ref()?.text.len();
            // As many messages as bytes: empty ones must not fill the machine.
            if state.bytes + len > state.bytes_max || state.messages.len() >= state.bytes_max {
                return None;
            }
            if state.messages.try_reserve(1).is_err() {
                return Some(Err(Errno::ENOMEM.into()));
            }
            state.bytes += len;
            state.messages.extend(message.take());
            state.sent_at = super::now();
            state.last_sender = Trace::of(process);
            Some(Ok(()))
        };
        let sent = match attempt() {
            Some(result) => result,
            None if flags & IPC_NOWAIT != 0 => Err(Errno::EAGAIN.into()),
            None => wait::wait_until(&self.room, None, attempt).unwrap_or(Err(Errno::ERESTARTNOHAND.into())),
        };
        if sent.is_ok() {
            self.arrived.wake_all();
        }
        sent
    }

    /// msgrcv(2): takes the message that `kind` and `flags` choose, if `max` bytes hold its text.
    ///
    /// # Errors
    /// EACCES, E2BIG, EIDRM, EINVAL, ENOMSG; ERESTARTNOHAND on a signal.
    pub fn receive(&self, kind: i64, max: usize, flags: u32, process: &Process) -> Result<Message> {
        if flags & MSG_COPY != 0 && (flags & IPC_NOWAIT == 0 || flags & MSG_EXCEPT != 0) {
            return Err(Errno::EINVAL.into());
        }
        let attempt = || {
            let mut state = self.state.lock();
            if state.is_removed {
                return Some(Err(Errno::EIDRM.into()));
            }
            if let Err(error) = state.permissions.check(&process.credentials(), READ) {
                return Some(Err(error));
            }
            let at = state.choose(kind, flags)?;
            if state.messages.get(at)?.text.len() > max && flags & MSG_NOERROR == 0 {
                return Some(Err(Errno::E2BIG.into()));
            }
            if flags & MSG_COPY != 0 {
                return state.messages.get(at).cloned().map(Ok);
            }
            let message = state.messages.remove(at)?;
            state.bytes -= message.text.len();
            state.received_at = super::now();
            state.last_receiver = Trace::of(process);
            Some(Ok(message))
        };
        let received = match attempt() {
            Some(result) => result,
            None if flags & IPC_NOWAIT != 0 => Err(Errno::ENOMSG.into()),
            None => {
                wait::wait_until(&self.arrived, None, attempt).unwrap_or(Err(Errno::ERESTARTNOHAND.into()))
            }
        };
        if received.is_ok() {
            self.room.wake_all();
        }
        received
    }

    /// IPC_RMID: everybody who waits is told.
    ///
    /// # Errors
    /// EPERM, EINVAL if somebody else was faster.
    pub fn destroy(&self, namespace: &IpcNamespace, credentials: &Credentials) -> Result<()> {
        let permissions = self.state.lock().permissions;
        permissions.check_owner(credentials)?;
        namespace.queues.remove(permissions.key, self.id)?;
        let mut state = self.state.lock();
        state.is_removed = true;
        let left = core::mem::take(&mut state.messages);
        drop(state);
        drop(left);
        self.arrived.wake_all();
        self.room.wake_all();
        Ok(())
    }

    /// IPC_SET: owner and the most bytes.
    ///
    /// # Errors
    /// EPERM.
    pub fn set(&self, owner: Owner, bytes_max: u64, credentials: &Credentials) -> Result<()> {
        let mut state = self.state.lock();
        state.permissions.check_owner(credentials)?;
        let bytes_max = usize::try_from(bytes_max).map_err(|_| Error::new(Errno::EINVAL))?;
        if bytes_max > MSGMNB && !credentials.has(Capability::SysResource) {
            return Err(Errno::EPERM.into());
        }
        state.permissions.set(owner);
        state.bytes_max = bytes_max;
        state.changed_at = super::now();
        drop(state);
        self.room.wake_all();
        Ok(())
    }

    /// IPC_STAT for a reader in `pids`, with a check of `credentials` if there are any.
    ///
    /// # Errors
    /// EACCES.
    pub fn status(&self, credentials: Option<&Credentials>, pids: &Arc<PidNamespace>) -> Result<msqid64_ds> {
        let state = self.state.lock();
        if let Some(credentials) = credentials {
            state.permissions.check(credentials, READ)?;
        }
        Ok(msqid64_ds {
            msg_perm: state.permissions.to_abi(self.id),
            msg_stime: state.sent_at,
            msg_rtime: state.received_at,
            msg_ctime: state.changed_at,
            msg_cbytes: state.bytes as u64,
            msg_qnum: state.messages.len() as u64,
            msg_qbytes: state.bytes_max as u64,
            msg_lspid: state.last_sender.number_in(pids),
            msg_lrpid: state.last_receiver.number_in(pids),
            unused: [0; 2],
        })
    }
}

impl State {
    /// Which message msgrcv(2) means.
    fn choose(&self, kind: i64, flags: u32) -> Option<usize> {
        let mut messages = self.messages.iter();
        if flags & MSG_COPY != 0 {
            return usize::try_from(kind).ok().filter(|at| *at < self.messages.len());
        }
        match kind {
            0 => (!self.messages.is_empty()).then_some(0),
            1.. if flags & MSG_EXCEPT != 0 => messages.position(|message| message.kind != kind),
            1.. => messages.position(|message| message.kind == kind),
            // The first of the lowest kind.
            _ => messages
                .enumerate()
                .filter(|(_, message)| message.kind <= kind.saturating_neg())
                .min_by_key(|(_, message)| message.kind)
                .map(|(at, _)| at),
        }
    }
}
