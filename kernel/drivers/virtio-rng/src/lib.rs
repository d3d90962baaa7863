//! virtio-rng (virtio 1.2, 5.4): the host's entropy, by the virtio-drivers crate's driver on our transport.
//!
//! The host knows these bytes: they are something to mix in, never all that a key is made of.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use coffer_virtio::{Adapter, Answers, Device, Error};
use core::fmt;
use ostd::mm::virtio_hal::{self, Machine};
use ostd::pci::Function;
use virtio_drivers::device::rng::VirtIORng;

/// An entropy device.
pub struct Entropy {
    driver: VirtIORng<Machine, Adapter>,
    answers: Arc<Answers>,
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl Entropy {
    /// Starts the device.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(function: Function) -> Result<Self, Error> {
        virtio_hal::reserve(1)?;
        let adapter = Adapter::new(Device::new(function)?)?;
        let answers = adapter.answers().clone();
        let driver = VirtIORng::new(adapter).map_err(|_| Error::Resource)?;
        if answers.is_refused() {
            return Err(Error::Protocol);
        }
        Ok(Self { driver, answers })
    }

    /// Asks for bytes, at most a page, and sleeps until the device gives some; returns how many. After an error the device is not to be
    /// asked again: it may still have the request.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it answers what it was not asked.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        if out.is_empty() {
            return Ok(0);
        }
        let room = out.len();
        // The length is the device's claim, which the crate passes on.
        self.driver.request_entropy(out).ok().filter(|&len| len <= room).ok_or(Error::Protocol)
    }
}
