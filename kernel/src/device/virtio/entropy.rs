//! The host's entropy, stirred into the random generator by a task of its own: a device that does not answer holds up nobody.

use crate::random;
use alloc::sync::Arc;
use coffer_virtio::Error;
use coffer_virtio_rng::Entropy;
use ostd::pci::Function;
use ostd::sync::Waiter;
use ostd::task::Task;

/// Twice the generator's key.
const LEN: usize = 64;
/// How often there is more, in nanoseconds.
const INTERVAL_NS: u64 = 300 * 1_000_000_000;

/// Starts the device and the task.
pub fn add(function: Function) -> Result<(), Error> {
    let mut entropy = Entropy::new(function)?;
    let nothing: Arc<()> = Arc::new(());
    Task::new(move || serve(&mut entropy), nothing, crate::sched::start_values(false))?.start();
    Ok(())
}

/// Ends when the device breaks the rules; dropping it resets it.
fn serve(entropy: &mut Entropy) {
    let mut bytes = [0; LEN];
    loop {
        match entropy.fill(&mut bytes) {
            Ok(len) => {
                random::stir(&bytes[..len]);
                log::debug!("{len} bytes of entropy from the host");
            }
            Err(error) => {
                log::warn!("virtio entropy device given up: {error:?}");
                return;
            }
        }
        Waiter::new().wait_until(ostd::timer::now_ns() + INTERVAL_NS);
    }
}
