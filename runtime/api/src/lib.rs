//! The Docker Engine API, as moby 28 serves it: HTTP/1.1 over mutual TLS 1.3, or over a unix socket for development.
//!
//! Beside it, [`evidence`] shows to anybody what the machine is and runs, and `sealed` starts what a sealed machine was given.
//!
//! [`serve`] accepts connections and limits what an unknown client can cost; [`router`] finds the verb; `routes/<noun>/<verb>.rs`
//! each decode a request, call one method of the [`Engine`](coffer_engine::Engine) or of the image store, and encode what it returns.
//! Nothing here knows what a container is. What docker has and Coffer does not (yet) is answered with 501 and one sentence.
#![forbid(unsafe_code)]

pub mod api;
pub mod body;
pub mod call;
pub mod evidence;
pub mod failure;
mod hijack;
pub mod images;
mod main_process;
mod progress;
pub mod router;
mod routes;
mod sealed;
pub mod serve;

pub use api::Api;
pub use main_process::{Options, main, run};

/// The newest version of the API that is served.
pub const NEWEST: call::Version = call::Version { major: 1, minor: 51 };

/// The oldest version that is accepted. Versions before 1.41 are answered as 1.41.
pub const OLDEST: call::Version = call::Version { major: 1, minor: 24 };
