//! Unix sockets: unix(7).

use crate::case::Case;

mod listener;
mod name;
mod pair;
mod rights;

pub const CASES: &[&[Case]] = &[pair::CASES, name::CASES, listener::CASES, rights::CASES];
