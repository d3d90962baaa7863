//! Packets that have come in and wait to be looked at, a queue for each namespace.
//!
//! Between the links of one machine a packet may pass through many namespaces. Were each handed on by a call, the depth of the stack
//! would be up to whoever made the links. So a link only queues ([`push`]), and the outermost caller of the network in a task, seeing the
//! queue, works it off: the sender of a packet carries it to its receiver, without another task's help, unless there is more than
//! [`BUDGET`]; the rest is the network task's.
//!
//! One namespace's packets are looked at by one task at a time, so they stay in order.

use super::ns::NetNs;
use super::packet::Packet;
use super::{teardown, timers};
use crate::error::Result;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use ostd::sync::{SpinLock, WaitQueue};
use ostd::task::Task;

/// Bytes that wait in one namespace at most; what comes then is dropped.
const LIMIT: usize = 4 << 20;
/// Packets that a task carries before it goes back to its own work.
const BUDGET: usize = 128;
/// Packets of one namespace before it is another's turn.
const TURN: usize = 32;
/// The bit of [`Task::word`] that says: in the network.
const IN_NETWORK: usize = 1;

/// A namespace's queue.
#[derive(Debug, Default)]
pub struct Backlog {
    queue: SpinLock<Queue>,
    /// Whether it is in [`PENDING`], or being worked off.
    is_pending: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Packet>,
    bytes: usize,
}

/// Namespaces with packets that nobody works at.
static PENDING: SpinLock<VecDeque<Arc<NetNs>>> = SpinLock::new(VecDeque::new());
/// The network task sleeps here.
static SERVER: WaitQueue = WaitQueue::new();

/// Starts the network task. Part of boot.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<()> {
    Task::new(serve, Arc::new(()), crate::sched::start_values(false))?.start();
    Ok(())
}

/// Lets the network task look for work.
pub fn wake_server() {
    SERVER.wake_one();
}

/// Queues what came in by `packet.link`, a link of `namespace`'s, for [`super::link::Link::receive`].
pub fn push(namespace: &Arc<NetNs>, packet: Packet) {
    let backlog = namespace.backlog();
    {
        let mut queue = backlog.queue.lock();
        let bytes = queue.bytes + packet.footprint();
        if bytes > LIMIT || queue.packets.try_reserve(1).is_err() {
            drop(queue);
            if let Some(link) = &packet.link {
                link.counters.drop_received();
            }
            return;
        }
        queue.bytes = bytes;
        queue.packets.push_back(packet);
    }
    if !backlog.is_pending.swap(true, Ordering::SeqCst) {
        PENDING.lock().push_back(namespace.clone());
    }
    run(|| ());
}

/// Does `work`; the outermost such call of a task works off what came of it. Take no lock around it that a receiver may want.
pub fn run<R>(work: impl FnOnce() -> R) -> R {
    let task = Task::current().expect("packets move in task context");
    if task.word().fetch_or(IN_NETWORK, Ordering::Relaxed) & IN_NETWORK != 0 {
        return work();
    }
    let result = work();
    drain();
    task.word().fetch_and(!IN_NETWORK, Ordering::Relaxed);
    result
}

/// The network task.
fn serve() {
    loop {
        SERVER.wait_until(|| {
            (!PENDING.lock().is_empty() || teardown::is_due() || timers::is_due()).then_some(())
        });
        teardown::run();
        timers::run();
        run(|| ());
        ostd::task::yield_now();
    }
}

fn drain() {
    let mut left = BUDGET;
    while left > 0 {
        let Some(namespace) = PENDING.lock().pop_front() else { return };
        let backlog = namespace.backlog();
        for _ in 0..TURN.min(left) {
            let Some(packet) = backlog.pop() else { break };
            left -= 1;
            if let Some(link) = packet.link.clone() {
                link.receive(packet);
            }
        }
        backlog.is_pending.store(false, Ordering::SeqCst);
        // Whoever queued in between saw that we were at it.
        if !backlog.is_empty() && !backlog.is_pending.swap(true, Ordering::SeqCst) {
            PENDING.lock().push_back(namespace);
        }
    }
    if !PENDING.lock().is_empty() {
        SERVER.wake_one();
    }
}

impl Backlog {
    fn pop(&self) -> Option<Packet> {
        let mut queue = self.queue.lock();
        let packet = queue.packets.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(packet.footprint());
        Some(packet)
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().packets.is_empty()
    }
}
