//! The verbs, one file each, by noun.

pub mod container;
pub mod exec;
pub mod image;
pub mod network;
pub mod system;
pub mod volume;
