//! The verbs, one file each.

pub mod attest;
pub mod image;
pub mod launch;
pub mod logs;
pub mod ls;
pub mod policy;
pub mod rm;
pub mod stop;
pub mod verify;
