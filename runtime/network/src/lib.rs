//! Networks of containers and of the machine itself, by rtnetlink and `/proc/net/coffer/nat`.
//!
//! For containers: [`Network`] says what one is, [`bridge`] makes it, [`endpoint`] connects a container to it, [`publish`] forwards
//! ports, [`pool`] and [`ipam`] choose addresses, [`files`] writes what a container reads in `/etc`,
//! [`resolver`] opens its name server's sockets. For the machine: [`machine`]
//! and [`dhcp`]. What is kept here is in the kernel; records of networks are the engine's. All calls block, for a moment.
#![forbid(unsafe_code)]

pub mod bridge;
pub mod dhcp;
pub mod endpoint;
mod error;
pub mod files;
pub mod ipam;
pub mod machine;
mod nat;
pub mod netlink;
mod network;
pub mod pool;
pub mod publish;
pub mod resolver;

pub use error::Error;
pub use ipnet::Ipv4Net;
pub use netlink::Mac;
pub use network::{Driver, Network};
