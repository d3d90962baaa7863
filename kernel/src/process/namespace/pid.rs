//! Pid namespaces (pid_namespaces(7)): numbers of their own, and a first process whose end is the end of all in it.

use super::user::UserNamespace;
use super::{NamespaceId, leave};
use crate::error::{Errno, Error, Result};
use crate::process::Process;
use crate::process::pid::Pid;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use ostd::sync::{Lazy, SpinLock, WaitQueue};

/// One past the highest number (/proc/sys/kernel/pid_max), as Linux has it by default on small machines.
pub const PID_MAX: u32 = 32768;
/// Numbers below this are handed out once only, before the first wrap.
const RESERVED: u32 = 300;
/// The deepest nesting.
const MAX_LEVEL: usize = 32;

/// A pid namespace.
#[derive(Debug)]
pub struct PidNamespace {
    id: NamespaceId,
    level: usize,
    parent: Option<Arc<Self>>,
    owner: Arc<UserNamespace>,
    numbers: SpinLock<Numbers>,
    /// Woken whenever a number is released: its init, at its end, waits here for the others.
    released: WaitQueue,
}

#[derive(Debug)]
struct Numbers {
    last: u32,
    taken: BTreeMap<u32, Weak<Pid>>,
    init: Weak<Process>,
    has_ended: bool,
}

static INITIAL: Lazy<Arc<PidNamespace>> =
    Lazy::new(|| Arc::new(PidNamespace::with(0, None, UserNamespace::initial())));

impl PidNamespace {
    fn with(level: usize, parent: Option<Arc<Self>>, owner: &Arc<UserNamespace>) -> Self {
        let numbers = Numbers { last: 0, taken: BTreeMap::new(), init: Weak::new(), has_ended: false };
        Self {
            id: NamespaceId::allocate(),
            level,
            parent,
            owner: owner.clone(),
            numbers: SpinLock::new(numbers),
            released: WaitQueue::new(),
        }
    }

    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new one inside of `parent`.
    ///
    /// # Errors
    /// ENOSPC past 32 levels (user_namespaces(7)); EINVAL if `owner` is not inside of the parent's owner; EPERM in the initial one without
    /// leave ([`leave`]), which is taken even if nothing comes of it.
    pub fn new(parent: &Arc<Self>, owner: &Arc<UserNamespace>) -> Result<Arc<Self>> {
        if !parent.owner.contains(owner) {
            return Err(Errno::EINVAL.into());
        }
        if parent.level + 1 >= MAX_LEVEL {
            return Err(Error::with(Errno::ENOSPC, "pid namespaces nest too deeply"));
        }
        if parent.level == 0 {
            leave::take()?;
        }
        Ok(Arc::new(Self::with(parent.level + 1, Some(parent.clone()), owner)))
    }

    /// Its number for /proc/PID/ns/pid.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// How many namespaces are around it.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The one around it.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// Whether `self` is `other` or around it.
    pub fn contains(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut next = Some(other);
        while let Some(namespace) = next {
            if Arc::ptr_eq(self, namespace) {
                return true;
            }
            next = namespace.parent();
        }
        false
    }

    /// Its process 1.
    pub fn init(&self) -> Option<Arc<Process>> {
        self.numbers.lock_irq().init.upgrade()
    }

    /// Names its process 1.
    pub fn set_init(&self, process: &Arc<Process>) {
        self.numbers.lock_irq().init = Arc::downgrade(process);
    }

    /// No number is handed out any more: its init ends.
    pub fn end(&self) {
        self.numbers.lock_irq().has_ended = true;
    }

    /// Who has `number` here.
    pub fn find(&self, number: u32) -> Option<Arc<Pid>> {
        self.numbers.lock_irq().taken.get(&number)?.upgrade()
    }

    /// The first number at or after `from` that is in use, and who has it.
    pub fn next_from(&self, from: u32) -> Option<(u32, Arc<Pid>)> {
        let numbers = self.numbers.lock_irq();
        numbers.taken.range(from..).find_map(|(number, pid)| Some((*number, pid.upgrade()?)))
    }

    /// All that have a number here.
    pub fn all(&self) -> Vec<Arc<Pid>> {
        self.numbers.lock_irq().taken.values().filter_map(Weak::upgrade).collect()
    }

    /// How many numbers are in use.
    pub fn len(&self) -> usize {
        self.numbers.lock_irq().taken.len()
    }

    /// The number handed out last (/proc/loadavg).
    pub fn last(&self) -> u32 {
        self.numbers.lock_irq().last
    }

    /// Where to wait for numbers to be released.
    pub fn released(&self) -> &WaitQueue {
        &self.released
    }

    /// Takes a number: `wanted`, or the next free one.
    pub(in crate::process) fn take_number(&self, wanted: Option<u32>) -> Result<u32> {
        let mut numbers = self.numbers.lock_irq();
        if numbers.has_ended {
            return Err(Error::with(Errno::ENOMEM, "the pid namespace's init has ended"));
        }
        let number = match wanted {
            Some(0) => return Err(Errno::EINVAL.into()),
            Some(number) if number >= PID_MAX => return Err(Errno::EINVAL.into()),
            Some(number) if numbers.taken.contains_key(&number) => return Err(Errno::EEXIST.into()),
            Some(number) => number,
            None => {
                let number = numbers.next_free().ok_or(Error::new(Errno::EAGAIN))?;
                numbers.last = number;
                number
            }
        };
        numbers.taken.insert(number, Weak::new());
        Ok(number)
    }

    /// Says who took `number`.
    pub(in crate::process) fn enter(&self, number: u32, pid: &Arc<Pid>) {
        self.numbers.lock_irq().taken.insert(number, Arc::downgrade(pid));
    }

    /// Gives `number` back.
    pub(in crate::process) fn release(&self, number: u32) {
        let old = self.numbers.lock_irq().taken.remove(&number);
        drop(old);
        self.released.wake_all();
    }
}

impl Numbers {
    fn next_free(&self) -> Option<u32> {
        let mut candidate = self.last + 1;
        let mut has_wrapped = false;
        loop {
            if candidate >= PID_MAX {
                if has_wrapped {
                    return None;
                }
                has_wrapped = true;
                candidate = RESERVED;
            }
            if !self.taken.contains_key(&candidate) {
                return Some(candidate);
            }
            candidate += 1;
        }
    }
}
