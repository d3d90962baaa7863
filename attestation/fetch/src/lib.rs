//! Collateral from where Intel, or a cache in one's own data centre, gives it out: [`Service`] asks for the parts and makes them a bundle,
//! [`Cache`] keeps bundles for the time that they are current.
//!
//! What is fetched is signed, and judged with everything else: a service can withhold it, or give what is older and still current, against
//! which a policy has its floor (`tcb.evaluation-data-number`); it cannot forge it.
#![forbid(unsafe_code)]

mod cache;
mod service;

pub use cache::{Cache, Origin};
pub use service::{FetchError, Service};
