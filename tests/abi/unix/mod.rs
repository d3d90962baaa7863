//! Unix sockets: unix(7).

use crate::case::Case;

mod name;
mod pair;
mod rights;

pub const CASES: &[&[Case]] = &[pair::CASES, name::CASES, rights::CASES];
