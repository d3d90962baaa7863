//! What a process does with each signal (sigaction(2)); shared between processes after CLONE_SIGHAND.

use super::{DefaultAction, SigSet, Signal};
use coffer_abi_types::signal::{SIG_DFL, SIG_IGN, sigaction};
use core::sync::atomic::{AtomicU64, Ordering};
use ostd::sync::SpinLock;

/// One disposition, as the ABI has it.
pub type SigAction = sigaction;

/// What is to be done with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing.
    Ignore,
    /// The default, which is not to ignore it.
    Default(DefaultAction),
    /// A handler.
    Handler,
}

/// The 64 dispositions.
#[derive(Debug)]
pub struct Actions {
    table: SpinLock<[SigAction; 64]>,
    /// The signals that are ignored, explicitly or by default: what senders look at.
    ignored: AtomicU64,
}

/// Ignored by default.
const IGNORED_BY_DEFAULT: SigSet = SigSet::of(&[Signal::CHLD, Signal::URG, Signal::WINCH, Signal::CONT]);

impl Actions {
    /// All default.
    pub fn new() -> Self {
        Self {
            table: SpinLock::new([SigAction::default(); 64]),
            ignored: AtomicU64::new(IGNORED_BY_DEFAULT.0),
        }
    }

    /// A copy, for fork.
    pub fn duplicate(&self) -> Self {
        let table = self.table.lock_irq();
        Self { table: SpinLock::new(*table), ignored: AtomicU64::new(self.ignored.load(Ordering::Relaxed)) }
    }

    /// The action for `signal`.
    pub fn action(&self, signal: Signal) -> SigAction {
        self.table.lock_irq()[signal.number() as usize - 1]
    }

    /// Replaces the action for `signal`; returns the one before.
    pub fn set_action(&self, signal: Signal, action: SigAction) -> SigAction {
        let mut table = self.table.lock_irq();
        let old = core::mem::replace(&mut table[signal.number() as usize - 1], action);
        let one = SigSet::of(&[signal]).0;
        if is_ignored(signal, &action) {
            self.ignored.fetch_or(one, Ordering::SeqCst);
        } else {
            self.ignored.fetch_and(!one, Ordering::SeqCst);
        }
        old
    }

    /// The signals whose disposition is to ignore them.
    pub fn ignored(&self) -> SigSet {
        SigSet(self.ignored.load(Ordering::SeqCst))
    }

    /// The signals that have a handler (for /proc).
    pub fn caught(&self) -> SigSet {
        let table = self.table.lock_irq();
        let mut set = SigSet::EMPTY;
        for (index, action) in table.iter().enumerate() {
            if action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN {
                set.0 |= 1 << index;
            }
        }
        set
    }

    /// The signals that are set to SIG_IGN (for /proc).
    pub fn explicitly_ignored(&self) -> SigSet {
        let table = self.table.lock_irq();
        let mut set = SigSet::EMPTY;
        for (index, action) in table.iter().enumerate() {
            if action.sa_handler == SIG_IGN {
                set.0 |= 1 << index;
            }
        }
        set
    }

    /// Handlers become the default (execve(2)); with `all`, SIG_IGN as well (CLONE_CLEAR_SIGHAND leaves it: `false`).
    pub fn reset_handlers(&self) {
        let mut table = self.table.lock_irq();
        let mut ignored = 0;
        for (index, action) in table.iter_mut().enumerate() {
            let handler = if action.sa_handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { sa_handler: handler, ..SigAction::default() };
            if let Some(signal) = Signal::new(index as i32 + 1)
                && is_ignored(signal, action)
            {
                ignored |= SigSet::of(&[signal]).0;
            }
        }
        self.ignored.store(ignored, Ordering::SeqCst);
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

/// What `action` makes of `signal`.
pub fn disposition(signal: Signal, action: &SigAction) -> Disposition {
    match action.sa_handler {
        SIG_DFL => match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Continue => Disposition::Ignore,
            default => Disposition::Default(default),
        },
        SIG_IGN => Disposition::Ignore,
        _ => Disposition::Handler,
    }
}

fn is_ignored(signal: Signal, action: &SigAction) -> bool {
    disposition(signal, action) == Disposition::Ignore
}
