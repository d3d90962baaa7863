//! The PCI transport (virtio 1.2, 4.1): capabilities, status handshake, features, queue set-up, interrupts.

use crate::queue::Queue;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use ostd::HostValue;
use ostd::irq::IrqLine;
use ostd::pci::{Function, Mmio, Msix};
use ostd::sync::SpinLock;

const VENDOR: u16 = 0x1af4;
/// Device ids of virtio 1.0 and later start here; below are the transitional ones.
const MODERN_BASE: u16 = 0x1040;
const VENDOR_CAPABILITY: u8 = 0x09;

/// Offsets in the vendor capability (4.1.4).
mod capability {
    pub(super) const TYPE: u16 = 3;
    pub(super) const BAR: u16 = 4;
    pub(super) const OFFSET: u16 = 8;
    pub(super) const LENGTH: u16 = 12;
    pub(super) const NOTIFY_MULTIPLIER: u16 = 16;

    pub(super) const COMMON: u8 = 1;
    pub(super) const NOTIFY: u8 = 2;
    pub(super) const DEVICE: u8 = 4;
}

/// Offsets in the common configuration (4.1.4.3).
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub(super) const DEVICE_FEATURE: usize = 0x04;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub(super) const DRIVER_FEATURE: usize = 0x0c;
    pub(super) const CONFIG_MSIX_VECTOR: usize = 0x10;
    pub(super) const NUM_QUEUES: usize = 0x12;
    pub(super) const DEVICE_STATUS: usize = 0x14;
    pub(super) const CONFIG_GENERATION: usize = 0x15;
    pub(super) const QUEUE_SELECT: usize = 0x16;
    pub(super) const QUEUE_SIZE: usize = 0x18;
    pub(super) const QUEUE_MSIX_VECTOR: usize = 0x1a;
    pub(super) const QUEUE_ENABLE: usize = 0x1c;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 0x1e;
    pub(super) const QUEUE_DESC: usize = 0x20;
    pub(super) const QUEUE_DRIVER: usize = 0x28;
    pub(super) const QUEUE_DEVICE: usize = 0x30;
    pub(super) const LEN: usize = 0x38;
}

const STATUS_ACKNOWLEDGE: u8 = 1;
const STATUS_DRIVER: u8 = 2;
const STATUS_DRIVER_OK: u8 = 4;
const STATUS_FEATURES_OK: u8 = 8;
const STATUS_FAILED: u8 = 128;

pub(crate) const FEATURE_VERSION_1: u64 = 1 << 32;
pub(crate) const FEATURE_ACCESS_PLATFORM: u64 = 1 << 33;

const NO_VECTOR: u16 = 0xffff;
/// How often a device is asked whether its reset is done, before we give it up.
const RESET_TRIES: u32 = 1_000_000;

/// What the machine demands: in a trust domain a device must go by the addresses that it is given, which are those of shared memory.
pub(crate) fn required_by_platform() -> u64 {
    if ostd::tdx::is_active() { FEATURE_ACCESS_PLATFORM } else { 0 }
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not a virtio 1.x device, or without one of the structures it must have.
    NotVirtio,
    /// It does not offer what the driver cannot do without.
    Features,
    /// It did not follow the protocol.
    Protocol,
    /// No such queue, or no interrupt or memory for it.
    Resource,
}

impl From<ostd::Error> for Error {
    fn from(_: ostd::Error) -> Self {
        Self::Resource
    }
}

/// A register to write to, and the value.
pub(crate) type Bell = (Arc<Mmio>, usize, u16);

/// One of a device's interrupts.
#[derive(Clone, Copy, Debug)]
pub struct Vector(u16);

/// A stretch of a BAR.
#[derive(Clone)]
struct Region {
    bar: Arc<Mmio>,
    offset: usize,
    len: usize,
}

macro_rules! registers {
    ($($read:ident $write:ident $t:ty;)*) => {$(
        fn $write(&self, offset: usize, value: $t) {
            assert!(offset + size_of::<$t>() <= self.len, "a register of the structure");
            self.bar.$write(self.offset + offset, value);
        }
        fn $read(&self, offset: usize) -> HostValue<$t> {
            assert!(offset + size_of::<$t>() <= self.len, "a register of the structure");
            self.bar.$read(self.offset + offset)
        }
    )*};
}

impl Region {
    registers! { read_u8 write_u8 u8; read_u16 write_u16 u16; read_u32 write_u32 u32; }

    fn write_address(&self, offset: usize, address: u64) {
        self.write_u32(offset, address as u32);
        self.write_u32(offset + 4, (address >> 32) as u32);
    }
}

/// A virtio device that has been reset and found its driver.
pub struct Device {
    id: u16,
    common: Region,
    notify: Region,
    notify_multiplier: usize,
    config: Option<Region>,
    msix: SpinLock<Msix>,
    next_vector: SpinLock<u16>,
    _function: Function,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The virtio device id of a PCI function: `None` if it is not a virtio 1.x device.
fn device_id(function: &Function) -> Option<u16> {
    if !function.vendor_id().is(VENDOR) {
        return None;
    }
    match function.device_id().claim() {
        id if id >= MODERN_BASE => Some(id - MODERN_BASE),
        // Transitional devices have the modern interface too; their id is the PCI subsystem id (4.1.2.3).
        0x1000..MODERN_BASE => Some(function.config_u16(0x2e).claim()),
        _ => None,
    }
}

impl Device {
    /// Which virtio device `function` is, if any.
    pub fn probe(function: &Function) -> Option<u16> {
        device_id(function)
    }

    /// Resets the device and tells it that it has a driver.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(function: Function) -> Result<Self, Error> {
        let id = device_id(&function).ok_or(Error::NotVirtio)?;
        function.enable();
        let mut bars: Vec<(u8, Arc<Mmio>)> = Vec::new();
        let (mut common, mut notify, mut config, mut notify_multiplier) = (None, None, None, 0);
        for (capability, at) in function.capabilities() {
            if capability != VENDOR_CAPABILITY {
                continue;
            }
            let kind = function.config_u8(at + capability::TYPE).claim();
            if !matches!(kind, capability::COMMON | capability::NOTIFY | capability::DEVICE) {
                continue;
            }
            let Some(region) = region(&function, at, &mut bars) else { continue };
            match kind {
                capability::COMMON if common.is_none() => common = Some(region),
                capability::NOTIFY if notify.is_none() => {
                    notify = Some(region);
                    notify_multiplier =
                        function.config_u32(at + capability::NOTIFY_MULTIPLIER).claim() as usize;
                }
                capability::DEVICE if config.is_none() => config = Some(region),
                _ => {}
            }
        }
        let common = common.filter(|region| region.len >= common::LEN).ok_or(Error::NotVirtio)?;
        let device = Self {
            id,
            common,
            notify: notify.ok_or(Error::NotVirtio)?,
            notify_multiplier,
            config,
            msix: SpinLock::new(function.enable_msix()?),
            next_vector: SpinLock::new(0),
            _function: function,
        };
        device.reset()?;
        device.add_status(STATUS_ACKNOWLEDGE);
        device.add_status(STATUS_DRIVER);
        Ok(device)
    }

    /// Which device it is ([`crate::id`]).
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Agrees on features: all of `required`, what there is of `wanted`. Returns what was agreed.
    ///
    /// # Errors
    /// [`Error::Features`] if a required one is missing or the device takes its word back.
    pub fn negotiate(&self, required: u64, wanted: u64) -> Result<u64, Error> {
        let required = required | FEATURE_VERSION_1 | required_by_platform();
        let agreed = self.offered_features() & (required | wanted | FEATURE_ACCESS_PLATFORM);
        if agreed & required != required {
            self.add_status(STATUS_FAILED);
            return Err(Error::Features);
        }
        self.accept_features(agreed);
        self.add_status(STATUS_FEATURES_OK);
        if !self.common.read_u8(common::DEVICE_STATUS).has(STATUS_FEATURES_OK) {
            self.add_status(STATUS_FAILED);
            return Err(Error::Features);
        }
        Ok(agreed)
    }

    /// The features that the device offers.
    pub fn offered(&self) -> u64 {
        self.offered_features()
    }

    pub(crate) fn offered_features(&self) -> u64 {
        (0..2u32).fold(0, |offered, half| {
            self.common.write_u32(common::DEVICE_FEATURE_SELECT, half);
            offered | u64::from(self.common.read_u32(common::DEVICE_FEATURE).claim()) << (32 * half)
        })
    }

    pub(crate) fn accept_features(&self, features: u64) {
        for half in 0..2u32 {
            self.common.write_u32(common::DRIVER_FEATURE_SELECT, half);
            self.common.write_u32(common::DRIVER_FEATURE, (features >> (32 * half)) as u32);
        }
    }

    /// How many queues the device says it has.
    pub fn queue_count(&self) -> u16 {
        self.common.read_u16(common::NUM_QUEUES).claim()
    }

    /// An interrupt of this device, for any number of its queues; `handler` runs in interrupt context.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn interrupt(&self, handler: impl Fn() + Send + Sync + 'static) -> Result<Vector, Error> {
        let mut next = self.next_vector.lock();
        let vector = *next;
        self.msix.lock().set(vector, IrqLine::new(handler)?)?;
        *next += 1;
        Ok(Vector(vector))
    }

    /// Sets up queue `index` with at most `max_size` entries; `vector` tells of used buffers.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn queue<T>(&self, index: u16, max_size: u16, vector: Option<Vector>) -> Result<Queue<T>, Error> {
        let size = self.offered_queue_size(index).min(max_size);
        if size == 0 {
            return Err(Error::Resource);
        }
        // Sizes of split queues are powers of two (2.7); a device may offer anything.
        let size = 1 << size.ilog2();
        let bell = self.bell(index)?;
        let queue = Queue::new(size, bell, vector.is_some())?;
        self.enable_queue(index, size, vector, queue.addresses())?;
        Ok(queue)
    }

    /// How large queue `index` may be; 0 if there is none, or it is in use.
    pub(crate) fn offered_queue_size(&self, index: u16) -> u16 {
        if index >= self.queue_count() {
            return 0;
        }
        self.common.write_u16(common::QUEUE_SELECT, index);
        let is_free = self.common.read_u16(common::QUEUE_ENABLE).is(0);
        if is_free { self.common.read_u16(common::QUEUE_SIZE).claim() } else { 0 }
    }

    /// Where to tell of new buffers in queue `index`, and what to write there.
    pub(crate) fn bell(&self, index: u16) -> Result<Bell, Error> {
        self.common.write_u16(common::QUEUE_SELECT, index);
        let offset = usize::from(self.common.read_u16(common::QUEUE_NOTIFY_OFF).claim())
            .checked_mul(self.notify_multiplier)
            .filter(|offset| offset.checked_add(2).is_some_and(|end| end <= self.notify.len))
            .ok_or(Error::Protocol)?;
        Ok((self.notify.bar.clone(), self.notify.offset + offset, index))
    }

    /// Tells the device where a queue is: descriptors, driver's ring, device's ring.
    pub(crate) fn enable_queue(
        &self,
        index: u16,
        size: u16,
        vector: Option<Vector>,
        [descriptors, driver, device]: [u64; 3],
    ) -> Result<(), Error> {
        let vector = vector.map_or(NO_VECTOR, |vector| vector.0);
        self.common.write_u16(common::QUEUE_SELECT, index);
        self.common.write_u16(common::QUEUE_SIZE, size);
        self.common.write_u16(common::QUEUE_MSIX_VECTOR, vector);
        if !self.common.read_u16(common::QUEUE_MSIX_VECTOR).is(vector) {
            return Err(Error::Resource);
        }
        self.common.write_address(common::QUEUE_DESC, descriptors);
        self.common.write_address(common::QUEUE_DRIVER, driver);
        self.common.write_address(common::QUEUE_DEVICE, device);
        self.common.write_u16(common::QUEUE_ENABLE, 1);
        Ok(())
    }

    /// Tells the device to start: all queues are set up.
    pub fn start(&self) {
        self.common.write_u16(common::CONFIG_MSIX_VECTOR, NO_VECTOR);
        self.add_status(STATUS_DRIVER_OK);
    }

    /// As [`Self::start`]; `vector` tells that the device's configuration has changed.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn start_watching(&self, vector: Vector) -> Result<(), Error> {
        self.common.write_u16(common::CONFIG_MSIX_VECTOR, vector.0);
        if !self.common.read_u16(common::CONFIG_MSIX_VECTOR).is(vector.0) {
            return Err(Error::Resource);
        }
        self.add_status(STATUS_DRIVER_OK);
        Ok(())
    }

    /// The device's own configuration.
    pub fn config(&self) -> DeviceConfig<'_> {
        DeviceConfig { device: self }
    }

    pub(crate) fn reset(&self) -> Result<(), Error> {
        self.common.write_u8(common::DEVICE_STATUS, 0);
        for _ in 0..RESET_TRIES {
            if self.common.read_u8(common::DEVICE_STATUS).is(0) {
                return Ok(());
            }
        }
        Err(Error::Protocol)
    }

    pub(crate) fn status(&self) -> u8 {
        self.common.read_u8(common::DEVICE_STATUS).claim()
    }

    pub(crate) fn set_status(&self, status: u8) {
        self.common.write_u8(common::DEVICE_STATUS, status);
    }

    fn add_status(&self, bit: u8) {
        let status = self.status();
        self.common.write_u8(common::DEVICE_STATUS, status | bit);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Whatever the queues were doing with our memory ends here.
        if self.reset().is_err() {
            log::warn!("virtio device {} does not reset", self.id);
        }
    }
}

/// Reads of the device's own configuration: the host's claims.
#[derive(Debug)]
pub struct DeviceConfig<'a> {
    device: &'a Device,
}

impl DeviceConfig<'_> {
    /// Bytes of it at `offset`, zero where there are none, and all of one generation.
    pub fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        let Some(config) = &self.device.config else { return bytes };
        // A device that changes its configuration for ever does not get to keep us.
        for _ in 0..16 {
            let before = self.device.common.read_u8(common::CONFIG_GENERATION).claim();
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = if offset + index < config.len { config.read_u8(offset + index).claim() } else { 0 };
            }
            if self.device.common.read_u8(common::CONFIG_GENERATION).is(before) {
                break;
            }
        }
        bytes
    }
}

/// The stretch of a BAR that the capability at `at` names, if it lies in a BAR that can be mapped.
fn region(function: &Function, at: u16, bars: &mut Vec<(u8, Arc<Mmio>)>) -> Option<Region> {
    let index = function.config_u8(at + capability::BAR).claim();
    let bar = match bars.iter().find(|(known, _)| *known == index) {
        Some((_, bar)) => bar.clone(),
        None => {
            let bar = Arc::new(function.map_bar(index).ok()?);
            bars.push((index, bar.clone()));
            bar
        }
    };
    let offset = function.config_u32(at + capability::OFFSET).claim() as usize;
    let len = function.config_u32(at + capability::LENGTH).claim() as usize;
    let is_inside = offset.checked_add(len).is_some_and(|end| end <= bar.len()) && offset.is_multiple_of(4);
    is_inside.then_some(Region { bar, offset, len })
}
