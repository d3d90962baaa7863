//! `/images/…`

mod blocking;
mod create;
mod history;
mod inspect;
mod list;
mod load;
mod prune;
mod remove;
mod save;
mod tag;
mod tell;

pub use create::create;
pub use history::history;
pub use inspect::inspect;
pub use list::{list, summaries};
pub use load::load;
pub use prune::prune;
pub use remove::remove;
pub use save::{save, save_many};
pub use tag::tag;
pub use tell::tell;
