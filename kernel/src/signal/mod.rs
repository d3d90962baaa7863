//! Signals (signal(7)): sending, queues, dispositions, handlers' frames, stopping and continuing.
//!
//! A sender ([`send`]) puts a [`SigInfo`] into a thread's or a process's [`pending::Pending`] and wakes a thread that would take it; the
//! thread itself, on its way back to ring 3, takes it out and acts ([`deliver`]).

pub mod action;
pub mod deliver;
pub mod exception;
pub mod frame;
pub mod info;
pub mod pending;
pub mod permission;
pub mod send;
mod set;
pub mod state;
pub mod stop;

pub use action::{Actions, SigAction};
pub use info::{SigFields, SigInfo};
pub use set::{DefaultAction, SigSet, Signal};
