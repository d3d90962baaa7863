//! IPv4 (RFC 791, RFC 1122): [`input`] takes packets in, [`protocol`] hands on those for this machine, [`output`] sends; [`route`] and
//! [`address`] are what the tables of [`super::ns`] hold. Headers are read and written by `smoltcp::wire`.

pub mod address;
pub mod forward;
pub mod icmp;
pub mod input;
pub mod output;
pub mod path_mtu;
pub mod protocol;
pub mod reassembly;
pub mod route;

pub use address::Address;
pub use output::Header;
pub use route::{Hints, Route, RouteEntry, RouteKind, Scope};

/// The time to live of what this machine sends (RFC 1700; Linux's ip_default_ttl).
pub const DEFAULT_TTL: u8 = 64;
