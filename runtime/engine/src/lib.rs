//! The engine: containers, volumes and networks, with the words and rules of the Docker Engine API but without HTTP.
//!
//! Start at [`Engine`], which has one method for each verb; `api` decodes a request, calls one, and encodes what it returns. Wire types are
//! those of `bollard-stubs`, which are generated from moby's API description. The engine holds no container alive: each has a [`shim`], so
//! that the engine can be killed at any time and goes on from its files when it is started again.
#![forbid(unsafe_code)]

mod cgroup;
pub mod container;
pub mod engine;
pub mod error;
pub mod events;
pub mod evidence;
pub mod exec;
pub mod filters;
pub mod helper;
pub mod images;
mod measure;
pub mod network;
pub mod shim;
mod system;
pub mod time;
pub mod volumes;

pub use bollard_stubs::models;
pub use engine::{Engine, Settings};
pub use error::Error;
pub use filters::Filters;
