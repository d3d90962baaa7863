//! What an Ethernet device is to the kernel: [`NetDevice`]. Drivers implement it, `kernel/src/net/link/ethernet.rs` uses it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt;

/// What a device does for who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It puts transport checksums in.
    pub checksum: bool,
    /// It cuts TCP packets over IPv4 into segments.
    pub segmentation: bool,
}

/// What of a frame is left to the device. Offsets count from the start of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Where the part that the checksum covers starts, and where in it the checksum goes.
    pub checksum: Option<(u16, u16)>,
    /// How many bytes of payload go into each segment, and how long the headers are together.
    pub segmentation: Option<(u16, u16)>,
}

/// What a device says of a received frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumClaim {
    /// Nothing.
    #[default]
    None,
    /// It was right.
    Verified,
    /// It is not there: the sender is a neighbour that left it to us. Offsets as in [`Left::checksum`].
    Partial(u16, u16),
}

/// A frame that came in.
#[derive(Debug, Default)]
pub struct Received {
    /// The room in front that was asked for, then the frame.
    pub bytes: Vec<u8>,
    /// What the device says of its checksum.
    pub checksum: ChecksumClaim,
    /// For a frame that the device made of several TCP segments: their payload's length.
    pub segment_size: Option<u16>,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no room now; [`NetDevice::wait`] returns when there is.
    Full,
    /// It is too long.
    TooLong,
    /// The device is broken.
    Broken,
}

/// The device is broken, or does not know how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// An Ethernet device. All of it is called in task context; [`Self::receive`] and [`Self::wait`] by one task.
pub trait NetDevice: Send + Sync + fmt::Debug {
    /// Its address.
    fn mac(&self) -> [u8; 6];

    /// Changes its address.
    ///
    /// # Errors
    /// [`Refused`].
    fn set_mac(&self, mac: [u8; 6]) -> Result<(), Refused>;

    /// Lets all frames in, and all that go to groups; or only those for its address, for everybody and for groups that it knows.
    ///
    /// # Errors
    /// [`Refused`].
    fn set_filter(&self, promiscuous: bool, all_groups: bool) -> Result<(), Refused>;

    /// The longest payload of a frame.
    fn max_mtu(&self) -> u32;

    /// What it does for who sends.
    fn offloads(&self) -> Offloads;

    /// Whether the cable is in.
    fn has_carrier(&self) -> bool;

    /// Copies a frame to the device, which sees it by [`Self::flush`] at the latest.
    ///
    /// # Errors
    /// [`SendError`].
    fn send(&self, frame: &[u8], left: Left) -> Result<(), SendError>;

    /// Shows the device what was sent.
    fn flush(&self);

    /// A frame that came in, after `headroom` zeros.
    fn receive(&self, headroom: usize) -> Option<Received>;

    /// Sleeps until a frame has come in, until there is room again for who saw [`SendError::Full`], or until the carrier has changed.
    /// Spurious returns happen.
    ///
    /// # Errors
    /// [`Refused`]: the device is broken, nothing will come any more.
    fn wait(&self) -> Result<(), Refused>;
}
