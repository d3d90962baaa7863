//! [`Adapter`]: our transport as the virtio-drivers crate wants it, so that its drivers run on checked registers and interrupts.
//!
//! The crate waits for a device by spinning on the used ring right after it has rung the bell. The adapter's bell does not return
//! before the device's interrupt has come: the task sleeps, and the spinning finds its answer. A device that never answers keeps
//! the driver's task asleep for good, so drivers on it have a task of their own.

use crate::transport::{
    Bell, Device, Error, FEATURE_ACCESS_PLATFORM, FEATURE_VERSION_1, Vector, required_by_platform,
};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use ostd::sync::WaitQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error as CrateError, PhysAddr, Result as CrateResult};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A device with one queue, for a driver of the virtio-drivers crate.
#[derive(Debug)]
pub struct Adapter {
    device: Device,
    kind: DeviceType,
    vector: Vector,
    bell: Option<Bell>,
    answers: Arc<Answers>,
}

/// What becomes of the device: the driver owns the adapter, and who started the driver keeps this.
#[derive(Debug, Default)]
pub struct Answers {
    interrupts: AtomicU32,
    queue: WaitQueue,
    is_refused: AtomicBool,
}

impl Answers {
    /// Whether the device did not take its features or its queue. The driver must not be used then: it would wait for ever.
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    fn refuse_unless(&self, is_fine: bool) {
        if !is_fine {
            self.is_refused.store(true, Ordering::Relaxed);
        }
    }
}

impl Adapter {
    /// Takes a device that [`Device::new`] has reset.
    ///
    /// # Errors
    /// [`Error::NotVirtio`] for a device that the crate does not know, [`Error::Resource`].
    pub fn new(device: Device) -> Result<Self, Error> {
        let kind = DeviceType::try_from(device.id()).map_err(|_| Error::NotVirtio)?;
        let answers = Arc::new(Answers::default());
        let vector = device.interrupt({
            let answers = answers.clone();
            move || {
                answers.interrupts.fetch_add(1, Ordering::Release);
                answers.queue.wake_all();
            }
        })?;
        Ok(Self { device, kind, vector, bell: None, answers })
    }

    /// What becomes of the device.
    pub fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }
}

impl Transport for Adapter {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        // Neither event indices nor indirect descriptors: the fewer of the crate's paths a hostile device reaches the better.
        self.device.offered_features() & FEATURE_VERSION_1
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        self.answers.refuse_unless(driver_features & FEATURE_VERSION_1 != 0);
        // The crate does not know this one, which our addresses satisfy in any case.
        let platform = self.device.offered_features() & FEATURE_ACCESS_PLATFORM;
        self.answers.refuse_unless(platform & required_by_platform() == required_by_platform());
        self.device.accept_features(driver_features | platform);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.device.offered_queue_size(queue).into()
    }

    fn notify(&mut self, _queue: u16) {
        let Some((bar, offset, index)) = &self.bell else { return };
        let before = self.answers.interrupts.load(Ordering::Acquire);
        bar.write_u16(*offset, *index);
        let has_come = || (self.answers.interrupts.load(Ordering::Acquire) != before).then_some(());
        self.answers.queue.wait_until(has_come);
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.device.status().into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        if status.is_empty() {
            self.answers.refuse_unless(self.device.reset().is_ok());
            return;
        }
        self.device.set_status(status.bits() as u8);
        // The device may take its word back (virtio 1.2, 3.1.1); the crate does not look.
        if status.contains(DeviceStatus::FEATURES_OK) {
            self.answers.refuse_unless(self.get_status().contains(DeviceStatus::FEATURES_OK));
        }
    }

    fn set_guest_page_size(&mut self, _guest_page_size: u32) {
        // For devices before virtio 1.0.
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.bell = self.device.bell(queue).ok();
        let is_set = u16::try_from(size).is_ok_and(|size| {
            let areas = [descriptors, driver_area, device_area];
            self.device.enable_queue(queue, size, Some(self.vector), areas).is_ok()
        });
        self.answers.refuse_unless(is_set && self.bell.is_some());
    }

    fn queue_unset(&mut self, _queue: u16) {
        // Before the crate frees the rings.
        self.answers.refuse_unless(self.device.reset().is_ok());
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.device.offered_queue_size(queue) == 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // With MSI-X there is nothing to acknowledge (virtio 1.2, 4.1.4.5).
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, _offset: usize) -> CrateResult<T> {
        Err(CrateError::ConfigSpaceMissing)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _offset: usize, _value: T) -> CrateResult<()> {
        Err(CrateError::ConfigSpaceMissing)
    }
}
