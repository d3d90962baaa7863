//! Against a simulated controller, which may be slow, broken or lying.

extern crate std;

use core::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use crate::identify::{self, Page};
use crate::{
    COMPLETION_LEN, Clock, Command, Completion, Controller, Fault, Memory, PAGE, Pages, QueueError,
    QueuePair, Registers, SUBMISSION_LEN,
};

const ENTRIES: u16 = 4;
/// Queues of 64 entries, half a second, the NVM command set.
const CAPABILITIES: u64 = 63 | 1 << 24 | 1 << 37;

/// Memory that two see.
#[derive(Clone, Debug)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    fn new(len: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0; len])))
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.0.borrow()[at..].first_chunk().unwrap()
    }
}

impl Memory for Shared {
    fn load_u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.get(offset))
    }

    fn store_u32(&self, offset: usize, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    fn store_u64(&self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }
}

/// The registers of a controller that follows its enable bit after some reads of its status.
struct Simulated {
    capabilities: u64,
    configuration: Cell<u32>,
    status: Cell<u32>,
    /// Reads of the status until it follows; `None`: never.
    delay: Option<u32>,
    reads: Cell<u32>,
    writes: RefCell<Vec<(usize, u32)>>,
    len: usize,
}

impl Simulated {
    fn new(delay: Option<u32>) -> Self {
        Self {
            capabilities: CAPABILITIES,
            configuration: Cell::new(0),
            status: Cell::new(0),
            delay,
            reads: Cell::new(0),
            writes: RefCell::default(),
            len: 0x2000,
        }
    }
}

impl Registers for &Simulated {
    fn read_u32(&self, offset: usize) -> u32 {
        match offset {
            0 => self.capabilities as u32,
            4 => (self.capabilities >> 32) as u32,
            0x14 => self.configuration.get(),
            0x1c => {
                self.reads.set(self.reads.get() + 1);
                if self.delay.is_some_and(|delay| self.reads.get() > delay) {
                    self.status.set(self.status.get() & !1 | self.configuration.get() & 1);
                }
                self.status.get()
            }
            _ => 0,
        }
    }

    fn write_u32(&self, offset: usize, value: u32) {
        if offset == 0x14 {
            self.configuration.set(value);
            self.reads.set(0);
        }
        self.writes.borrow_mut().push((offset, value));
    }

    fn has(&self, offset: usize) -> bool {
        offset + 4 <= self.len
    }
}

/// Each pause is a tenth of a second.
#[derive(Default)]
struct Ticks(Cell<u64>);

impl Clock for Ticks {
    fn now_ms(&self) -> u64 {
        self.0.get()
    }

    fn pause(&self) {
        self.0.set(self.0.get() + 100);
    }
}

fn pair() -> (QueuePair<Shared, u32>, Shared, Shared) {
    let submissions = Shared::new(usize::from(ENTRIES) * SUBMISSION_LEN);
    let completions = Shared::new(usize::from(ENTRIES) * COMPLETION_LEN);
    (QueuePair::new(1, ENTRIES, submissions.clone(), completions.clone()), submissions, completions)
}

/// Writes a completion as a controller does.
fn complete(memory: &Shared, slot: usize, id: u16, queue: u16, head: u16, status: u16, phase: bool) {
    let at = slot * COMPLETION_LEN;
    memory.store_u32(at, 0x1234_5678);
    memory.store_u32(at + 8, u32::from(queue) << 16 | u32::from(head));
    memory.store_u32(at + 12, u32::from(status) << 17 | u32::from(phase) << 16 | u32::from(id));
}

#[test]
fn a_controller_is_started_with_its_queues_and_stopped() {
    let simulated = Simulated::new(Some(3));
    let controller = Controller::new(&simulated).unwrap();
    let clock = Ticks::default();
    assert_eq!(controller.capabilities().entries, 64);
    controller.stop(&clock).unwrap();
    controller.start(&clock, 32, 0x1_2345_6000, 0x7000).unwrap();
    let expected = [
        (0x24, 31 << 16 | 31),
        (0x28, 0x2345_6000),
        (0x2c, 1),
        (0x30, 0x7000),
        (0x34, 0),
        (0x14, 4 << 20 | 6 << 16 | 1),
    ];
    assert_eq!(*simulated.writes.borrow(), expected);
    controller.stop(&clock).unwrap();
    assert_eq!(simulated.status.get() & 1, 0);
}

#[test]
fn one_that_does_not_answer_is_given_up_in_time() {
    let simulated = Simulated::new(None);
    let controller = Controller::new(&simulated).unwrap();
    let clock = Ticks::default();
    assert_eq!(controller.start(&clock, 2, 0, 0), Err(Fault::Timeout));
    assert_eq!(simulated.configuration.get() & 1, 0, "it is told to stop");
    assert!(clock.now_ms() <= 3_000, "{} ms", clock.now_ms());
    // It never stops being ready.
    simulated.status.set(1);
    assert_eq!(controller.stop(&clock), Err(Fault::Timeout));
}

#[test]
fn one_that_fails_or_vanishes_is_given_up_at_once() {
    let simulated = Simulated::new(Some(0));
    let controller = Controller::new(&simulated).unwrap();
    let clock = Ticks::default();
    simulated.status.set(2);
    assert_eq!(controller.start(&clock, 2, 0, 0), Err(Fault::Failed));
    let gone = Simulated { delay: None, ..Simulated::new(None) };
    gone.status.set(u32::MAX);
    assert_eq!(Controller::new(&gone).unwrap().stop(&clock), Err(Fault::Failed));
    assert_eq!(clock.now_ms(), 0);
    let absent = Simulated { capabilities: u64::MAX, ..Simulated::new(None) };
    assert_eq!(Controller::new(&absent).err(), Some(Fault::Failed));
}

#[test]
fn capabilities_that_do_not_fit_are_refused() {
    for capabilities in [
        // One entry; no NVM commands; pages of 8 KiB at least.
        CAPABILITIES & !0xffff,
        CAPABILITIES & !(1 << 37),
        CAPABILITIES | 1 << 48,
    ] {
        let simulated = Simulated { capabilities, ..Simulated::new(None) };
        assert_eq!(Controller::new(&simulated).err(), Some(Fault::Unsupported), "{capabilities:#x}");
    }
}

#[test]
fn doorbells_lie_in_the_bar_or_are_refused() {
    let simulated = Simulated { len: 0x1010, ..Simulated::new(None) };
    let controller = Controller::new(&simulated).unwrap();
    assert_eq!(controller.check_doorbells(1), Ok(()));
    assert_eq!(controller.check_doorbells(2), Err(Fault::Unsupported));
    assert_eq!(controller.check_doorbells(u16::MAX), Err(Fault::Unsupported));
    controller.ring_completions(1, 3);
    assert_eq!(simulated.writes.borrow().last(), Some(&(0x100c, 3)));
    // The widest stride.
    let simulated = Simulated { capabilities: CAPABILITIES | 15 << 32, ..Simulated::new(None) };
    let controller = Controller::new(&simulated).unwrap();
    assert_eq!(controller.check_doorbells(0), Err(Fault::Unsupported));
}

#[test]
fn a_command_stands_where_the_specification_has_it() {
    let (mut queue, submissions, _) = pair();
    let pages = Pages { first: 0x1000, rest: 0x2000 };
    queue
        .submit(7, |id| {
            Command::read(9, 0x1_0000_0002, 16, Pages { rest: pages.rest + u64::from(id), ..pages })
        })
        .unwrap();
    assert_eq!(queue.tail(), 1);
    assert_eq!(submissions.get(0), [2, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(u64::from_le_bytes(submissions.get(24)), 0x1000);
    assert_eq!(u64::from_le_bytes(submissions.get(32)), 0x2000);
    assert_eq!(u64::from_le_bytes(submissions.get(40)), 0x1_0000_0002);
    assert_eq!(u32::from_le_bytes(submissions.get(48)), 15);
}

#[test]
fn commands_come_back_in_any_order_and_the_rings_go_round() {
    let (mut queue, _, completions) = pair();
    let mut slot = 0;
    let mut phase = true;
    for round in 0..10_u32 {
        for index in 0..3 {
            queue.submit(3 * round + index, |_| Command::flush(1)).unwrap();
        }
        assert_eq!(queue.submit(99, |_| Command::flush(1)), Err((QueueError::Full, 99)));
        let mut back = Vec::new();
        for id in [2, 0, 1] {
            assert_eq!(queue.pop(), Ok(None));
            complete(&completions, slot, id, 1, 0, 0, phase);
            slot = (slot + 1) % usize::from(ENTRIES);
            phase ^= slot == 0;
            let (token, completion) = queue.pop().unwrap().unwrap();
            assert!(completion.is_success());
            assert_eq!(completion.result, 0x1234_5678);
            back.push(token);
        }
        back.sort_unstable();
        assert_eq!(back, [3 * round, 3 * round + 1, 3 * round + 2]);
        assert_eq!(usize::from(queue.head()), slot);
    }
}

#[test]
fn an_error_is_told_from_success() {
    let (mut queue, _, completions) = pair();
    queue.submit(1, |_| Command::flush(1)).unwrap();
    // "More", "do not retry", media error.
    complete(&completions, 0, 0, 1, 0, 0x6281, true);
    let (_, completion) = queue.pop().unwrap().unwrap();
    assert_eq!(completion, Completion { result: 0x1234_5678, status: 0x281 });
    assert!(!completion.is_success());
}

#[test]
fn completions_of_what_is_not_out_break_the_queue() {
    for (id, queue_id, head) in [
        // Not out; out of range; another queue's; a head that there is not.
        (1, 1, 0),
        (3, 1, 0),
        (u16::MAX, 1, 0),
        (0, 2, 0),
        (0, 0, 0),
        (0, 1, ENTRIES),
        (0, 1, u16::MAX),
    ] {
        let (mut queue, _, completions) = pair();
        queue.submit(5, |_| Command::flush(1)).unwrap();
        complete(&completions, 0, id, queue_id, head, 0, true);
        assert_eq!(queue.pop(), Err(QueueError::Broken), "{id} {queue_id} {head}");
        assert_eq!(queue.pop(), Err(QueueError::Broken), "and stays broken");
        assert_eq!(queue.submit(6, |_| Command::flush(1)), Err((QueueError::Broken, 6)));
        assert_eq!(queue.drain(), [5]);
    }
}

#[test]
fn one_command_is_not_completed_twice() {
    let (mut queue, _, completions) = pair();
    queue.submit(5, |_| Command::flush(1)).unwrap();
    complete(&completions, 0, 0, 1, 1, 0, true);
    complete(&completions, 1, 0, 1, 1, 0, true);
    assert!(matches!(queue.pop(), Ok(Some((5, _)))));
    assert_eq!(queue.pop(), Err(QueueError::Broken));
}

#[test]
fn a_restarted_queue_does_not_see_old_completions() {
    let (mut queue, _, completions) = pair();
    for _ in 0..3 {
        queue.submit(1, |_| Command::flush(1)).unwrap();
    }
    complete(&completions, 0, 0, 1, 0, 0, true);
    assert!(queue.pop().unwrap().is_some());
    assert_eq!(queue.drain().len(), 2);
    queue.restart();
    queue.submit(2, |_| Command::flush(1)).unwrap();
    assert_eq!((queue.pop(), queue.tail()), (Ok(None), 1));
}

fn controller_page() -> Page {
    let mut page = [0; PAGE];
    page[4..24].copy_from_slice(b"coffer-image        ");
    page[512] = 0x66;
    page[513] = 0x44;
    page[525] = 1;
    page[77] = 7;
    page
}

fn namespace_page(blocks: u64, shift: u8) -> Page {
    let mut page = [0; PAGE];
    page[..8].copy_from_slice(&blocks.to_le_bytes());
    page[26] = 2;
    page[128 + 8 + 2] = shift;
    page
}

#[test]
fn descriptions_are_read() {
    let identity = identify::controller(&controller_page()).unwrap();
    assert_eq!(
        (identity.serial.as_slice(), identity.pages, identity.has_cache),
        (&b"coffer-image"[..], Some(128), true)
    );
    let namespace = identify::namespace(&namespace_page(1000, 12)).unwrap();
    assert_eq!((namespace.sectors, namespace.block_shift, namespace.is_read_only), (8000, 12, false));
    let mut list = [0; PAGE];
    list[..12].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(identify::namespaces(&list, 16), [1, 2, 9]);
    assert_eq!(identify::namespaces(&list, 2), [1, 2]);
    assert_eq!(identify::granted_queues(7 << 16 | 3), 4);
    assert_eq!(identify::granted_queues(u32::MAX), u16::MAX);
}

#[test]
fn descriptions_that_do_not_fit_are_refused() {
    for (blocks, shift) in
        [(0, 9), (1, 8), (1, 13), (1, 255), (u64::MAX, 12), (u64::MAX >> 3, 12), (u64::MAX, 9)]
    {
        assert_eq!(identify::namespace(&namespace_page(blocks, shift)), None, "{blocks} {shift}");
    }
    let mut with_metadata = namespace_page(8, 9);
    with_metadata[128 + 8] = 8;
    assert_eq!(identify::namespace(&with_metadata), None);
    for (at, sizes) in [(512, 0x77), (512, 0x55), (513, 0x55), (513, 0x33), (512, 0)] {
        let mut page = controller_page();
        page[at] = sizes;
        assert_eq!(identify::controller(&page), None, "{at} {sizes:#x}");
    }
    let mut odd = controller_page();
    odd[77] = 255;
    odd[5] = 0;
    let identity = identify::controller(&odd).unwrap();
    assert_eq!((identity.serial.as_slice(), identity.pages), (&b"c"[..], None));
    // Not ascending: the list ends there.
    let mut list = [0xff; PAGE];
    list[..8].copy_from_slice(&[5, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(identify::namespaces(&list, 1024), [5]);
}
