//! virtio-net (virtio 1.2, 5.1): one pair of queues, checksum and TCP segmentation offload both ways, mergeable receive buffers, the
//! control queue for address and filters.
//!
//! Frames are copied between packets and fixed slots of DMA memory: what the device can still change is never looked at twice, a TD needs
//! the copy anyhow, slots are recycled, and nothing is allocated or freed per frame on the device's side. What comes in is the host's
//! claim; a frame whose header makes no sense breaks the device or goes without what the header promised.
//! Written here because the virtio-drivers crate negotiates no offload (docs/adr/0001-virtio-drivers.md).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod control;
mod header;
mod receive;
mod transmit;

use alloc::sync::Arc;
use coffer_netdev::{Left, NetDevice, Offloads, Received, Refused, SendError};
use coffer_virtio::{Device, Error};
use control::Control;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ostd::pci::Function;
use ostd::sync::{Mutex, SpinLock, WaitQueue};
use receive::Receive;
use transmit::Transmit;

const FEATURE_CSUM: u64 = 1 << 0;
const FEATURE_GUEST_CSUM: u64 = 1 << 1;
const FEATURE_MTU: u64 = 1 << 3;
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_GUEST_TSO4: u64 = 1 << 7;
const FEATURE_HOST_TSO4: u64 = 1 << 11;
const FEATURE_MRG_RXBUF: u64 = 1 << 15;
const FEATURE_STATUS: u64 = 1 << 16;
const FEATURE_CTRL_VQ: u64 = 1 << 17;
const FEATURE_CTRL_RX: u64 = 1 << 18;
const FEATURE_CTRL_MAC_ADDR: u64 = 1 << 23;

const CONFIG_MAC: usize = 0;
const CONFIG_STATUS: usize = 6;
const CONFIG_MTU: usize = 10;
const STATUS_LINK_UP: u16 = 1;

const QUEUE_RECEIVE: u16 = 0;
const QUEUE_TRANSMIT: u16 = 1;
const QUEUE_CONTROL: u16 = 2;

const ETHERNET_HEADER_LEN: usize = 14;
/// The shortest MTU that carries IPv6, below which a device's word is not taken.
const LEAST_MTU: u16 = 1280;

/// What interrupts tell.
#[derive(Debug, Default)]
struct Events {
    queue: WaitQueue,
    has_changed: AtomicBool,
    wants_room: AtomicBool,
    is_broken: AtomicBool,
}

/// A virtio network device.
pub struct VirtioNet {
    receive: SpinLock<Receive>,
    transmit: SpinLock<Transmit>,
    control: Option<Mutex<Control>>,
    events: Arc<Events>,
    mac: AtomicU64,
    has_status: bool,
    is_up: AtomicBool,
    max_mtu: u32,
    offloads: Offloads,
    features: u64,
    // Last, so that the device is reset only after nothing refers to its queues.
    device: Device,
}

impl fmt::Debug for VirtioNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioNet").field("mac", &self.mac()).finish_non_exhaustive()
    }
}

impl VirtioNet {
    /// Brings the device up. `random` makes an address for a device without one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(function: Function, random: impl FnOnce(&mut [u8; 6])) -> Result<Arc<Self>, Error> {
        let device = Device::new(function)?;
        let features = device.negotiate(0, wanted(&device))?;
        let has = |feature: u64| features & feature != 0;

        let events = Arc::new(Events::default());
        let wake = {
            let events = events.clone();
            move || {
                events.queue.wake_all();
            }
        };
        let vector = device.interrupt(wake)?;
        let change = {
            let events = events.clone();
            move || {
                events.has_changed.store(true, Ordering::Release);
                events.queue.wake_all();
            }
        };
        let change_vector = device.interrupt(change)?;
        let receive = Receive::new(&device, vector, features)?;
        let transmit = Transmit::new(&device, vector)?;
        let control = if has(FEATURE_CTRL_VQ) { Some(Mutex::new(Control::new(&device)?)) } else { None };
        device.start_watching(change_vector)?;

        let config = device.config();
        let mut mac: [u8; 6] = config.read(CONFIG_MAC);
        if !has(FEATURE_MAC) || mac[0] & 1 != 0 || mac == [0; 6] {
            random(&mut mac);
            // Locally administered, for one station.
            mac[0] = mac[0] & !1 | 2;
        }
        let most = receive.max_frame() - ETHERNET_HEADER_LEN;
        let promised = u16::from_le_bytes(config.read(CONFIG_MTU));
        let mtu = if has(FEATURE_MTU) && promised >= LEAST_MTU { promised } else { u16::MAX };
        let device = Self {
            receive: SpinLock::new(receive),
            transmit: SpinLock::new(transmit),
            control,
            events,
            mac: AtomicU64::new(to_bits(mac)),
            has_status: has(FEATURE_STATUS),
            is_up: AtomicBool::new(true),
            max_mtu: u32::from(mtu).min(most as u32),
            offloads: Offloads {
                checksum: has(FEATURE_CSUM),
                segmentation: has(FEATURE_CSUM) && has(FEATURE_HOST_TSO4),
            },
            features,
            device,
        };
        device.read_status();
        device.receive.lock().show();
        Ok(Arc::new(device))
    }

    fn read_status(&self) {
        let status = u16::from_le_bytes(self.device.config().read(CONFIG_STATUS));
        self.is_up.store(!self.has_status || status & STATUS_LINK_UP != 0, Ordering::Relaxed);
    }

    fn command(&self, feature: u64, class: u8, command: u8, data: &[u8]) -> Result<(), Refused> {
        let control = self.control.as_ref().filter(|_| self.features & feature != 0).ok_or(Refused)?;
        control.lock().run(class, command, data)
    }

    /// Gives the device up: it broke the rules.
    fn give_up(&self) {
        if !self.events.is_broken.swap(true, Ordering::Release) {
            log::warn!("a virtio network device is broken and given up");
            self.events.queue.wake_all();
        }
    }
}

/// The features to ask for. Merged segments need mergeable buffers, and they and segmentation need checksums (5.1.3.1).
fn wanted(device: &Device) -> u64 {
    const ALWAYS: u64 = FEATURE_MTU | FEATURE_MAC | FEATURE_STATUS | FEATURE_CSUM | FEATURE_GUEST_CSUM;
    let offered = device.offered();
    let mut wanted = ALWAYS | FEATURE_MRG_RXBUF;
    if offered & FEATURE_CSUM != 0 {
        wanted |= FEATURE_HOST_TSO4;
    }
    if offered & FEATURE_GUEST_CSUM != 0 && offered & FEATURE_MRG_RXBUF != 0 {
        wanted |= FEATURE_GUEST_TSO4;
    }
    if offered & FEATURE_CTRL_VQ != 0 {
        wanted |= FEATURE_CTRL_VQ | FEATURE_CTRL_RX | FEATURE_CTRL_MAC_ADDR;
    }
    wanted
}

impl NetDevice for VirtioNet {
    fn mac(&self) -> [u8; 6] {
        let [_, _, mac @ ..] = self.mac.load(Ordering::Relaxed).to_be_bytes();
        mac
    }

    fn set_mac(&self, mac: [u8; 6]) -> Result<(), Refused> {
        self.command(FEATURE_CTRL_MAC_ADDR, control::CLASS_MAC, control::MAC_ADDR_SET, &mac)?;
        self.mac.store(to_bits(mac), Ordering::Relaxed);
        Ok(())
    }

    fn set_filter(&self, promiscuous: bool, all_groups: bool) -> Result<(), Refused> {
        let switch =
            |command, is_on| self.command(FEATURE_CTRL_RX, control::CLASS_RX, command, &[u8::from(is_on)]);
        switch(control::RX_PROMISC, promiscuous)?;
        switch(control::RX_ALLMULTI, all_groups)
    }

    fn max_mtu(&self) -> u32 {
        self.max_mtu
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn has_carrier(&self) -> bool {
        self.is_up.load(Ordering::Relaxed) && !self.events.is_broken.load(Ordering::Relaxed)
    }

    fn send(&self, frame: &[u8], left: Left) -> Result<(), SendError> {
        let result = self.transmit.lock().send(frame, left, &self.events.wants_room);
        if result == Err(SendError::Broken) {
            self.give_up();
        }
        result
    }

    fn flush(&self) {
        self.transmit.lock().show();
    }

    fn receive(&self, headroom: usize) -> Option<Received> {
        match self.receive.lock().take(headroom) {
            Ok(received) => received,
            Err(Refused) => {
                self.give_up();
                None
            }
        }
    }

    fn wait(&self) -> Result<(), Refused> {
        self.receive.lock().listen(true);
        self.events.queue.wait_until(|| {
            let has_frames = self.receive.lock().has_frames();
            let has_room = self.events.wants_room.load(Ordering::Acquire) && self.transmit.lock().has_room();
            let is_over = self.events.is_broken.load(Ordering::Acquire);
            let has_changed = self.events.has_changed.load(Ordering::Acquire);
            (has_frames || has_room || has_changed || is_over).then_some(())
        });
        self.receive.lock().listen(false);
        if self.events.has_changed.swap(false, Ordering::AcqRel) {
            self.read_status();
        }
        if self.events.wants_room.load(Ordering::Acquire) && self.transmit.lock().has_room() {
            self.transmit.lock().stop_listening(&self.events.wants_room);
        }
        if self.events.is_broken.load(Ordering::Acquire) { Err(Refused) } else { Ok(()) }
    }
}

fn to_bits([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
