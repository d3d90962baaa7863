//! The phases that `sequence.rs` names, one file each.

pub mod container;
pub mod host;
pub mod image;
pub mod layers;
pub mod mounts;
pub mod signals;
