//! A console port as a character device: /dev/virtio-ports/NAME.

use crate::device::registry;
use crate::error::{Errno, Result};
use crate::event::{IoEvents, Pollee};
use crate::fs::open_file::{FileOps, OpenFile};
use crate::thread::wait;
use alloc::format;
use alloc::sync::Arc;
use coffer_virtio_console::{Port, PortError};
use ostd::mm::{VmReader, VmWriter};

/// First major number of ports: one for each console device, in the range for local use.
const FIRST_MAJOR: u32 = 240;

/// Registers a named port of console device `console`.
pub fn register(console: u32, port: &Arc<Port>) {
    let file = Arc::new(PortFile { port: port.clone(), pollee: Pollee::new() });
    port.observe({
        let file = Arc::downgrade(&file);
        move || {
            if let Some(file) = file.upgrade() {
                file.pollee.notify(IoEvents::IN | IoEvents::OUT | IoEvents::HUP);
            }
        }
    });
    let name = match port.name() {
        "" => format!("vport{console}p{}", port.number()),
        name => format!("virtio-ports/{name}"),
    };
    let open: Arc<dyn FileOps> = file;
    let registered =
        registry::register_char(FIRST_MAJOR + console, port.number(), &name, move |_, _, _| Ok(open.clone()));
    if registered.is_err() {
        log::warn!("/dev/{name} is taken");
    }
}

#[derive(Debug)]
struct PortFile {
    port: Arc<Port>,
    pollee: Pollee,
}

impl PortFile {
    fn transfer(
        &self,
        file: &OpenFile,
        events: IoEvents,
        mut attempt: impl FnMut() -> core::result::Result<usize, PortError>,
    ) -> Result<usize> {
        let mut step = || match attempt() {
            Err(PortError::WouldBlock) => None,
            done => Some(done),
        };
        let done = if file.is_nonblocking() {
            step().ok_or(Errno::EAGAIN)?
        } else {
            wait::wait_for_events(&self.pollee, events, None, step)?
        };
        done.map_err(|error| {
            match error {
                PortError::WouldBlock => Errno::EAGAIN,
                PortError::BadAddress => Errno::EFAULT,
                PortError::Device => Errno::EIO,
            }
            .into()
        })
    }
}

impl FileOps for PortFile {
    fn read(&self, file: &OpenFile, writer: &mut VmWriter<'_>) -> Result<usize> {
        if writer.remaining() == 0 {
            return Ok(0);
        }
        self.transfer(file, IoEvents::IN, || self.port.read(writer))
    }

    fn write(&self, file: &OpenFile, reader: &mut VmReader<'_>) -> Result<usize> {
        let mut total = 0;
        while reader.remaining() > 0 {
            match self.transfer(file, IoEvents::OUT, || self.port.write(reader)) {
                Ok(written) => total += written,
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn poll(&self, _file: &OpenFile) -> IoEvents {
        let mut events = IoEvents::empty();
        if self.port.is_readable() {
            events |= IoEvents::IN | IoEvents::RDNORM;
        }
        if self.port.is_writable() {
            events |= IoEvents::OUT | IoEvents::WRNORM;
        }
        if self.port.is_hung_up() {
            events |= IoEvents::HUP;
        }
        events
    }

    fn pollee(&self) -> Option<&Pollee> {
        Some(&self.pollee)
    }
}
