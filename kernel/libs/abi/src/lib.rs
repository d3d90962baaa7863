//! Structures and constants that the Linux ABI for x86-64 gives to user space, in C spelling (rule 19). One file an area; every
//! structure is plain old data (no padding that leaks) with its size asserted.
#![no_std]
#![forbid(unsafe_code)]
#![expect(non_camel_case_types, reason = "the names that user space knows them by")]

pub mod aio;
pub mod event;
pub mod fs;
pub mod futex;
pub mod inet;
pub mod ipc;
pub mod mman;
pub mod net;
pub mod netdevice;
pub mod netlink;
pub mod packet;
pub mod process;
pub mod sched;
pub mod signal;
pub mod system;
pub mod time;
pub mod tty;

/// Asserts the size of each structure when the crate is built.
#[macro_export]
macro_rules! assert_sizes {
    ($($type:ty = $size:literal,)*) => {
        $(const _: () = assert!(size_of::<$type>() == $size);)*
    };
}
