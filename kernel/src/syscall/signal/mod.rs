//! Calls about signals.

pub mod altstack;
pub mod kill;
pub mod queue;
pub mod sigaction;
pub mod sigmask;
pub mod sigreturn;
pub mod sigwait;

use crate::error::{Errno, Error, Result};
use crate::signal::Signal;

/// The only size of a signal set that there is.
const SET_LEN: usize = 8;

fn check_set_len(len: usize) -> Result<()> {
    if len == SET_LEN { Ok(()) } else { Err(Error::with(Errno::EINVAL, "a signal set has 8 bytes")) }
}

fn signal(number: i32) -> Result<Signal> {
    Signal::new(number).ok_or(Errno::EINVAL.into())
}

/// 0 only asks whether the target is there.
fn signal_or_question(number: i32) -> Result<Option<Signal>> {
    if number == 0 { Ok(None) } else { signal(number).map(Some) }
}
