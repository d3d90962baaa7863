//! The system as a whole (uname(2), sysinfo(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A field of [`utsname`]: at most 64 bytes and a NUL.
pub type uts_field = [u8; 65];

/// What uname(2) fills in.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of uname(2)")]
pub struct utsname {
    pub sysname: uts_field,
    pub nodename: uts_field,
    pub release: uts_field,
    pub version: uts_field,
    pub machine: uts_field,
    pub domainname: uts_field,
}

/// What sysinfo(2) fills in.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of sysinfo(2)")]
pub struct sysinfo {
    pub uptime: i64,
    pub loads: [u64; 3],
    pub totalram: u64,
    pub freeram: u64,
    pub sharedram: u64,
    pub bufferram: u64,
    pub totalswap: u64,
    pub freeswap: u64,
    pub procs: u16,
    pub pad: u16,
    pub pad1: u32,
    pub totalhigh: u64,
    pub freehigh: u64,
    pub mem_unit: u32,
    pub pad2: u32,
}

crate::assert_sizes! { utsname = 390, sysinfo = 112, }
