//! Networks between namespaces: cables (veth(4)), bridges, routers, address translation.

use crate::case::Case;

mod bridge;
mod cable;
mod dummy;
mod lab;
mod nat;
mod packet;
mod ping;
mod router;

pub const CASES: &[&[Case]] =
    &[cable::CASES, router::CASES, bridge::CASES, dummy::CASES, nat::CASES, packet::CASES, ping::CASES];
