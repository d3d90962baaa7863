//! The handful of ways in which ostd can say no (rule 14).

/// ostd's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No free frame, or only the reserve is left.
    NoMemory,
    /// An address outside of what the caller may name, or a fault that could not be served.
    BadAddress,
    /// An argument that no call can mean.
    InvalidArgument,
    /// A hardware resource (vector, BAR, MSI-X entry) that is taken or does not exist.
    NoResource,
    /// The device or firmware answered with something it must not.
    Device,
}

/// ostd's result.
pub type Result<T> = core::result::Result<T, Error>;
