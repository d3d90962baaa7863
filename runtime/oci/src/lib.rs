//! Containers as the OCI runtime specification describes them, for a kernel that has nothing to hide behind but Linux's ABI.
//!
//! [`spec::build`] makes a runtime `Spec` from an image's configuration and what the user asked for; [`Container`] is
//! created from it, started and waited for. Not here: where the root file system comes from (`runtime-image`), who
//! forwards the streams and reaps (`runtime/init`).
#![forbid(unsafe_code)]

pub mod error;
mod lifecycle;
mod process;
pub mod root;
pub mod spec;
pub mod terminal;
pub mod user;

pub use error::Error;
pub use lifecycle::{Bundle, Container, Exec, ExecStdio, Stdio, open_terminal};
