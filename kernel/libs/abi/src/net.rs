//! Sockets (socket(7), unix(7), send(2), recv(2), cmsg(3)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A message of sendmsg(2) and recvmsg(2); pointers are addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of recv(2)")]
pub struct msghdr {
    pub msg_name: u64,
    pub msg_namelen: u32,
    pub __pad0: u32,
    pub msg_iov: u64,
    pub msg_iovlen: u64,
    pub msg_control: u64,
    pub msg_controllen: u64,
    pub msg_flags: u32,
    pub __pad1: u32,
}

/// One of the messages of sendmmsg(2) and recvmmsg(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of sendmmsg(2)")]
pub struct mmsghdr {
    pub msg_hdr: msghdr,
    pub msg_len: u32,
    pub __pad: u32,
}

/// The head of a control message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of cmsg(3)")]
pub struct cmsghdr {
    pub cmsg_len: u64,
    pub cmsg_level: i32,
    pub cmsg_type: i32,
}

/// Who is at the other end (unix(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of unix(7)")]
pub struct ucred {
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

/// SO_LINGER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of socket(7)")]
pub struct linger {
    pub l_onoff: i32,
    pub l_linger: i32,
}

crate::assert_sizes! { msghdr = 56, mmsghdr = 64, cmsghdr = 16, ucred = 12, linger = 8, }

#[expect(missing_docs, reason = "the names of socket(2), send(2), recv(2) and socket(7)")]
mod constants {
    pub const AF_UNSPEC: u16 = 0;
    pub const AF_UNIX: u16 = 1;

    pub const SOCK_STREAM: u32 = 1;
    pub const SOCK_DGRAM: u32 = 2;
    pub const SOCK_RAW: u32 = 3;
    pub const SOCK_SEQPACKET: u32 = 5;
    pub const SOCK_TYPE_MASK: u32 = 0xf;
    pub const SOCK_NONBLOCK: u32 = 0o4000;
    pub const SOCK_CLOEXEC: u32 = 0o2_000_000;

    pub const MSG_OOB: u32 = 0x1;
    pub const MSG_PEEK: u32 = 0x2;
    pub const MSG_CTRUNC: u32 = 0x8;
    pub const MSG_TRUNC: u32 = 0x20;
    pub const MSG_DONTWAIT: u32 = 0x40;
    pub const MSG_EOR: u32 = 0x80;
    pub const MSG_WAITALL: u32 = 0x100;
    pub const MSG_NOSIGNAL: u32 = 0x4000;
    pub const MSG_MORE: u32 = 0x8000;
    pub const MSG_ERRQUEUE: u32 = 0x2000;
    pub const MSG_FASTOPEN: u32 = 0x2000_0000;
    pub const MSG_WAITFORONE: u32 = 0x1_0000;
    pub const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

    pub const SOL_SOCKET: u32 = 1;
    pub const SCM_RIGHTS: i32 = 1;
    pub const SCM_CREDENTIALS: i32 = 2;

    pub const SO_DEBUG: u32 = 1;
    pub const SO_REUSEADDR: u32 = 2;
    pub const SO_TYPE: u32 = 3;
    pub const SO_ERROR: u32 = 4;
    pub const SO_DONTROUTE: u32 = 5;
    pub const SO_BROADCAST: u32 = 6;
    pub const SO_SNDBUF: u32 = 7;
    pub const SO_RCVBUF: u32 = 8;
    pub const SO_KEEPALIVE: u32 = 9;
    pub const SO_OOBINLINE: u32 = 10;
    pub const SO_PRIORITY: u32 = 12;
    pub const SO_LINGER: u32 = 13;
    pub const SO_REUSEPORT: u32 = 15;
    pub const SO_PASSCRED: u32 = 16;
    pub const SO_PEERCRED: u32 = 17;
    pub const SO_RCVLOWAT: u32 = 18;
    pub const SO_SNDLOWAT: u32 = 19;
    pub const SO_RCVTIMEO: u32 = 20;
    pub const SO_SNDTIMEO: u32 = 21;
    pub const SO_BINDTODEVICE: u32 = 25;
    pub const SO_TIMESTAMP: u32 = 29;
    pub const SO_ACCEPTCONN: u32 = 30;
    pub const SO_SNDBUFFORCE: u32 = 32;
    pub const SO_RCVBUFFORCE: u32 = 33;
    pub const SO_TIMESTAMPNS: u32 = 35;
    pub const SO_MARK: u32 = 36;
    pub const SO_PROTOCOL: u32 = 38;
    pub const SO_DOMAIN: u32 = 39;
    pub const SO_RXQ_OVFL: u32 = 40;
    pub const SO_INCOMING_CPU: u32 = 49;
    pub const SO_COOKIE: u32 = 57;
    pub const SO_BINDTOIFINDEX: u32 = 62;
}
pub use constants::*;
