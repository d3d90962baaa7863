//! I/O ports by value, size and direction: instructions, or in a TD calls to the host, which may answer anything (D6).

use x86_64::instructions::port::{PortRead, PortWrite};

use crate::HostValue;
use crate::tdx::{self, host};

/// What a port is wide.
pub(crate) trait Value: PortRead + PortWrite + Into<u32> {
    /// The low bytes of what the host said.
    fn cut(value: u64) -> Self;
}

impl Value for u8 {
    fn cut(value: u64) -> Self {
        value as Self
    }
}

impl Value for u16 {
    fn cut(value: u64) -> Self {
        value as Self
    }
}

impl Value for u32 {
    fn cut(value: u64) -> Self {
        value as Self
    }
}

/// Reads a port.
///
/// # Safety
/// As the caller says what is there: reading it does not affect memory.
pub(crate) unsafe fn read<T: Value>(port: u16) -> HostValue<T> {
    if tdx::is_active() {
        return host::read_port(port, size_of::<T>()).map(T::cut);
    }
    // SAFETY: by contract.
    HostValue::new(unsafe { T::read_from_port(port) })
}

/// Writes a port.
///
/// # Safety
/// As the caller says what is there: writing `value` to it does not affect memory.
pub(crate) unsafe fn write<T: Value>(port: u16, value: T) {
    if tdx::is_active() {
        return host::write_port(port, size_of::<T>(), value.into());
    }
    // SAFETY: by contract.
    unsafe { T::write_to_port(port, value) };
}
