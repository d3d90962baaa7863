//! System V objects (sysvipc(7)): shared memory, semaphores, message queues.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A key that names no object.
pub const IPC_PRIVATE: i32 = 0;
/// Flags of shmget, semget, msgget.
pub mod flags {
    pub const IPC_CREAT: u32 = 0o1000;
    pub const IPC_EXCL: u32 = 0o2000;
    pub const IPC_NOWAIT: u32 = 0o4000;
    pub const SHM_HUGETLB: u32 = 0o4000;
    pub const SHM_NORESERVE: u32 = 0o10_000;
    pub const SHM_RDONLY: u32 = 0o10_000;
    pub const SHM_RND: u32 = 0o20_000;
    pub const SHM_REMAP: u32 = 0o40_000;
    pub const SHM_EXEC: u32 = 0o100_000;
    /// In the mode that IPC_STAT shows.
    pub const SHM_DEST: u32 = 0o1000;
    pub const SHM_LOCKED: u32 = 0o2000;
    pub const SEM_UNDO: u16 = 0x1000;
    pub const MSG_NOERROR: u32 = 0o10_000;
    pub const MSG_EXCEPT: u32 = 0o20_000;
    pub const MSG_COPY: u32 = 0o40_000;
}

/// Commands of shmctl, semctl, msgctl.
pub mod command {
    pub const IPC_RMID: u32 = 0;
    pub const IPC_SET: u32 = 1;
    pub const IPC_STAT: u32 = 2;
    pub const IPC_INFO: u32 = 3;
    pub const SHM_LOCK: u32 = 11;
    pub const SHM_UNLOCK: u32 = 12;
    pub const SHM_STAT: u32 = 13;
    pub const SHM_INFO: u32 = 14;
    pub const SHM_STAT_ANY: u32 = 15;
    pub const GETPID: u32 = 11;
    pub const GETVAL: u32 = 12;
    pub const GETALL: u32 = 13;
    pub const GETNCNT: u32 = 14;
    pub const GETZCNT: u32 = 15;
    pub const SETVAL: u32 = 16;
    pub const SETALL: u32 = 17;
    pub const SEM_STAT: u32 = 18;
    pub const SEM_INFO: u32 = 19;
    pub const SEM_STAT_ANY: u32 = 20;
    pub const MSG_STAT: u32 = 11;
    pub const MSG_INFO: u32 = 12;
    pub const MSG_STAT_ANY: u32 = 13;
}

/// Owner and permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct ipc64_perm {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
    pub seq: u16,
    pub padding: [u16; 3],
    pub unused: [u64; 2],
}

/// A segment, for shmctl(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct shmid64_ds {
    pub shm_perm: ipc64_perm,
    pub shm_segsz: u64,
    pub shm_atime: i64,
    pub shm_dtime: i64,
    pub shm_ctime: i64,
    pub shm_cpid: u32,
    pub shm_lpid: u32,
    pub shm_nattch: u64,
    pub unused: [u64; 2],
}

/// A set of semaphores, for semctl(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct semid64_ds {
    pub sem_perm: ipc64_perm,
    pub sem_otime: i64,
    pub unused1: u64,
    pub sem_ctime: i64,
    pub unused2: u64,
    pub sem_nsems: u64,
    pub unused: [u64; 2],
}

/// What mq_open(3), mq_getattr(3) and mq_setattr(3) say of a POSIX message queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct mq_attr {
    pub mq_flags: i64,
    pub mq_maxmsg: i64,
    pub mq_msgsize: i64,
    pub mq_curmsgs: i64,
    pub reserved: [i64; 4],
}

/// A queue, for msgctl(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct msqid64_ds {
    pub msg_perm: ipc64_perm,
    pub msg_stime: i64,
    pub msg_rtime: i64,
    pub msg_ctime: i64,
    pub msg_cbytes: u64,
    pub msg_qnum: u64,
    pub msg_qbytes: u64,
    pub msg_lspid: u32,
    pub msg_lrpid: u32,
    pub unused: [u64; 2],
}

/// Limits of shared memory (IPC_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct shminfo64 {
    pub shmmax: u64,
    pub shmmin: u64,
    pub shmmni: u64,
    pub shmseg: u64,
    pub shmall: u64,
    pub unused: [u64; 4],
}

/// Use of shared memory (SHM_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct shm_info {
    pub used_ids: i32,
    pub padding: u32,
    pub shm_tot: u64,
    pub shm_rss: u64,
    pub shm_swp: u64,
    pub swap_attempts: u64,
    pub swap_successes: u64,
}

/// Limits (IPC_INFO) or use (SEM_INFO) of semaphores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct seminfo {
    pub semmap: i32,
    pub semmni: i32,
    pub semmns: i32,
    pub semmnu: i32,
    pub semmsl: i32,
    pub semopm: i32,
    pub semume: i32,
    pub semusz: i32,
    pub semvmx: i32,
    pub semaem: i32,
}

/// Limits (IPC_INFO) or use (MSG_INFO) of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct msginfo {
    pub msgpool: i32,
    pub msgmap: i32,
    pub msgmax: i32,
    pub msgmnb: i32,
    pub msgmni: i32,
    pub msgssz: i32,
    pub msgtql: i32,
    pub msgseg: u16,
    pub padding: u16,
}

/// An operation of semop(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of the man page")]
pub struct sembuf {
    pub sem_num: u16,
    pub sem_op: i16,
    pub sem_flg: u16,
}

crate::assert_sizes! {
    ipc64_perm = 48, shmid64_ds = 112, semid64_ds = 104, msqid64_ds = 120, shminfo64 = 72, shm_info = 48, seminfo = 40, msginfo = 32,
    sembuf = 6, mq_attr = 64,
}
