//! `/volumes/…`

mod create;
mod inspect;
mod list;
mod prune;
mod remove;

pub use create::create;
pub use inspect::inspect;
pub use list::list;
pub use prune::prune;
pub use remove::remove;
