//! Who a process is: user and group ids, capabilities, and the user namespace that these count in (credentials(7), capabilities(7)).
//!
//! All ids are the initial user namespace's ([`super::namespace::user`]).

use super::Process;
use super::namespace::user::UserNamespace;
use crate::error::{Errno, Error, Result};
use crate::fs::vfs::inode::Inode;
use crate::fs::vfs::mount::MountFlags;
use crate::fs::vfs::place::Path;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Credentials: immutable; a change makes a new value.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Real, effective, saved, file-system user id.
    pub uid: [u32; 4],
    /// Real, effective, saved, file-system group id.
    pub gid: [u32; 4],
    /// Supplementary groups, sorted.
    pub groups: Arc<[u32]>,
    /// Permitted, effective, inheritable, bounding, ambient sets.
    pub capabilities: [u64; 5],
    /// PR_SET_SECUREBITS.
    pub securebits: u32,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privs: bool,
    /// Where the capabilities count.
    pub user: Arc<UserNamespace>,
}

/// A capability's number (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(dead_code, reason = "the list is complete, whoever uses it")]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    LinuxImmutable = 9,
    NetBindService = 10,
    NetBroadcast = 11,
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
    IpcOwner = 15,
    SysModule = 16,
    SysRawio = 17,
    SysChroot = 18,
    SysPtrace = 19,
    SysPacct = 20,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
    Lease = 28,
    AuditWrite = 29,
    AuditControl = 30,
    Setfcap = 31,
    MacOverride = 32,
    MacAdmin = 33,
    Syslog = 34,
    WakeAlarm = 35,
    BlockSuspend = 36,
    AuditRead = 37,
    Perfmon = 38,
    Bpf = 39,
    CheckpointRestore = 40,
}

impl Credentials {
    /// Whether they have `capability` over the machine, and so over everything. Over what a namespace owns: [`Self::has_in`].
    pub fn has(&self, capability: Capability) -> bool {
        self.user.is_initial() && self.has_effective(capability)
    }

    /// Whether the effective set holds `capability`, wherever it counts.
    pub fn has_effective(&self, capability: Capability) -> bool {
        self.capabilities[set::EFFECTIVE] & (1 << capability as u8) != 0
    }

    /// The file-system user id: who accesses files.
    pub fn fsuid(&self) -> u32 {
        self.uid[3]
    }

    /// The file-system group id.
    pub fn fsgid(&self) -> u32 {
        self.gid[3]
    }

    /// Whether `gid` is the file-system group or one of the supplementary ones.
    pub fn in_group(&self, gid: u32) -> bool {
        gid == self.fsgid() || self.groups.binary_search(&gid).is_ok()
    }
}

/// Indexes into [`Credentials::capabilities`].
pub mod set {
    pub const PERMITTED: usize = 0;
    pub const EFFECTIVE: usize = 1;
    pub const INHERITABLE: usize = 2;
    pub const BOUNDING: usize = 3;
    pub const AMBIENT: usize = 4;
}

/// All capabilities that there are.
pub const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// The securebits flags (capabilities(7), "The securebits flags"); each has its lock one bit to the left.
pub mod securebits {
    pub const NOROOT: u32 = 1;
    pub const NO_SETUID_FIXUP: u32 = 4;
    pub const KEEP_CAPS: u32 = 16;
    pub const NO_CAP_AMBIENT_RAISE: u32 = 64;
    pub const ALL: u32 = 0xff;
    pub const LOCKS: u32 = 0xaa;
}

impl Credentials {
    /// Those of the first process: root with everything.
    pub fn root() -> Self {
        Self {
            uid: [0; 4],
            gid: [0; 4],
            groups: Arc::new([]),
            capabilities: [ALL_CAPABILITIES, ALL_CAPABILITIES, 0, ALL_CAPABILITIES, 0],
            securebits: 0,
            no_new_privs: false,
            user: UserNamespace::initial().clone(),
        }
    }

    /// Whether a program that runs with these after `old` has to distrust its environment (AT_SECURE).
    pub fn is_privileged_over(&self, old: &Self) -> bool {
        self.uid[0] != self.uid[1]
            || self.gid[0] != self.gid[1]
            || (Some(self.uid[0]) != self.root_uid()
                && self.capabilities[set::PERMITTED] & !old.capabilities[set::AMBIENT] != 0
                && self.capabilities[set::PERMITTED] != old.capabilities[set::PERMITTED])
    }

    /// Replaces the four user ids, with what that does to capabilities (capabilities(7), "Effect of user ID changes on capabilities").
    pub fn change_uids(&mut self, uid: [u32; 4]) {
        let old = core::mem::replace(&mut self.uid, uid);
        if self.securebits & securebits::NO_SETUID_FIXUP != 0 {
            return;
        }
        // A namespace without ids has no root: no id is this one.
        let root = self.root_uid().unwrap_or(u32::MAX);
        let had_root = old[..3].contains(&root);
        let has_root = uid[..3].contains(&root);
        if had_root && !has_root {
            if self.securebits & securebits::KEEP_CAPS == 0 {
                self.capabilities[set::PERMITTED] = 0;
                self.capabilities[set::EFFECTIVE] = 0;
            }
            self.capabilities[set::AMBIENT] = 0;
        }
        if old[1] == root && uid[1] != root {
            self.capabilities[set::EFFECTIVE] = 0;
        }
        if old[1] != root && uid[1] == root {
            self.capabilities[set::EFFECTIVE] = self.capabilities[set::PERMITTED];
        }
        self.follow_fsuid(old[3], root);
    }

    /// What a change of the file-system user id alone does (setfsuid(2)).
    fn follow_fsuid(&mut self, old: u32, root: u32) {
        /// CAP_CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE.
        const FILES: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;
        if old == root && self.uid[3] != root {
            self.capabilities[set::EFFECTIVE] &= !FILES;
        }
        if old != root && self.uid[3] == root {
            self.capabilities[set::EFFECTIVE] |= self.capabilities[set::PERMITTED] & FILES;
        }
    }
}

/// The credentials that a program starts with (execve(2); capabilities(7), "Transformation of capabilities during execve()").
///
/// # Errors
/// EPERM: its file asks for capabilities that the bounding set forbids.
pub fn for_program(old: &Credentials, file: &Path, process: &Process) -> Result<Credentials> {
    let mut new = old.clone();
    let inode = file.inode()?;
    let access = inode.access();
    // A file system that belongs to another user namespace says nothing about this one's users.
    let may_raise = !old.no_new_privs
        && !file.mount.flags().contains(MountFlags::NO_SUID)
        && file.mount.super_block().owner().contains(&old.user)
        && process.address_space_is_own();
    let has_names = old.user.uid(access.uid).is_some() && old.user.gid(access.gid).is_some();
    if may_raise && has_names && access.permissions & 0o4000 != 0 {
        new.uid[1] = access.uid;
    }
    // Without group execution the bit means mandatory locking (chmod(2)).
    if may_raise && has_names && access.permissions & 0o2010 == 0o2010 {
        new.gid[1] = access.gid;
    }
    let changes_ids = new.uid[1] != old.uid[1] || new.gid[1] != old.gid[1];
    let root = old.root_uid().unwrap_or(u32::MAX);
    let mut from_file =
        if may_raise { FileCapabilities::of(&**inode, old)? } else { FileCapabilities::default() };
    let has_file = from_file.is_present;
    if old.securebits & securebits::NOROOT == 0 {
        // Root's programs have everything, unless a set-user-ID-root program has capabilities of its own.
        let is_set_uid_root = has_file && old.uid[0] != root && new.uid[1] == root;
        if !is_set_uid_root && (new.uid[0] == root || new.uid[1] == root) {
            from_file.permitted = ALL_CAPABILITIES;
            from_file.inheritable = ALL_CAPABILITIES;
        }
        if !is_set_uid_root && new.uid[1] == root {
            from_file.is_effective = true;
        }
    }
    new.uid[2] = new.uid[1];
    new.uid[3] = new.uid[1];
    new.gid[2] = new.gid[1];
    new.gid[3] = new.gid[1];

    let [_, _, inheritable, bounding, ambient] = old.capabilities;
    let new_ambient = if has_file || changes_ids { 0 } else { ambient };
    let raised = (inheritable & from_file.inheritable) | (from_file.permitted & bounding);
    if has_file && from_file.is_effective && from_file.permitted & !raised != 0 && new.uid[1] != root {
        return Err(Error::with(Errno::EPERM, "the bounding set lacks the file's capabilities"));
    }
    let permitted = raised | new_ambient;
    new.capabilities[set::PERMITTED] = permitted;
    new.capabilities[set::EFFECTIVE] = if from_file.is_effective { permitted } else { new_ambient };
    new.capabilities[set::AMBIENT] = new_ambient;
    new.securebits &= !securebits::KEEP_CAPS;
    Ok(new)
}

/// The attribute `security.capability` as it is kept when `writer` writes `value`: in a user namespace it gives capabilities to programs of that
/// namespace's root only (version 3), whose id outside it then names.
///
/// # Errors
/// EINVAL for one that is no version 2 or 3, or whose root the namespace does not have.
pub fn file_capabilities_from(writer: &Credentials, value: Vec<u8>) -> Result<Vec<u8>> {
    /// Length of version 2; version 3 has four bytes more.
    const LEN: usize = 20;
    const VERSION_3: u32 = 3 << 24;
    /// The flags below the version.
    const FLAGS: u32 = 0x00ff_ffff;
    if writer.user.is_initial() {
        return Ok(value);
    }
    let word =
        |at: usize| value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let magic = word(0).ok_or(Errno::EINVAL)?;
    let root = match (magic >> 24, value.len()) {
        (2, LEN) => 0,
        (3, 24) => word(LEN).ok_or(Errno::EINVAL)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    let root = writer.kernel_uid(root)?;
    let mut kept = (VERSION_3 | magic & FLAGS).to_le_bytes().to_vec();
    kept.extend_from_slice(&value[4..LEN]);
    kept.extend_from_slice(&root.to_le_bytes());
    Ok(kept)
}

/// What `security.capability` says.
#[derive(Clone, Copy, Debug, Default)]
struct FileCapabilities {
    permitted: u64,
    inheritable: u64,
    is_effective: bool,
    is_present: bool,
}

impl FileCapabilities {
    /// Reads the attribute of a file (capabilities(7), "File capability extended attribute versioning"); one that is for another user
    /// namespace than `credentials`' or one around it counts as absent.
    fn of(inode: &dyn Inode, credentials: &Credentials) -> Result<Self> {
        let Ok(bytes) = inode.get_xattr(b"security.capability") else { return Ok(Self::default()) };
        let word = |index: usize| -> Option<u32> {
            let bytes = bytes.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let Some(magic) = word(0) else { return Err(Errno::EINVAL.into()) };
        let (len, has_owner) = match magic >> 24 {
            1 => (12, false),
            2 => (20, false),
            3 => (24, true),
            _ => return Err(Errno::EINVAL.into()),
        };
        if bytes.len() != len {
            return Err(Errno::EINVAL.into());
        }
        let root = if has_owner { word(5).unwrap_or(u32::MAX) } else { 0 };
        let mut namespaces = core::iter::successors(Some(&credentials.user), |namespace| namespace.parent());
        if !namespaces.any(|namespace| namespace.uid(root) == Some(0)) {
            return Ok(Self::default());
        }
        let pair = |low: usize, high: usize| {
            let high = if len > 12 { word(high).unwrap_or(0) } else { 0 };
            u64::from(word(low).unwrap_or(0)) | u64::from(high) << 32
        };
        Ok(Self {
            permitted: pair(1, 3) & ALL_CAPABILITIES,
            inheritable: pair(2, 4) & ALL_CAPABILITIES,
            is_effective: magic & 1 != 0,
            is_present: true,
        })
    }
}
