//! The steps of setting up a container, in the order of `child.rs`. One noun a file.

pub mod cgroup;
pub mod devices;
pub mod directory;
pub mod exec;
pub mod hostname;
pub mod limits;
pub mod mounts;
pub mod paths;
pub mod rootfs;
pub mod seccomp;
pub mod terminal;
pub mod user;
