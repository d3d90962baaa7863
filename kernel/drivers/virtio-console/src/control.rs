//! The control queue: ports come, get names, are opened and closed by the host.

use crate::port::Port;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_virtio::{Buffer, Device, Error, Queue};
use core::fmt;
use ostd::mm::dma::DmaCoherent;
use ostd::pci::Function;
use ostd::sync::{Once, SpinLock, WaitQueue, Waiter};
use ostd::timer;

const FEATURE_MULTIPORT: u64 = 1 << 1;
const CONFIG_MAX_PORTS: usize = 4;
/// The most ports that we set up queues for.
const MAX_PORTS: u16 = 16;

const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;
const QUEUE_SIZE: u16 = 32;
/// A control message: header and, for names, the name.
const MESSAGE_LEN: usize = 128;
const HEADER_LEN: usize = 8;

/// Events (5.3.6.2).
mod event {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const PORT_ADD: u16 = 1;
    pub(super) const PORT_REMOVE: u16 = 2;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

/// A port's receive and transmit queues.
type PortQueues = (Queue<u16>, Queue<u16>);

struct Shared {
    receive: SpinLock<Queue<u16>>,
    transmit: SpinLock<Queue<u16>>,
    /// Receive slots, then transmit slots.
    messages: DmaCoherent,
    free: SpinLock<Vec<u16>>,
    ports: SpinLock<Vec<Arc<Port>>>,
    changed: WaitQueue,
}

/// A console device.
pub struct Console {
    shared: Arc<Shared>,
    /// Queues of ports that the device has not added yet, by port number.
    spare: SpinLock<Vec<Option<PortQueues>>>,
    _device: Device,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("ports", &self.shared.ports).finish_non_exhaustive()
    }
}

impl Console {
    /// Brings the device up; its ports come by [`Self::serve`].
    ///
    /// # Errors
    /// [`Error::Features`] for a device with a single, nameless port.
    pub fn new(function: Function) -> Result<Arc<Self>, Error> {
        let device = Device::new(function)?;
        device.negotiate(FEATURE_MULTIPORT, 0)?;
        let cell: Arc<Once<Arc<Shared>>> = Arc::new(Once::new());
        let vector = device.interrupt({
            let cell = cell.clone();
            move || {
                if let Some(shared) = cell.get() {
                    shared.on_interrupt();
                }
            }
        })?;
        let claimed = u32::from_le_bytes(device.config().read(CONFIG_MAX_PORTS));
        let ports = claimed.clamp(1, u32::from(MAX_PORTS)) as u16;
        let mut spare = Vec::new();
        for number in 0..ports {
            let first = first_queue(number);
            let receive = device.queue(first, QUEUE_SIZE, Some(vector))?;
            let transmit = device.queue(first + 1, QUEUE_SIZE, Some(vector))?;
            spare.push(Some((receive, transmit)));
        }
        let receive: Queue<u16> = device.queue(CONTROL_RECEIVE, QUEUE_SIZE, Some(vector))?;
        let transmit: Queue<u16> = device.queue(CONTROL_TRANSMIT, QUEUE_SIZE, Some(vector))?;
        let (in_slots, out_slots) = (receive.size(), transmit.size());
        let shared = Arc::new(Shared {
            messages: DmaCoherent::alloc(usize::from(in_slots + out_slots) * MESSAGE_LEN)?,
            free: SpinLock::new((in_slots..in_slots + out_slots).collect()),
            receive: SpinLock::new(receive),
            transmit: SpinLock::new(transmit),
            ports: SpinLock::new(Vec::new()),
            changed: WaitQueue::new(),
        });
        cell.call_once(|| shared.clone());
        device.start();
        for slot in 0..in_slots {
            shared.offer(slot);
        }
        shared.receive.lock_irq().notify();
        shared.send(0, event::DEVICE_READY, 1);
        Ok(Arc::new(Self { shared, spare: SpinLock::new(spare), _device: device }))
    }

    /// Handles control messages until all ports that the device has added are named, at most until `deadline_ns`; gives each new port
    /// to `on_port`.
    pub fn settle(&self, deadline_ns: u64, on_port: &dyn Fn(&Arc<Port>)) {
        let waiter = Waiter::new();
        loop {
            self.shared.changed.enqueue(waiter.waker().clone());
            self.handle_all(on_port);
            let is_settled = {
                let ports = self.shared.ports.lock_irq();
                !ports.is_empty() && ports.iter().all(|port| port.has_name())
            };
            if is_settled || !waiter.wait_until(deadline_ns) {
                self.shared.changed.remove(waiter.waker());
                return;
            }
        }
    }

    /// Handles control messages for ever; the main function of a kernel task.
    pub fn serve(&self, on_port: &dyn Fn(&Arc<Port>)) -> ! {
        loop {
            self.shared.changed.wait_until(|| self.shared.receive.lock_irq().has_used().then_some(()));
            if !self.handle_all(on_port) {
                // The device is broken: there is nothing left to wait for.
                WaitQueue::new().wait_until(|| None::<()>);
            }
        }
    }

    /// Handles what has come; `false` if the device is broken.
    fn handle_all(&self, on_port: &dyn Fn(&Arc<Port>)) -> bool {
        loop {
            let popped = self.shared.receive.lock_irq().pop();
            let (slot, len) = match popped {
                Ok(Some(message)) => message,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let mut message = [0; MESSAGE_LEN];
            let len = (len as usize).min(MESSAGE_LEN);
            self.shared.messages.read(usize::from(slot) * MESSAGE_LEN, &mut message[..len]);
            self.shared.offer(slot);
            self.shared.receive.lock_irq().notify();
            if len >= HEADER_LEN {
                self.handle(&message[..len], on_port);
            }
        }
    }

    fn handle(&self, message: &[u8], on_port: &dyn Fn(&Arc<Port>)) {
        let number = u32::from_le_bytes([message[0], message[1], message[2], message[3]]);
        let event = u16::from_le_bytes([message[4], message[5]]);
        let value = u16::from_le_bytes([message[6], message[7]]);
        let port = self.shared.ports.lock_irq().iter().find(|port| port.number() == number).cloned();
        match (event, port) {
            (event::PORT_ADD, None) => self.add(number),
            (event::PORT_NAME, Some(port)) if !port.has_name() => {
                let name: String = message[HEADER_LEN..]
                    .iter()
                    .take_while(|byte| **byte != 0)
                    .map(
                        |byte| if byte.is_ascii_graphic() && *byte != b'/' { char::from(*byte) } else { '_' },
                    )
                    .collect();
                port.set_name(name);
                on_port(&port);
                // Open for good: what the host sends early waits for its reader.
                self.shared.send(number, event::PORT_OPEN, 1);
            }
            (event::PORT_OPEN, Some(port)) => port.set_connected(value != 0),
            (event::PORT_REMOVE, Some(port)) => port.set_connected(false),
            _ => {}
        }
    }

    fn add(&self, number: u32) {
        let queues = self.spare.lock().get_mut(number as usize).and_then(Option::take);
        let port = queues.and_then(|(receive, transmit)| Port::new(number, receive, transmit).ok());
        let is_ready = port.is_some();
        if let Some(port) = port {
            self.shared.ports.lock_irq().push(Arc::new(port));
        } else {
            log::warn!("virtio-console: no queues or memory for port {number}");
        }
        self.shared.send(number, event::PORT_READY, u16::from(is_ready));
    }
}

impl Shared {
    fn on_interrupt(&self) {
        self.changed.wake_all();
        for port in self.ports.lock_irq().iter() {
            port.on_interrupt();
        }
    }

    /// Gives receive slot `slot` to the device.
    fn offer(&self, slot: u16) {
        let buffer = self.buffer(slot, MESSAGE_LEN);
        // A slot that was free a moment ago fits; a broken queue takes nothing.
        let _ = self.receive.lock_irq().add(&[], &[buffer], slot);
    }

    fn send(&self, number: u32, event: u16, value: u16) {
        let mut transmit = self.transmit.lock_irq();
        let mut free = self.free.lock_irq();
        while let Ok(Some((slot, _))) = transmit.pop() {
            free.push(slot);
        }
        let Some(slot) = free.pop() else {
            log::warn!("virtio-console: the device takes no control messages");
            return;
        };
        let at = usize::from(slot) * MESSAGE_LEN;
        self.messages.store_u32(at, number);
        self.messages.store_u16(at + 4, event);
        self.messages.store_u16(at + 6, value);
        if transmit.add(&[self.buffer(slot, HEADER_LEN)], &[], slot).is_ok() {
            transmit.notify();
        }
    }

    fn buffer(&self, slot: u16, len: usize) -> Buffer {
        let offset = u64::from(slot) * MESSAGE_LEN as u64;
        Buffer { device_address: self.messages.device_address() + offset, len: len as u32 }
    }
}

/// The receive queue of port `number`; its transmit queue is the next one. The control queues sit between ports 0 and 1.
fn first_queue(number: u16) -> u16 {
    if number == 0 { 0 } else { 2 + 2 * number }
}

/// When [`Console::settle`] ought to give up on a host that adds no port.
pub fn settle_deadline_ns() -> u64 {
    timer::now_ns() + 200_000_000
}
