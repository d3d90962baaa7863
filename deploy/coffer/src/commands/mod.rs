//! The verbs, one file each.

pub mod attest;
pub mod connect;
pub mod disconnect;
pub mod image;
pub mod launch;
pub mod logs;
pub mod ls;
pub mod policy;
pub mod proxy;
pub mod rm;
pub mod stop;
pub mod verify;
