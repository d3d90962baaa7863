//! What concerns the machine as a whole

mod auth;
mod build_prune;
mod disk_usage;
mod events;
mod info;
mod ping;
mod version;

pub use auth::auth;
pub use build_prune::build_prune;
pub use disk_usage::disk_usage;
pub use events::events;
pub use info::info;
pub use ping::ping;
pub use version::{VERSION, version};
