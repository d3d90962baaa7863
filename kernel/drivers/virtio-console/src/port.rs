//! One port: bytes from the host in page-sized buffers, bytes to the host likewise.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use coffer_virtio::{Buffer, Queue};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::mm::dma::DmaCoherent;
use ostd::mm::{PAGE_SIZE, VmReader, VmWriter};
use ostd::sync::{Mutex, Once, SpinLock};

/// Buffers in each direction.
const BUFFERS: u16 = 8;

/// Why a transfer did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortError {
    /// Nothing to read, or no room to write, now.
    WouldBlock,
    /// The user's memory cannot be accessed.
    BadAddress,
    /// The device broke its queue.
    Device,
}

/// A received buffer that is being read.
struct Partial {
    slot: u16,
    at: usize,
    end: usize,
}

/// A named byte stream to the host.
pub struct Port {
    number: u32,
    name: Once<String>,
    receive: SpinLock<Queue<u16>>,
    transmit: SpinLock<Queue<u16>>,
    receive_memory: DmaCoherent,
    transmit_memory: DmaCoherent,
    reader: Mutex<Option<Partial>>,
    writer: Mutex<Vec<u16>>,
    has_partial: AtomicBool,
    is_connected: AtomicBool,
    /// Whether the host ever was there: only then is its absence an end of file.
    was_connected: AtomicBool,
    observer: Once<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("number", &self.number)
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Port {
    pub(crate) fn new(number: u32, receive: Queue<u16>, transmit: Queue<u16>) -> Result<Self, ostd::Error> {
        let port = Self {
            number,
            name: Once::new(),
            receive: SpinLock::new(receive),
            transmit: SpinLock::new(transmit),
            receive_memory: DmaCoherent::alloc(usize::from(BUFFERS) * PAGE_SIZE)?,
            transmit_memory: DmaCoherent::alloc(usize::from(BUFFERS) * PAGE_SIZE)?,
            reader: Mutex::new(None),
            writer: Mutex::new((0..BUFFERS).collect()),
            has_partial: AtomicBool::new(false),
            is_connected: AtomicBool::new(false),
            was_connected: AtomicBool::new(false),
            observer: Once::new(),
        };
        for slot in 0..BUFFERS {
            port.offer(slot);
        }
        Ok(port)
    }

    /// Its number on the device.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its name; empty until the device has told it.
    pub fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// Registers who is told, in interrupt or task context, that something may have changed. Only the first call counts.
    pub fn observe(&self, observer: impl Fn() + Send + Sync + 'static) {
        self.observer.call_once(|| Box::new(observer));
    }

    /// Whether a read gives something at once: bytes, or the end of file.
    pub fn is_readable(&self) -> bool {
        self.has_partial.load(Ordering::Acquire) || self.receive.lock_irq().has_used() || self.is_hung_up()
    }

    /// Whether the host was there and is gone.
    pub fn is_hung_up(&self) -> bool {
        self.was_connected.load(Ordering::Acquire) && !self.is_connected.load(Ordering::Acquire)
    }

    /// Whether a write takes something at once.
    pub fn is_writable(&self) -> bool {
        if !self.is_connected.load(Ordering::Acquire) {
            return false;
        }
        let transmit = self.transmit.lock_irq();
        transmit.has_used() || transmit.size() - transmit.free_count() < BUFFERS
    }

    /// Reads what there is, never waiting; 0 is the end of file.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn read(&self, writer: &mut VmWriter<'_>) -> Result<usize, PortError> {
        let mut reader = self.reader.lock();
        let mut total = 0;
        while writer.remaining() > 0 {
            // Asked before the queue: what was sent before the hang-up is in the queue by then.
            let is_hung_up = self.is_hung_up();
            let partial = match &mut *reader {
                Some(partial) => partial,
                None => match self.receive.lock_irq().pop() {
                    Ok(Some((slot, len))) => {
                        self.has_partial.store(true, Ordering::Release);
                        reader.insert(Partial { slot, at: 0, end: (len as usize).min(PAGE_SIZE) })
                    }
                    Ok(None) if total > 0 || is_hung_up => break,
                    Ok(None) => return Err(PortError::WouldBlock),
                    Err(_) => return Err(PortError::Device),
                },
            };
            let mut chunk = [0; 512];
            let len = (partial.end - partial.at).min(chunk.len()).min(writer.remaining());
            self.receive_memory.read(usize::from(partial.slot) * PAGE_SIZE + partial.at, &mut chunk[..len]);
            let written = match writer.write(&chunk[..len]) {
                Ok(written) => written,
                Err(_) if total > 0 => break,
                Err(_) => return Err(PortError::BadAddress),
            };
            total += written;
            partial.at += written;
            if partial.at == partial.end {
                let slot = partial.slot;
                *reader = None;
                self.has_partial.store(false, Ordering::Release);
                self.offer(slot);
                self.receive.lock_irq().notify();
            } else if written < len {
                break;
            }
        }
        Ok(total)
    }

    /// Writes what fits, never waiting.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn write(&self, reader: &mut VmReader<'_>) -> Result<usize, PortError> {
        let mut free = self.writer.lock();
        let mut total = 0;
        while reader.remaining() > 0 {
            self.reclaim(&mut free)?;
            if !self.is_connected.load(Ordering::Acquire) {
                break;
            }
            let Some(slot) = free.pop() else { break };
            let at = usize::from(slot) * PAGE_SIZE;
            let mut len = 0;
            let mut chunk = [0; 512];
            while len < PAGE_SIZE && reader.remaining() > 0 {
                let room = chunk.len().min(PAGE_SIZE - len);
                match reader.read(&mut chunk[..room]) {
                    Ok(read) => {
                        self.transmit_memory.write(at + len, &chunk[..read]);
                        len += read;
                    }
                    Err(_) => break,
                }
            }
            if len == 0 {
                free.push(slot);
                return if total > 0 { Ok(total) } else { Err(PortError::BadAddress) };
            }
            let buffer =
                Buffer { device_address: self.transmit_memory.device_address() + at as u64, len: len as u32 };
            let mut transmit = self.transmit.lock_irq();
            if transmit.add(&[buffer], &[], slot).is_err() {
                return Err(PortError::Device);
            }
            transmit.notify();
            total += len;
        }
        if total > 0 { Ok(total) } else { Err(PortError::WouldBlock) }
    }

    /// Whether the device has taken all that was written.
    pub fn is_flushed(&self) -> bool {
        let mut free = self.writer.lock();
        self.reclaim(&mut free).is_err() || free.len() == usize::from(BUFFERS)
    }

    pub(crate) fn has_name(&self) -> bool {
        self.name.get().is_some()
    }

    pub(crate) fn set_name(&self, name: String) {
        self.name.call_once(|| name);
    }

    pub(crate) fn set_connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Release);
        if is_connected {
            self.was_connected.store(true, Ordering::Release);
        }
        self.on_interrupt();
    }

    pub(crate) fn on_interrupt(&self) {
        if let Some(observer) = self.observer.get() {
            observer();
        }
    }

    fn reclaim(&self, free: &mut Vec<u16>) -> Result<(), PortError> {
        let mut transmit = self.transmit.lock_irq();
        while let Some((slot, _)) = transmit.pop().map_err(|_| PortError::Device)? {
            free.push(slot);
        }
        Ok(())
    }

    /// Gives receive buffer `slot` to the device.
    fn offer(&self, slot: u16) {
        let offset = u64::from(slot) * PAGE_SIZE as u64;
        let buffer =
            Buffer { device_address: self.receive_memory.device_address() + offset, len: PAGE_SIZE as u32 };
        // A slot that was free a moment ago fits; a broken queue takes nothing.
        let _ = self.receive.lock_irq().add(&[], &[buffer], slot);
    }
}
