//! Calls on sockets.

pub mod address;
pub mod connect;
pub mod message;
pub mod option;
pub mod receive;
pub mod send;
pub mod socket;

mod control;
