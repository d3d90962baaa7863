//! What runs on a machine is measured before it does: PID 1 extends RTMR3 and writes the [`Log`] that explains it (docs/runtime-log.md).
//!
//! RTMR3 is PID 1's alone. The engine, another process, asks for a measurement by its standard input, which is a socket to PID 1 ([`Client`],
//! [`Server`]), and goes on when it has the answer. Where there is no hardware that measures, there is the log and no register ([`Register`]).
#![forbid(unsafe_code)]

mod channel;
mod log;
mod register;

pub use attestation_evidence::{ContainerStart, ImageDigest, Isolation, Mode, RuntimeEvent};
pub use channel::{Client, ClientError, Server, pair};
pub use log::{Log, LogError};
pub use register::{Register, of_machine};
