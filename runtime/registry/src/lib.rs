//! Images from registries that speak the distribution specification, <https://github.com/opencontainers/distribution-spec>.
//!
//! [`Registries::pull`] (`pull.rs`) finds the manifest for this machine (`manifest.rs`), downloads layers beside each other
//! (`download.rs`) and unpacks them in order into the image store. `client.rs` speaks HTTP, `auth.rs` answers challenges. A registry is
//! not trusted: everything it sends has a limit, and what a digest names must have that digest.
//!
//! TLS is rustls with the graviola provider and Mozilla's roots, besides those that the configuration names. Plain HTTP is spoken
//! only where the configuration says so; a registry cannot redirect from HTTPS to it.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod credentials;
mod download;
mod error;
mod manifest;
mod pull;

pub use client::{Registries, Registry};
pub use credentials::Credentials;
pub use error::Error;
pub use pull::PullEvent;
