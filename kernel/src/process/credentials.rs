//! Who a process is: user and group ids and capabilities (credentials(7), capabilities(7)).

use alloc::sync::Arc;

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
}

/// A capability's number (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names of capabilities(7)")]
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
    /// Whether the effective set holds `capability`.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities[1] & (1 << capability as u8) != 0
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
