//! Program files: recognised ([`image`]), mapped ([`map`]) and given their arguments ([`stack`]); what execve(2) does around that is in
//! [`crate::process::exec`].

pub mod arguments;
pub mod image;
pub mod map;
mod script;
pub mod stack;

pub use arguments::Arguments;
pub use image::Image;
