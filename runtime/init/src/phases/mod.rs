//! The phases that `sequence.rs` names, one file each.

pub mod configuration;
pub mod container;
pub mod host;
pub mod image;
pub mod layers;
pub mod measurement;
pub mod mounts;
pub mod network;
pub mod services;
pub mod signals;
