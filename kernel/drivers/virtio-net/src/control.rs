//! The control queue (virtio 1.2, 5.1.6.5): commands, one at a time.

use alloc::sync::Arc;
use coffer_netdev::Refused;
use coffer_virtio::{Buffer, Device, Error, Queue};
use ostd::mm::dma::DmaCoherent;
use ostd::sync::{WaitQueue, Waiter};
use ostd::timer;

pub(crate) const CLASS_RX: u8 = 0;
pub(crate) const RX_PROMISC: u8 = 0;
pub(crate) const RX_ALLMULTI: u8 = 1;
pub(crate) const CLASS_MAC: u8 = 1;
pub(crate) const MAC_ADDR_SET: u8 = 1;

const ACK_OK: u8 = 0;
const ACK_AT: usize = 64;
const MEMORY_LEN: usize = 128;
/// How long a command may take. A device that needs longer gets no more of them.
const PATIENCE_NS: u64 = 1_000_000_000;

pub(crate) struct Control {
    queue: Queue<()>,
    memory: DmaCoherent,
    answers: Arc<WaitQueue>,
    is_stuck: bool,
}

impl Control {
    pub(crate) fn new(device: &Device) -> Result<Self, Error> {
        let answers = Arc::new(WaitQueue::new());
        let vector = device.interrupt({
            let answers = answers.clone();
            move || {
                answers.wake_all();
            }
        })?;
        let queue = device.queue(crate::QUEUE_CONTROL, 16, Some(vector))?;
        Ok(Self { queue, memory: DmaCoherent::alloc(MEMORY_LEN)?, answers, is_stuck: false })
    }

    pub(crate) fn run(&mut self, class: u8, command: u8, data: &[u8]) -> Result<(), Refused> {
        if self.is_stuck || data.len() + 2 > ACK_AT {
            return Err(Refused);
        }
        self.memory.write(0, &[class, command]);
        self.memory.write(2, data);
        self.memory.store_u8(ACK_AT, u8::MAX);
        let base = self.memory.device_address();
        let request = Buffer { device_address: base, len: 2 + data.len() as u32 };
        let answer = Buffer { device_address: base + ACK_AT as u64, len: 1 };
        self.queue.add(&[request], &[answer], ()).map_err(|_| Refused)?;
        self.queue.notify();

        let (waiter, deadline_ns) = (Waiter::new(), timer::now_ns() + PATIENCE_NS);
        let is_done = loop {
            self.answers.enqueue(waiter.waker().clone());
            match self.queue.pop() {
                Ok(Some(_)) => break true,
                Ok(None) => {}
                Err(_) => break false,
            }
            if !waiter.wait_until(deadline_ns) {
                break false;
            }
        };
        self.answers.remove(waiter.waker());
        // The memory may still be written to by a device that is late.
        self.is_stuck = !is_done;
        if is_done && self.memory.load_u8(ACK_AT) == ACK_OK { Ok(()) } else { Err(Refused) }
    }
}
