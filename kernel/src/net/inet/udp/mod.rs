//! UDP (RFC 768, udp(7)).
//!
//! A [`UdpSocket`] owns an [`Endpoint`], which is in [`Tables`] from when it has a port on. Datagrams for an address of the same network namespace go
//! straight into the receiver's queue; what nobody takes comes back to the sender as an error, as ICMP would bring it.

mod endpoint;
mod input;
mod receive;
mod send;
mod socket;
mod tables;

pub use input::{input, on_icmp_error};
pub use socket::UdpSocket;
pub use tables::Tables;
pub use tables::report;
