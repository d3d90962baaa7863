//! Readiness (poll(2), select(2), epoll_ctl(2), signalfd(2), inotify(7)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One descriptor of poll(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of poll(2)")]
pub struct pollfd {
    pub fd: i32,
    pub events: u16,
    pub revents: u16,
}

/// One event of epoll_wait(2); packed on x86-64, hence the halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of epoll_event(3type)")]
pub struct epoll_event {
    pub events: u32,
    pub data: [u32; 2],
}

/// The sixth argument of pselect6(2): where the mask is, and its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in select(2)")]
pub struct sigset_argpack {
    pub ss: u64,
    pub ss_len: u64,
}

/// What a signalfd gives.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of signalfd(2)")]
pub struct signalfd_siginfo {
    pub ssi_signo: u32,
    pub ssi_errno: i32,
    pub ssi_code: i32,
    pub ssi_pid: u32,
    pub ssi_uid: u32,
    pub ssi_fd: i32,
    pub ssi_tid: u32,
    pub ssi_band: u32,
    pub ssi_overrun: u32,
    pub ssi_trapno: u32,
    pub ssi_status: i32,
    pub ssi_int: i32,
    pub ssi_ptr: u64,
    pub ssi_utime: u64,
    pub ssi_stime: u64,
    pub ssi_addr: u64,
    pub ssi_addr_lsb: u16,
    pub __pad2: u16,
    pub ssi_syscall: i32,
    pub ssi_call_addr: u64,
    pub ssi_arch: u32,
    pub __pad: [u8; 28],
}

/// The fixed part of an inotify event; `len` bytes of name follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of inotify(7)")]
pub struct inotify_event {
    pub wd: i32,
    pub mask: u32,
    pub cookie: u32,
    pub len: u32,
}

crate::assert_sizes! {
    pollfd = 8, epoll_event = 12, sigset_argpack = 16, signalfd_siginfo = 128, inotify_event = 16,
}

impl epoll_event {
    /// From its parts.
    pub const fn new(events: u32, data: u64) -> Self {
        Self { events, data: [data as u32, (data >> 32) as u32] }
    }

    /// The user's data.
    pub const fn data(&self) -> u64 {
        self.data[0] as u64 | (self.data[1] as u64) << 32
    }
}
