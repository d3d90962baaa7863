//! A submission queue and its completion queue (Base Specification, 3.3.1 and 3.3.3).
//!
//! Submissions are written by us and never read; completions are the controller's word. Which commands are out, and what the driver wants to
//! know when they come back, is kept here, outside of shared memory.

use alloc::vec::Vec;

use crate::command::Command;

/// Bytes of a submission.
pub const SUBMISSION_LEN: usize = 64;
/// Bytes of a completion.
pub const COMPLETION_LEN: usize = 16;

/// Memory that the controller sees too. Loads have acquire and stores release ordering; offsets are aligned and inside.
pub trait Memory {
    /// Loads four bytes.
    fn load_u32(&self, offset: usize) -> u32;
    /// Stores four bytes.
    fn store_u32(&self, offset: usize, value: u32);
    /// Stores eight bytes.
    fn store_u64(&self, offset: usize, value: u64);
}

/// Why a queue refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// No room for a command now.
    Full,
    /// The controller broke the rules, or was stopped; nothing goes on before [`QueuePair::restart`].
    Broken,
}

/// A command's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What the command is defined to answer.
    pub result: u32,
    /// Status code and its type (Base Specification, 3.3.3.2.1); 0 is success.
    pub status: u16,
}

impl Completion {
    /// Whether the command has succeeded.
    pub fn is_success(self) -> bool {
        self.status == 0
    }
}

/// The pair; `T` is what the driver wants back with a completion.
#[derive(Debug)]
pub struct QueuePair<M, T> {
    id: u16,
    entries: u16,
    submissions: M,
    completions: M,
    /// Where the next command goes.
    tail: u16,
    /// Where the next completion is looked for, and the phase that it has when it is new.
    head: u16,
    phase: bool,
    /// Commands out, by identifier: one less than there are entries, so that the ring never seems empty when it is full.
    out: Vec<Option<T>>,
    free: Vec<u16>,
    is_broken: bool,
}

impl<M: Memory, T> QueuePair<M, T> {
    /// A pair with `entries` (at least 2) in both of its zeroed memories.
    pub fn new(id: u16, entries: u16, submissions: M, completions: M) -> Self {
        let limit = entries.saturating_sub(1);
        Self {
            id,
            entries,
            submissions,
            completions,
            tail: 0,
            head: 0,
            phase: true,
            out: (0..limit).map(|_| None).collect(),
            free: (0..limit).rev().collect(),
            is_broken: false,
        }
    }

    /// Its number.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Entries in each of the two.
    pub fn entries(&self) -> u16 {
        self.entries
    }

    /// The memories: of submissions, of completions.
    pub fn memories(&self) -> [&M; 2] {
        [&self.submissions, &self.completions]
    }

    /// The submission doorbell's value.
    pub fn tail(&self) -> u16 {
        self.tail
    }

    /// The completion doorbell's value.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Whether nothing goes in or comes out.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Puts a command in; `build` is given its identifier, which no other command has that is out. The controller does not look before its
    /// doorbell rings.
    ///
    /// # Errors
    /// [`QueueError`], with the token.
    pub fn submit(&mut self, token: T, build: impl FnOnce(u16) -> Command) -> Result<(), (QueueError, T)> {
        if self.is_broken {
            return Err((QueueError::Broken, token));
        }
        let Some(id) = self.free.pop() else { return Err((QueueError::Full, token)) };
        let at = usize::from(self.tail) * SUBMISSION_LEN;
        for (index, word) in build(id).encode(id).into_iter().enumerate() {
            self.submissions.store_u64(at + 8 * index, word);
        }
        if let Some(slot) = self.out.get_mut(usize::from(id)) {
            *slot = Some(token);
        }
        self.tail = self.next(self.tail);
        Ok(())
    }

    /// Takes the next completion. As many as there are commands out come in a row at most, whatever the controller writes.
    ///
    /// # Errors
    /// [`QueueError::Broken`] when the controller completes what it does not have, or names a place that there is not.
    pub fn pop(&mut self) -> Result<Option<(T, Completion)>, QueueError> {
        if self.is_broken {
            return Err(QueueError::Broken);
        }
        let at = usize::from(self.head) * COMPLETION_LEN;
        // The last word first: it has the phase, and what stands before it is complete when that has changed.
        let last = self.completions.load_u32(at + 12);
        if (last >> 16 & 1 == 1) != self.phase {
            return Ok(None);
        }
        let queue = self.completions.load_u32(at + 8);
        let result = self.completions.load_u32(at);
        let id = last as u16;
        // Without "more" and "do not retry".
        let status = (last >> 17) as u16 & 0x7ff;
        let (submission_head, submission_queue) = (queue as u16, (queue >> 16) as u16);
        let is_ours = submission_queue == self.id && submission_head < self.entries;
        let token = self.out.get_mut(usize::from(id)).filter(|_| is_ours).and_then(Option::take);
        let Some(token) = token else {
            self.is_broken = true;
            return Err(QueueError::Broken);
        };
        self.free.push(id);
        self.head = self.next(self.head);
        if self.head == 0 {
            self.phase = !self.phase;
        }
        Ok(Some((token, Completion { result, status })))
    }

    /// The tokens of commands that are out.
    pub fn out(&self) -> impl Iterator<Item = &T> {
        self.out.iter().flatten()
    }

    /// Takes all tokens out, because the controller is broken or stopped.
    pub fn drain(&mut self) -> Vec<T> {
        self.is_broken = true;
        self.out.iter_mut().filter_map(Option::take).collect()
    }

    /// Begins anew, as the controller does that was stopped and started: both rings empty.
    pub fn restart(&mut self) {
        let limit = self.entries.saturating_sub(1);
        self.out = (0..limit).map(|_| None).collect();
        self.free = (0..limit).rev().collect();
        (self.tail, self.head, self.phase) = (0, 0, true);
        for entry in 0..usize::from(self.entries) {
            self.completions.store_u32(entry * COMPLETION_LEN + 12, 0);
        }
        self.is_broken = false;
    }

    fn next(&self, index: u16) -> u16 {
        let next = index + 1;
        if next == self.entries { 0 } else { next }
    }
}
