//! What is in a pipe: a queue of pages, each with a stretch of bytes.
//!
//! Room is counted in pages, not in bytes, as pipe(7) has it: a write that finds too little room in the last page takes a new one.

use crate::error::Result;
use alloc::collections::VecDeque;
use ostd::mm::{PAGE_SIZE, UFrame, VmReader, VmWriter};

/// The pages of one pipe.
#[derive(Debug)]
pub struct Ring {
    slots: VecDeque<Slot>,
    max_slots: usize,
    bytes: usize,
    /// Pages that were read, kept for the next write: most pipes carry one message at a time.
    spare: [Option<UFrame>; 2],
}

#[derive(Debug)]
struct Slot {
    frame: UFrame,
    start: usize,
    end: usize,
    /// Written in packet mode: one read takes it whole, or loses the rest.
    is_packet: bool,
}

impl Ring {
    /// Empty, with room for `max_slots` pages.
    pub const fn new(max_slots: usize) -> Self {
        Self { slots: VecDeque::new(), max_slots, bytes: 0, spare: [None, None] }
    }

    /// Bytes to read.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Pages in use.
    pub fn used_slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether no further page fits.
    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.max_slots
    }

    /// Changes how many pages fit; `false` if more are in use.
    pub fn resize(&mut self, max_slots: usize) -> bool {
        if self.slots.len() > max_slots {
            return false;
        }
        self.max_slots = max_slots;
        true
    }

    /// Takes in what fits; up to a page goes in whole or, if the ring is full, not at all. Less than fits: the source faulted.
    ///
    /// # Errors
    /// EFAULT, ENOMEM if not a byte was taken.
    pub fn write(&mut self, reader: &mut VmReader<'_>, as_packets: bool) -> Result<usize> {
        let mut total = if as_packets { 0 } else { self.append_to_last(reader)? };
        while reader.remaining() > 0 && !self.is_full() {
            let len = reader.remaining().min(PAGE_SIZE);
            let written = match self.write_slot(reader, len, as_packets) {
                Ok(written) => written,
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            };
            total += written;
            if written < len {
                break;
            }
        }
        Ok(total)
    }

    /// Gives out what is there, or one packet.
    ///
    /// # Errors
    /// EFAULT if not a byte could go.
    pub fn read(&mut self, writer: &mut VmWriter<'_>) -> Result<usize> {
        let mut total = 0;
        while writer.remaining() > 0
            && let Some(slot) = self.slots.front_mut()
        {
            let len = (slot.end - slot.start).min(writer.remaining());
            let read = match slot.frame.read_to(slot.start, len, writer) {
                Ok(read) => read,
                Err(error) if total == 0 => return Err(error.into()),
                Err(_) => break,
            };
            slot.start += read;
            self.bytes -= read;
            total += read;
            let (is_packet, left) = (slot.is_packet, slot.end - slot.start);
            if left > 0 && !is_packet {
                break;
            }
            self.bytes -= left;
            self.drop_first();
            if is_packet {
                break;
            }
        }
        Ok(total)
    }

    /// Copies what fits into `out`, and leaves it; returns how much.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let mut total = 0;
        for slot in &self.slots {
            let len = (slot.end - slot.start).min(out.len() - total);
            slot.frame.read(slot.start, &mut out[total..total + len]);
            total += len;
        }
        total
    }

    /// Puts bytes in front of all others, whether there is room or not.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn put_back(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.rchunks(PAGE_SIZE) {
            let frame = UFrame::alloc_dirty()?;
            frame.write(0, chunk);
            self.slots.push_front(Slot { frame, start: 0, end: chunk.len(), is_packet: false });
            self.bytes += chunk.len();
        }
        Ok(())
    }

    /// What does not fill pages goes behind what the last page holds, if all of it fits there.
    fn append_to_last(&mut self, reader: &mut VmReader<'_>) -> Result<usize> {
        let tail = reader.remaining() % PAGE_SIZE;
        match self.slots.back_mut() {
            Some(last) if tail > 0 && !last.is_packet && last.end + tail <= PAGE_SIZE => {
                let written = last.frame.write_from(last.end, tail, reader)?;
                last.end += written;
                self.bytes += written;
                Ok(written)
            }
            _ => Ok(0),
        }
    }

    fn write_slot(&mut self, reader: &mut VmReader<'_>, len: usize, is_packet: bool) -> Result<usize> {
        let frame = match self.spare.iter_mut().find_map(Option::take) {
            Some(frame) => frame,
            None => UFrame::alloc_dirty()?,
        };
        match frame.write_from(0, len, reader) {
            Ok(written) => {
                self.slots.push_back(Slot { frame, start: 0, end: written, is_packet });
                self.bytes += written;
                Ok(written)
            }
            Err(error) => {
                self.keep(frame);
                Err(error.into())
            }
        }
    }

    fn drop_first(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.keep(slot.frame);
        }
    }

    fn keep(&mut self, frame: UFrame) {
        if let Some(place) = self.spare.iter_mut().find(|place| place.is_none()) {
            *place = Some(frame);
        }
    }
}
