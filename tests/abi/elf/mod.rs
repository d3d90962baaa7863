//! What execve(2) makes of a file, and what a program finds when it starts.

use crate::case::Case;

mod auxiliary;
mod image;
mod malformed;
mod script;

pub const CASES: &[&[Case]] = &[auxiliary::CASES, image::CASES, malformed::CASES, script::CASES];

pub use auxiliary::print_start;

/// Writes an executable file.
fn program(name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(name, bytes)?;
    std::fs::set_permissions(name, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}
