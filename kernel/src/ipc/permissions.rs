//! Who may do what to an object (sysvipc(7), "Permissions").

use crate::error::{Errno, Result};
use crate::process::credentials::{Capability, Credentials};
use crate::thread::Thread;
use coffer_abi_types::ipc::ipc64_perm;

/// The permission bits.
const MODE: u32 = 0o777;
/// Reading, for each class of users.
pub const READ: u32 = 0o444;
/// Writing.
pub const WRITE: u32 = 0o222;
/// Executing, which only shared memory has.
pub const EXECUTE: u32 = 0o111;

/// Owner, creator and mode of an object.
#[derive(Clone, Copy, Debug)]
pub struct Permissions {
    /// The key that it was made with.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    creator: (u32, u32),
    /// Nine permission bits, and what shared memory adds.
    pub mode: u32,
}

/// What IPC_SET changes of them.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Owner {
    /// What `caller` says in IPC_SET.
    ///
    /// # Errors
    /// EINVAL for an id that the caller's user namespace does not have.
    pub fn said(perm: ipc64_perm, caller: &Credentials) -> Result<Self> {
        Ok(Self { uid: caller.kernel_uid(perm.uid)?, gid: caller.kernel_gid(perm.gid)?, mode: perm.mode })
    }
}

impl Permissions {
    /// Those of an object that `credentials` make.
    pub fn new(key: i32, flags: u32, credentials: &Credentials) -> Self {
        let (uid, gid) = (credentials.uid[1], credentials.gid[1]);
        Self { key, uid, gid, creator: (uid, gid), mode: flags & MODE }
    }

    /// EACCES unless `credentials` may do what the bits of `wanted` say, in whichever class.
    pub fn check(&self, credentials: &Credentials, wanted: u32) -> Result<()> {
        let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
        let uid = credentials.uid[1];
        let is_member = |gid| gid == credentials.gid[1] || credentials.in_group(gid);
        let granted = if uid == self.uid || uid == self.creator.0 {
            self.mode >> 6
        } else if is_member(self.gid) || is_member(self.creator.1) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted == 0 || has_here(credentials, Capability::IpcOwner) {
            return Ok(());
        }
        Err(Errno::EACCES.into())
    }

    /// EPERM unless `credentials` are the owner's or the creator's (IPC_SET, IPC_RMID).
    pub fn check_owner(&self, credentials: &Credentials) -> Result<()> {
        let uid = credentials.uid[1];
        if uid == self.uid || uid == self.creator.0 || has_here(credentials, Capability::SysAdmin) {
            return Ok(());
        }
        Err(Errno::EPERM.into())
    }

    /// IPC_SET.
    pub fn set(&mut self, owner: Owner) {
        self.uid = owner.uid;
        self.gid = owner.gid;
        self.mode = self.mode & !MODE | owner.mode & MODE;
    }

    /// As IPC_STAT shows them.
    pub fn to_abi(self, id: i32) -> ipc64_perm {
        let reader = Thread::current().map(|thread| thread.process().credentials());
        let user = |uid| reader.as_ref().map_or(uid, |reader| reader.shown_uid(uid));
        let group = |gid| reader.as_ref().map_or(gid, |reader| reader.shown_gid(gid));
        ipc64_perm {
            key: self.key,
            uid: user(self.uid),
            gid: group(self.gid),
            cuid: user(self.creator.0),
            cgid: group(self.creator.1),
            mode: self.mode,
            seq: (id >> super::objects::INDEX_BITS) as u16,
            ..ipc64_perm::default()
        }
    }
}

/// Whether `credentials` have `capability` over the calling thread's namespace, in which it found the object.
pub fn has_here(credentials: &Credentials, capability: Capability) -> bool {
    let namespaces = Thread::current().and_then(|thread| thread.namespaces().ok());
    namespaces.is_some_and(|all| credentials.has_in(all.ipc.owner(), capability))
}
