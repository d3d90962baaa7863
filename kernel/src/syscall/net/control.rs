//! Control messages (cmsg(3)): open files and credentials that go along with bytes.

use crate::context::Context;
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::OpenFile;
use crate::net::Incoming;
use crate::net::message::ControlMessage;
use crate::process::Process;
use crate::process::credentials::Capability;
use crate::process::namespace::pid::PidNamespace;
use crate::syscall::{Fd, UserPtr};
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_abi_types::net::{
    MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET, cmsghdr, ucred,
};
use zerocopy::{FromBytes, IntoBytes};

const HEAD: usize = size_of::<cmsghdr>();
/// The most descriptors in one message (Linux: SCM_MAX_FD).
const RIGHTS_MAX: usize = 253;
/// The most bytes of control messages that are taken (Linux: net.core.optmem_max).
const CONTROL_MAX: u64 = 131_072;

/// What a sender sends along.
#[derive(Debug, Default)]
pub struct Control {
    pub rights: Vec<Arc<OpenFile>>,
    pub credentials: Option<ucred>,
    pub others: Vec<ControlMessage>,
}

/// Reads and checks the control messages of a sender.
pub fn read(address: u64, len: u64, context: &Context<'_>) -> Result<Control> {
    let mut control = Control::default();
    if len == 0 {
        return Ok(control);
    }
    if len > CONTROL_MAX {
        return Err(Errno::ENOBUFS.into());
    }
    let bytes = UserPtr::<u8>::new(address as usize).read_array(len as usize)?;
    let mut rest = &bytes[..];
    while let Ok((head, _)) = cmsghdr::read_from_prefix(rest) {
        let end = usize::try_from(head.cmsg_len).ok().filter(|end| (HEAD..=rest.len()).contains(end));
        let end = end.ok_or(Error::new(Errno::EINVAL))?;
        let data = &rest[HEAD..end];
        match (head.cmsg_level as u32, head.cmsg_type) {
            (SOL_SOCKET, SCM_RIGHTS) => add_rights(&mut control.rights, data, context)?,
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                let claimed = ucred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                control.credentials = Some(check_claim(&claimed, context.process)?);
            }
            (SOL_SOCKET, _) => return Err(Errno::EINVAL.into()),
            // Of other levels: the family knows.
            (level, kind) => {
                control.others.push(ControlMessage { level, kind, bytes: Vec::from(data) });
            }
        }
        rest = rest.get(aligned(end)..).unwrap_or_default();
    }
    Ok(control)
}

fn add_rights(rights: &mut Vec<Arc<OpenFile>>, data: &[u8], context: &Context<'_>) -> Result<()> {
    let (fds, _) = data.as_chunks::<4>();
    if rights.len() + fds.len() > RIGHTS_MAX {
        return Err(Errno::EINVAL.into());
    }
    let table = context.process.fds();
    for fd in fds {
        rights.push(table.get(Fd(i32::from_ne_bytes(*fd)))?);
    }
    Ok(())
}

/// A sender may say the truth; more only with capabilities (unix(7)). Returns it in the ids of the initial namespaces.
fn check_claim(claimed: &ucred, process: &Process) -> Result<ucred> {
    let credentials = process.credentials();
    let (uid, gid) = (credentials.kernel_uid(claimed.uid)?, credentials.kernel_gid(claimed.gid)?);
    let namespace = process.pid_namespace();
    let is_true = (claimed.pid == process.id().own()
        || credentials.has_in(namespace.owner(), Capability::SysAdmin))
        && (credentials.uid[..3].contains(&uid) || credentials.has_own(Capability::Setuid))
        && (credentials.gid[..3].contains(&gid) || credentials.has_own(Capability::Setgid));
    if !is_true {
        return Err(Errno::EPERM.into());
    }
    let pid = namespace.find(claimed.pid).ok_or(Errno::ESRCH)?.global();
    Ok(ucred { pid, uid, gid })
}

/// Credentials as the caller's pid and user namespaces know them.
// COMPAT: in an inner pid namespace a process that has ended is 0; on Linux its number stays.
pub fn shown(credentials: ucred, context: &Context<'_>) -> ucred {
    /// Nobody: a socket without a peer.
    const NOBODY: u32 = u32::MAX;
    if credentials.uid == NOBODY {
        return credentials;
    }
    let namespace = context.process.pid_namespace();
    let pid = match namespace.level() {
        0 => credentials.pid,
        _ => PidNamespace::initial().find(credentials.pid).map_or(0, |id| id.number_in(namespace)),
    };
    let own = context.process.credentials();
    ucred { pid, uid: own.shown_uid(credentials.uid), gid: own.shown_gid(credentials.gid) }
}

/// Writes what came along to a receiver's buffer of `room` bytes, and gives it descriptors; returns the bytes used and MSG_CTRUNC if not all fitted.
pub fn write(
    incoming: &mut Incoming,
    address: u64,
    room: u64,
    flags: u32,
    context: &Context<'_>,
) -> Result<(u64, u32)> {
    let mut out =
        Out { address: address as usize, room: usize::try_from(room).unwrap_or(0), used: 0, flags: 0 };
    if let Some(credentials) = incoming.credentials {
        out.put(SOL_SOCKET, SCM_CREDENTIALS, shown(credentials, context).as_bytes(), 1)?;
    }
    for message in &incoming.control {
        out.put(message.level, message.kind, &message.bytes, 1)?;
    }
    let rights = core::mem::take(&mut incoming.rights);
    if !rights.is_empty() {
        let fitting = out.room.saturating_sub(out.used + HEAD) / size_of::<i32>();
        let mut fds: Vec<i32> = Vec::new();
        let count = rights.len();
        for file in rights.into_iter().take(fitting) {
            match context.install(file, flags & MSG_CMSG_CLOEXEC != 0) {
                Ok(fd) => fds.push(fd.0),
                Err(_) => break,
            }
        }
        if fds.len() < count {
            out.flags |= MSG_CTRUNC;
        }
        if !fds.is_empty() {
            out.put(SOL_SOCKET, SCM_RIGHTS, fds.as_bytes(), size_of::<i32>())?;
        }
    }
    Ok((out.used as u64, out.flags))
}

/// A receiver's buffer.
struct Out {
    address: usize,
    room: usize,
    used: usize,
    flags: u32,
}

impl Out {
    /// Adds a message, cut short to whole units of `unit` bytes if there is too little room.
    fn put(&mut self, level: u32, kind: i32, data: &[u8], unit: usize) -> Result<()> {
        let room = self.room - self.used;
        if room < HEAD {
            self.flags |= MSG_CTRUNC;
            return Ok(());
        }
        let fitting = data.len().min((room - HEAD) / unit * unit);
        if fitting < data.len() {
            self.flags |= MSG_CTRUNC;
        }
        let len = HEAD + fitting;
        let head = cmsghdr { cmsg_len: len as u64, cmsg_level: level.cast_signed(), cmsg_type: kind };
        let at = UserPtr::<u8>::new(self.address + self.used);
        at.cast_at(0).write(&head)?;
        at.cast_at::<u8>(HEAD).write_array(&data[..fitting])?;
        self.used += aligned(len).min(room);
        Ok(())
    }
}

/// Control messages start at multiples of 8.
const fn aligned(len: usize) -> usize {
    len.next_multiple_of(8)
}
