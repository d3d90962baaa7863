//! `/networks/…`

mod connect;
mod create;
mod disconnect;
mod inspect;
mod list;
mod prune;
mod remove;

pub use connect::connect;
pub use create::create;
pub use disconnect::disconnect;
pub use inspect::inspect;
pub use list::list;
pub use prune::prune;
pub use remove::remove;
