//! TCP (RFC 9293, tcp(7)).
//!
//! A [`TcpSocket`] owns an [`Endpoint`], which is what others see of it. Between two endpoints of one network namespace nothing is ever lost, so
//! there are no segments between them: [`local`] joins them, and each writes into the other's queue. What one can tell from outside is TCP's:
//! states, half-closing, resets, and a port that waits after a connection. Connections by links are smoltcp's ([`remote`]).

mod connect;
mod device;
mod endpoint;
mod input;
mod listener;
mod local;
mod options;
mod queue;
mod receive;
mod remote;
mod send;
mod socket;
mod tables;

pub use input::{input, on_icmp_error};
pub use socket::TcpSocket;
pub use tables::Tables;
pub use tables::report;
