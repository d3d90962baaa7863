//! Virtio devices: named console ports become character devices, network cards links; disks are [`super::disk`]'s.

mod entropy;
mod port;

use super::disk::Disks;
use crate::net::link::ethernet;
use crate::random;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_virtio::{Device, Error, id};
use coffer_virtio_console::{Console, Port, settle_deadline_ns};
use coffer_virtio_net::VirtioNet;
use core::sync::atomic::{AtomicU32, Ordering};
use ostd::pci::Function;
use ostd::sync::SpinLock;
use ostd::task::Task;

/// Whether there is a driver for `function`.
pub fn has_driver(function: &Function) -> bool {
    let known = [id::BLOCK, id::SCSI, id::ENTROPY, id::NETWORK, id::CONSOLE];
    Device::probe(function).is_some_and(|id| known.contains(&id))
}

/// Brings one up, if `function` is one that there is a driver for; disks go to `disks`.
pub fn add(function: Function, disks: &mut Disks) -> Result<(), Error> {
    match Device::probe(&function) {
        Some(id::BLOCK) => disks.add_virtio(function),
        Some(id::SCSI) => disks.add_scsi(function),
        Some(id::ENTROPY) => entropy::add(function),
        Some(id::NETWORK) => add_network(function),
        Some(id::CONSOLE) => add_console(function),
        _ => Ok(()),
    }
}

fn add_network(function: Function) -> Result<(), Error> {
    let device = VirtioNet::new(function, |mac| random::fill(mac))?;
    ethernet::add(device).map_err(|_| Error::Resource)
}

/// Devices live as long as the kernel: dropping one resets it.
static CONSOLES: SpinLock<Vec<Arc<Console>>> = SpinLock::new(Vec::new());

fn add_console(function: Function) -> Result<(), Error> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let console = Console::new(function)?;
    let on_port = move |new: &Arc<Port>| port::register(number, new);
    // Ports that are there at boot must be there for /init.
    console.settle(settle_deadline_ns(), &on_port);
    CONSOLES.lock().push(console.clone());
    let nothing: Arc<()> = Arc::new(());
    let policy = crate::sched::start_values(false);
    Task::new(move || console.serve(&on_port), nothing, policy)?.start();
    Ok(())
}
