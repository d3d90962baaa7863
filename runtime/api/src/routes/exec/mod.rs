//! `/exec/…`

mod create;
mod inspect;
mod resize;
mod start;

pub use create::create;
pub use inspect::inspect;
pub use resize::resize;
pub use start::start;
