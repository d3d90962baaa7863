//! The order in which one CPU runs what is runnable (sched(7)): real-time by priority, then everybody else by the time they have
//! had, weighted by their nice value.
//!
//! [`RunQueue`] is generic over the tasks, so that it can be tested on the host. Virtual time is nanoseconds run, times
//! [`NICE_0_WEIGHT`], divided by the task's weight: who has least goes next.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;
mod weight;

pub use weight::{IDLE_WEIGHT, NICE_0_WEIGHT, virtual_ns, weight};

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Ordering;

/// How a task stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// SCHED_FIFO and SCHED_RR, priority 1..=99: before all that are lower and all that are fair.
    RealTime(u8),
    /// By virtual time, in nanoseconds.
    Fair(u64),
}

/// The highest real-time priority.
pub const MAX_PRIORITY: u8 = 99;

/// Runnable tasks of one CPU.
#[derive(Debug)]
pub struct RunQueue<T> {
    /// One list for each priority that has ever been used, indexed by it.
    real_time: Vec<VecDeque<T>>,
    /// Which lists have tasks.
    occupied: u128,
    fair: BinaryHeap<Entry<T>>,
    /// Grows with each push, so that equals keep their order.
    sequence: u64,
    /// The least virtual time there is; never goes back. New tasks start here.
    floor: u64,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    virtual_ns: u64,
    sequence: u64,
    task: T,
}

impl<T> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> RunQueue<T> {
    /// Without tasks.
    pub const fn new() -> Self {
        Self { real_time: Vec::new(), occupied: 0, fair: BinaryHeap::new(), sequence: 0, floor: 0, len: 0 }
    }

    /// How many tasks wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The least virtual time, where a task that has not run lately begins.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Adds a task; a real-time one goes `first` or last among its equals.
    pub fn push(&mut self, rank: Rank, task: T, first: bool) {
        self.len += 1;
        match rank {
            Rank::RealTime(priority) => {
                let priority = usize::from(priority.min(MAX_PRIORITY));
                if self.real_time.len() <= priority {
                    self.real_time.resize_with(priority + 1, VecDeque::new);
                }
                if first {
                    self.real_time[priority].push_front(task);
                } else {
                    self.real_time[priority].push_back(task);
                }
                self.occupied |= 1 << priority;
            }
            Rank::Fair(virtual_ns) => {
                self.sequence += 1;
                self.fair.push(Entry { virtual_ns, sequence: self.sequence, task });
            }
        }
    }

    /// The rank of the task that is next.
    pub fn peek(&self) -> Option<Rank> {
        match self.top_priority() {
            Some(priority) => Some(Rank::RealTime(priority)),
            None => self.fair.peek().map(|entry| Rank::Fair(entry.virtual_ns)),
        }
    }

    /// Takes the task that is next.
    pub fn pop(&mut self) -> Option<T> {
        let task = match self.top_priority() {
            Some(priority) => self.pop_real_time(priority),
            None => self.fair.pop().map(|entry| entry.task),
        }?;
        self.len -= 1;
        Some(task)
    }

    /// Takes, for another CPU, the task that would wait longest here among those that `may_go`.
    pub fn steal(&mut self, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let victim = self
            .fair
            .iter()
            .filter(|entry| may_go(&entry.task))
            .max_by_key(|entry| (entry.virtual_ns, entry.sequence))
            .map(|entry| entry.sequence);
        let stolen = match victim {
            Some(sequence) => self.take_fair(sequence),
            None => self.steal_real_time(may_go),
        }?;
        self.len -= 1;
        Some(stolen)
    }

    /// Moves the floor up to the least of what waits and `running`, what runs.
    pub fn raise_floor(&mut self, running: Option<u64>) {
        let waiting = self.fair.peek().map(|entry| entry.virtual_ns);
        if let Some(least) = running.into_iter().chain(waiting).min() {
            self.floor = self.floor.max(least);
        }
    }

    fn take_fair(&mut self, sequence: u64) -> Option<T> {
        let mut entries = core::mem::take(&mut self.fair).into_vec();
        let at = entries.iter().position(|entry| entry.sequence == sequence);
        let taken = at.map(|at| entries.swap_remove(at).task);
        self.fair = entries.into();
        taken
    }

    fn steal_real_time(&mut self, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let (priority, at) = self
            .real_time
            .iter()
            .enumerate()
            .find_map(|(priority, list)| Some((priority, list.iter().position(&may_go)?)))?;
        let taken = self.real_time[priority].remove(at);
        self.note_empty(priority);
        taken
    }

    fn top_priority(&self) -> Option<u8> {
        (self.occupied != 0).then(|| (127 - self.occupied.leading_zeros()) as u8)
    }

    fn pop_real_time(&mut self, priority: u8) -> Option<T> {
        let priority = usize::from(priority);
        let task = self.real_time.get_mut(priority)?.pop_front();
        self.note_empty(priority);
        task
    }

    fn note_empty(&mut self, priority: usize) {
        if self.real_time[priority].is_empty() {
            self.occupied &= !(1 << priority);
        }
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: least virtual time first, then who came first.
        (other.virtual_ns, other.sequence).cmp(&(self.virtual_ns, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}
