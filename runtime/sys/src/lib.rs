//! Raw Linux calls that neither std nor rustix offers safely: `clone` into new namespaces, signals as readable
//! bytes, close-on-exec for ranges of descriptors.
//!
//! The only crate of `runtime/` with `unsafe`; everything above it forbids it. Whatever std or rustix can do safely
//! (mount, capabilities, set*id, reboot, pty, …) is called there directly and has no wrapper here.
#![expect(unsafe_code, reason = "this crate is where the runtime's unsafe lives")]

pub mod clone;
pub mod descriptor;
pub mod exec;
pub mod mount;
pub mod seccomp;
pub mod signal;
