//! Container images: read an OCI image layout or a docker-archive, verify every digest, unpack layers for overlayfs.
//!
//! Start at [`Image::open`], which turns a [`Bundle`] (a tar on a disk or a folder) into verified metadata, then
//! [`unpack::unpack`], which writes one layer as a directory; [`Snapshot`] mounts layers over each other. Everything read is untrusted until its digest has
//! matched, and stays hostile after that: a layer can be what its digest says and still try to leave its directory.
//!
//! Plain Linux userland: the image's PID 1 uses it, and host tools reuse it for checks before a boot.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod compression;
pub mod digest;
pub mod docker_archive;
pub mod error;
pub mod frame;
pub mod image;
pub mod layout;
pub mod reference;
pub mod remove;
pub mod snapshot;
pub mod store;
pub mod tar;
#[cfg(test)]
mod testing;
pub mod unpack;

pub use bundle::{Blob, Bundle};
pub use error::Error;
pub use image::{Image, Layer, Named, Selection};
pub use reference::Reference;
pub use remove::remove_tree;
pub use snapshot::Snapshot;
pub use store::Store;
