//! AF_NETLINK: netlink(7), rtnetlink(7).

pub mod conversation;
mod files;
mod link;
mod socket;

use crate::case::Case;

pub const CASES: &[&[Case]] = &[socket::CASES, link::CASES, files::CASES];
