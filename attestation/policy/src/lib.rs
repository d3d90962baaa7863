//! Whether evidence that is genuine is also wanted: a [`Policy`], one TOML file, and [`judge`], which holds a verification against it.
//!
//! Without a file, [`Policy::default`] holds: an up-to-date platform, no debugging, nothing that the host declared, no service domain. It
//! lists no images, so it says that hardware is genuine and not what runs on it; [`Judgement::verdict`] says that too.
#![forbid(unsafe_code)]

mod file;
mod judge;

pub use file::{Policy, PolicyError};
pub use judge::{BoundTo, Circumstances, Judgement, judge, judge_plain};
