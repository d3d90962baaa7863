//! What can go wrong while an image is assembled.

use std::io;

/// Why an image could not be built; the text names the part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input is not of the format that its place needs.
    #[error("{part} is not usable: {reason}")]
    Input {
        /// Which ingredient: `kernel`, `stub`, …
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An output would be larger than its container.
    #[error("{part} does not fit: {size} bytes, room for {room}")]
    TooLarge {
        /// The part that is too large.
        part: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The room there is, in bytes.
        room: u64,
    },
    /// A writer of a format failed; with outputs in memory this means that a library refused its input.
    #[error("cannot write {part}")]
    Write {
        /// The output that was being written.
        part: &'static str,
        /// What the library said.
        #[source]
        source: io::Error,
    },
    /// The GPT writer refused the partition plan.
    #[error("cannot write the partition table")]
    PartitionTable(#[from] gpt::GptError),
}

impl Error {
    pub(crate) fn input(part: &'static str, reason: impl ToString) -> Self {
        Self::Input { part, reason: reason.to_string() }
    }

    pub(crate) fn write(part: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { part, source }
    }
}
