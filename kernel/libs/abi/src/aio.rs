//! Native asynchronous I/O (io_submit(2)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A request.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of io_submit(2)")]
pub struct iocb {
    pub aio_data: u64,
    pub aio_key: u32,
    pub aio_rw_flags: u32,
    pub aio_lio_opcode: u16,
    pub aio_reqprio: i16,
    pub aio_fildes: u32,
    pub aio_buf: u64,
    pub aio_nbytes: u64,
    pub aio_offset: i64,
    pub aio_reserved2: u64,
    pub aio_flags: u32,
    pub aio_resfd: u32,
}

/// What a request has come to.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields of io_getevents(2)")]
pub struct io_event {
    pub data: u64,
    pub obj: u64,
    pub res: i64,
    pub res2: i64,
}

crate::assert_sizes! { iocb = 64, io_event = 32, }

#[expect(missing_docs, reason = "the names of io_submit(2)")]
mod names {
    pub const IOCB_CMD_PREAD: u16 = 0;
    pub const IOCB_CMD_PWRITE: u16 = 1;
    pub const IOCB_CMD_FSYNC: u16 = 2;
    pub const IOCB_CMD_FDSYNC: u16 = 3;
    pub const IOCB_CMD_PREADV: u16 = 7;
    pub const IOCB_CMD_PWRITEV: u16 = 8;
    pub const IOCB_FLAG_RESFD: u32 = 1;
    pub const IOCB_FLAG_IOPRIO: u32 = 2;
}
pub use names::*;
