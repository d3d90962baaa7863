//! The end of network namespaces. The last reference may go anywhere, under locks and in interrupts, so what is to be done about links
//! is done later, by the network task.

use super::backlog;
use super::link::Link;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::SpinLock;

/// Links of namespaces that are gone.
static ORPHANS: SpinLock<Vec<Arc<Link>>> = SpinLock::new(Vec::new());

/// Leaves the links of a namespace that goes away to the network task.
pub fn bury(links: impl Iterator<Item = Arc<Link>>) {
    let mut links = links.filter(|link| !link.is_loopback()).peekable();
    if links.peek().is_some() {
        ORPHANS.lock_irq().extend(links);
        backlog::wake_server();
    }
}

/// Whether there is something to do.
pub fn is_due() -> bool {
    !ORPHANS.lock_irq().is_empty()
}

/// Does it.
pub fn run() {
    let orphans = core::mem::take(&mut *ORPHANS.lock_irq());
    for link in orphans {
        link.outlive_namespace();
    }
}
