//! Virtio devices: disks become block devices, named console ports character devices, network cards links.

mod entropy;
mod port;

use super::registry;
use crate::net::link::ethernet;
use crate::random;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use coffer_virtio::{Device, id};
use coffer_virtio_blk::VirtioBlk;
use coffer_virtio_console::{Console, Port, settle_deadline_ns};
use coffer_virtio_net::VirtioNet;
use ostd::pci::Function;
use ostd::sync::SpinLock;
use ostd::task::Task;

/// Brings up what the bus has. A device that cannot be used gets a warning and is left alone.
pub fn probe() {
    let (mut disks, mut consoles) = (0, 0);
    for function in ostd::pci::take_all() {
        let location = function.location();
        let result = match Device::probe(&function) {
            Some(id::BLOCK) => add_disk(function, &mut disks),
            Some(id::ENTROPY) => entropy::add(function),
            Some(id::NETWORK) => add_network(function),
            Some(id::CONSOLE) => add_console(function, &mut consoles),
            _ => continue,
        };
        if let Err(error) = result {
            log::warn!("virtio device at {location:?} left alone: {error:?}");
        }
    }
}

fn add_disk(function: Function, count: &mut u8) -> Result<(), coffer_virtio::Error> {
    let disk = VirtioBlk::new(function)?;
    // As many letters as there are: a machine with more disks than that names none of the rest.
    if *count < 26 {
        registry::register_block(&format!("vd{}", char::from(b'a' + *count)), disk);
        *count += 1;
    }
    Ok(())
}

fn add_network(function: Function) -> Result<(), coffer_virtio::Error> {
    let device = VirtioNet::new(function, |mac| random::fill(mac))?;
    ethernet::add(device).map_err(|_| coffer_virtio::Error::Resource)
}

/// Devices live as long as the kernel: dropping one resets it.
static CONSOLES: SpinLock<Vec<Arc<Console>>> = SpinLock::new(Vec::new());

fn add_console(function: Function, count: &mut u32) -> Result<(), coffer_virtio::Error> {
    let number = *count;
    *count += 1;
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
