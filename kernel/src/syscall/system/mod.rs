//! Calls about the system as a whole.

pub mod bpf;
pub mod getrandom;
pub mod hostname;
pub mod reboot;
pub mod sysinfo;
pub mod syslog;
