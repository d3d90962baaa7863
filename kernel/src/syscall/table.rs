//! THE table: number, name, handler, support. Dispatcher, names for logs and `docs/syscalls.md` come from these rows.
//!
//! `full`: every flag and errno that the man page gives. `partial "what is missing"`. `absent "why"`: answers ENOSYS without a log line.
//! Rows are sorted by number (x86-64).

use super::args::Handler;
use super::ipc;
use crate::context::Context;
use crate::error::{Errno, Result};

/// How much of a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "read by `docs` and by names for logs, as rows come to need them")]
pub enum Support {
    /// All of it.
    Full,
    /// What is missing.
    Partial(&'static str),
    /// Why it is not there.
    Absent(&'static str),
}

macro_rules! syscalls {
    ($($number:literal $name:ident $handler:path, $kind:ident $($note:literal)?;)*) => {
        /// Serves call `number`; `None` if there is no such row.
        pub fn dispatch(number: u64, args: &[u64; 6], context: &mut Context<'_>) -> Option<Result<isize>> {
            match number {
                $($number => Some(row!(@call $kind $handler, args, context)),)*
                _ => None,
            }
        }

        /// All rows: number, name, support.
        pub const ROWS: &[(u32, &str, Support)] = &[$(($number, stringify!($name), row!(@support $kind $($note)?)),)*];
    };
}

macro_rules! row {
    (@call absent $handler:path, $args:ident, $context:ident) => {
        Err($handler.into())
    };
    (@call $kind:ident $handler:path, $args:ident, $context:ident) => {
        Handler::serve($handler, $args, $context)
    };
    (@support full) => {
        Support::Full
    };
    (@support partial $note:literal) => {
        Support::Partial($note)
    };
    (@support absent $note:literal) => {
        Support::Absent($note)
    };
}

syscalls! {
    22 pipe ipc::pipe::sys_pipe, full;
    156 _sysctl Errno::ENOSYS, absent "removed in Linux 5.5";
    293 pipe2 ipc::pipe::sys_pipe2, partial "no notification pipes";
}

// Sorted and without doubles, checked when the kernel is built.
const _: () = {
    let mut i = 1;
    while i < ROWS.len() {
        assert!(ROWS[i - 1].0 < ROWS[i].0, "rows of the syscall table must be sorted by number");
        i += 1;
    }
};

/// The name of call `number`, for logs.
pub fn name(number: u64) -> Option<&'static str> {
    ROWS.iter().find(|row| u64::from(row.0) == number).map(|row| row.1)
}
