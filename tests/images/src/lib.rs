//! Container images for the tests, the same bytes each time they are made.
//!
//! [`Layer`] is a file system layer as a list of entries, [`Image`] is layers and a configuration, written as an OCI layout
//! or a docker archive; both become the tar that is attached to a machine. [`small`] and [`debian`] are images that run,
//! [`broken`] those that must be refused.
#![forbid(unsafe_code)]

pub mod broken;
pub mod debian;
mod image;
mod layer;
pub mod small;

pub use image::{Compression, Files, Image};
pub use layer::Layer;
