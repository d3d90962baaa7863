//! Semaphores (semget(2), semop(2)).
//!
//! A [`Set`] applies the operations of one call all at once or not at all; who cannot go on sleeps until something in the set has changed.
//! What SEM_UNDO is to take back at the end of a process is kept with the set, so that SETVAL can forget it for everybody.

use super::permissions::{READ, WRITE};
use super::trace::Trace;
use super::{Owner, Permissions, objects};
use crate::error::{Errno, Error, Result};
use crate::process::Process;
use crate::process::credentials::Credentials;
use crate::process::namespace::ipc::IpcNamespace;
use crate::process::namespace::pid::PidNamespace;
use crate::thread::wait;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use coffer_abi_types::ipc::flags::{IPC_NOWAIT, SEM_UNDO};
use coffer_abi_types::ipc::{sembuf, semid64_ds, seminfo};
use ostd::sync::{SpinLock, WaitQueue};

/// The most semaphores of a set, and of all (kernel.sem).
pub const SEMMSL: usize = 32000;
/// The most operations of a call.
pub const SEMOPM: usize = 500;
/// The most sets of a namespace.
pub const SEMMNI: usize = 32000;
/// The highest value, and the most that SEM_UNDO takes back.
pub const SEMVMX: u16 = 32767;

/// A set of semaphores.
#[derive(Debug)]
pub struct Set {
    id: i32,
    len: usize,
    state: SpinLock<State>,
    changed: WaitQueue,
}

#[derive(Debug)]
struct State {
    permissions: Permissions,
    semaphores: Vec<Semaphore>,
    /// What is to be taken back, by process.
    undo: BTreeMap<u32, Vec<i16>>,
    operated_at: i64,
    changed_at: i64,
    is_removed: bool,
}

#[derive(Clone, Debug, Default)]
struct Semaphore {
    value: u16,
    last: Trace,
    /// Who waits for it to rise, and to be zero.
    waiting: [usize; 2],
}

/// Why a call cannot go on: what it waits for.
#[derive(Clone, Copy, Debug)]
struct Block {
    semaphore: usize,
    is_for_zero: bool,
    may_wait: bool,
}

/// Sets that a process may have something to take back in.
#[derive(Debug, Default)]
pub struct UndoList(SpinLock<Vec<Weak<Set>>>);

impl UndoList {
    /// The process ends: takes back what SEM_UNDO has noted.
    pub fn run(&self, process: &Process) {
        let sets = core::mem::take(&mut *self.0.lock());
        for set in sets.iter().filter_map(Weak::upgrade) {
            set.take_back(process);
        }
    }

    fn note(&self, set: &Arc<Set>) -> Result<()> {
        let mut sets = self.0.lock();
        if sets.iter().any(|known| Weak::as_ptr(known) == Arc::as_ptr(set)) {
            return Ok(());
        }
        sets.retain(|known| known.strong_count() > 0);
        sets.try_reserve(1).map_err(|_| Error::new(Errno::ENOMEM))?;
        sets.push(Arc::downgrade(set));
        Ok(())
    }
}

impl objects::Object for Set {
    fn permissions(&self) -> Permissions {
        self.state.lock().permissions
    }
}

/// semget(2).
///
/// # Errors
/// EINVAL, and as [`super::Objects::get`].
pub fn get(namespace: &IpcNamespace, key: i32, len: i32, flags: u32, process: &Process) -> Result<i32> {
    let len = usize::try_from(len).ok().filter(|len| *len <= SEMMSL).ok_or(Error::new(Errno::EINVAL))?;
    let credentials = process.credentials();
    let fits = |set: &Set| if len > set.len { Err(Errno::EINVAL.into()) } else { Ok(()) };
    namespace.semaphores.get(key, flags, &credentials, fits, |id| {
        if len == 0 {
            return Err(Errno::EINVAL.into());
        }
        let mut semaphores = Vec::new();
        semaphores.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOMEM))?;
        semaphores.resize(len, Semaphore::default());
        let state = State {
            permissions: Permissions::new(key, flags, &credentials),
            semaphores,
            undo: BTreeMap::new(),
            operated_at: 0,
            changed_at: super::now(),
            is_removed: false,
        };
        Ok(Arc::new(Set { id, len, state: SpinLock::new(state), changed: WaitQueue::new() }))
    })
}

/// Limits (IPC_INFO) or, with `is_use`, what there is (SEM_INFO).
pub fn info(namespace: &IpcNamespace, is_use: bool) -> seminfo {
    let limits = seminfo {
        semmap: 1_024_000_000,
        semmni: SEMMNI as i32,
        semmns: 1_024_000_000,
        semmnu: 1_024_000_000,
        semmsl: SEMMSL as i32,
        semopm: SEMOPM as i32,
        semume: SEMOPM as i32,
        semusz: 20,
        semvmx: i32::from(SEMVMX),
        semaem: i32::from(SEMVMX),
    };
    if !is_use {
        return limits;
    }
    let all = namespace.semaphores.all();
    seminfo { semusz: all.len() as i32, semaem: all.iter().map(|(_, set)| set.len as i32).sum(), ..limits }
}

impl Set {
    /// How many semaphores it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// semtimedop(2); the deadline is monotonic.
    ///
    /// # Errors
    /// EACCES, EAGAIN, EFBIG, EIDRM, EINTR, ENOMEM, ERANGE.
    pub fn operate(
        self: &Arc<Self>,
        operations: &[sembuf],
        deadline_ns: Option<u64>,
        process: &Process,
    ) -> Result<()> {
        if operations.iter().any(|operation| usize::from(operation.sem_num) >= self.len) {
            return Err(Errno::EFBIG.into());
        }
        let changes = operations.iter().any(|operation| operation.sem_op != 0);
        self.state.lock().permissions.check(&process.credentials(), if changes { WRITE } else { READ })?;
        if operations.iter().any(|operation| operation.sem_flg & SEM_UNDO != 0 && operation.sem_op != 0) {
            process.semaphore_undo.note(self)?;
        }
        let block = match self.attempt(operations, process)? {
            Ok(()) => return Ok(()),
            Err(block) => block,
        };
        if !block.may_wait {
            return Err(Errno::EAGAIN.into());
        }
        let mut counted = None;
        let result = wait::wait_until(&self.changed, deadline_ns, || {
            let result = self.attempt(operations, process);
            let block = match &result {
                Ok(Err(block)) if block.may_wait => Some(*block),
                _ => None,
            };
            // GETNCNT and GETZCNT: counted where it stands now.
            self.count(counted.take(), block);
            counted = block;
            match result {
                Ok(Ok(())) => Some(Ok(())),
                Ok(Err(block)) if block.may_wait => None,
                Ok(Err(_)) => Some(Err(Errno::EAGAIN.into())),
                Err(error) => Some(Err(error)),
            }
        });
        self.count(counted, None);
        match result {
            Ok(result) => result,
            Err(error) if error.errno() == Errno::ETIMEDOUT => Err(Errno::EAGAIN.into()),
            // semop(2): never restarted.
            Err(_) => Err(Errno::EINTR.into()),
        }
    }

    /// Applies all operations, or says what the first that cannot be applied waits for.
    fn attempt(&self, operations: &[sembuf], process: &Process) -> Result<core::result::Result<(), Block>> {
        let mut state = self.state.lock();
        if state.is_removed {
            return Err(Errno::EIDRM.into());
        }
        // Later operations see what earlier ones did, so these are applied one by one and taken back if one fails.
        let mut done = 0;
        let mut outcome = Ok(Ok(()));
        for operation in operations {
            match state.apply(operation) {
                Ok(Ok(())) => done += 1,
                other => {
                    outcome = other;
                    break;
                }
            }
        }
        if let Ok(Ok(())) = outcome
            && let Err(error) = state.note_undo(operations, process.id().global(), self.len)
        {
            outcome = Err(error);
        }
        if !matches!(outcome, Ok(Ok(()))) {
            for operation in operations.get(..done).unwrap_or_default().iter().rev() {
                state.revert(operation);
            }
            return outcome;
        }
        state.operated_at = super::now();
        let trace = Trace::of(process);
        for operation in operations {
            if let Some(semaphore) = state.semaphores.get_mut(usize::from(operation.sem_num)) {
                semaphore.last = trace.clone();
            }
        }
        drop(state);
        if operations.iter().any(|operation| operation.sem_op != 0) {
            self.changed.wake_all();
        }
        outcome
    }

    fn count(&self, old: Option<Block>, new: Option<Block>) {
        let mut state = self.state.lock();
        let mut change = |block: Option<Block>, op: fn(usize, usize) -> usize| {
            if let Some(block) = block
                && let Some(semaphore) = state.semaphores.get_mut(block.semaphore)
            {
                let count = &mut semaphore.waiting[usize::from(block.is_for_zero)];
                *count = op(*count, 1);
            }
        };
        change(old, usize::saturating_sub);
        change(new, usize::saturating_add);
    }

    fn take_back(&self, process: &Process) {
        let mut state = self.state.lock();
        let Some(undo) = state.undo.remove(&process.id().global()) else { return };
        for (semaphore, adjustment) in state.semaphores.iter_mut().zip(undo) {
            // semop(2), "BUGS": as far as it goes.
            let value = i32::from(semaphore.value) + i32::from(adjustment);
            semaphore.value = value.clamp(0, i32::from(SEMVMX)) as u16;
            if adjustment != 0 {
                semaphore.last = Trace::of(process);
            }
        }
        state.operated_at = super::now();
        drop(state);
        self.changed.wake_all();
    }

    /// GETVAL, GETPID (for a reader in `pids`), GETNCNT and GETZCNT.
    ///
    /// # Errors
    /// EACCES, EINVAL, EIDRM.
    pub fn look(
        &self,
        index: usize,
        credentials: &Credentials,
        pids: &Arc<PidNamespace>,
        what: SemaphoreFact,
    ) -> Result<i32> {
        let state = self.readable(credentials)?;
        let semaphore = state.semaphores.get(index).ok_or(Error::new(Errno::EINVAL))?;
        Ok(match what {
            SemaphoreFact::Value => i32::from(semaphore.value),
            SemaphoreFact::LastProcess => semaphore.last.number_in(pids).cast_signed(),
            SemaphoreFact::WaitingForRise => semaphore.waiting[0] as i32,
            SemaphoreFact::WaitingForZero => semaphore.waiting[1] as i32,
        })
    }

    /// GETALL.
    ///
    /// # Errors
    /// EACCES, EIDRM, ENOMEM.
    pub fn values(&self, credentials: &Credentials) -> Result<Vec<u16>> {
        let mut values = Vec::new();
        values.try_reserve_exact(self.len).map_err(|_| Error::new(Errno::ENOMEM))?;
        values.extend(self.readable(credentials)?.semaphores.iter().map(|semaphore| semaphore.value));
        Ok(values)
    }

    /// SETVAL and SETALL: `values` from `first` on. What processes have to take back there is forgotten.
    ///
    /// # Errors
    /// EACCES, EIDRM, EINVAL, ERANGE.
    pub fn set_values(&self, first: usize, values: &[u16], process: &Process) -> Result<()> {
        if values.iter().any(|value| *value > SEMVMX) {
            return Err(Errno::ERANGE.into());
        }
        let mut state = self.state.lock();
        if state.is_removed {
            return Err(Errno::EIDRM.into());
        }
        state.permissions.check(&process.credentials(), WRITE)?;
        let range = first..first.saturating_add(values.len());
        let semaphores = state.semaphores.get_mut(range.clone()).ok_or(Error::new(Errno::EINVAL))?;
        for (semaphore, value) in semaphores.iter_mut().zip(values) {
            semaphore.value = *value;
            semaphore.last = Trace::of(process);
        }
        for undo in state.undo.values_mut() {
            undo.get_mut(range.clone()).into_iter().flatten().for_each(|adjustment| *adjustment = 0);
        }
        state.changed_at = super::now();
        drop(state);
        self.changed.wake_all();
        Ok(())
    }

    /// IPC_RMID: everybody who waits is told.
    ///
    /// # Errors
    /// EPERM, EINVAL if somebody else was faster.
    pub fn destroy(&self, namespace: &IpcNamespace, credentials: &Credentials) -> Result<()> {
        let permissions = self.state.lock().permissions;
        permissions.check_owner(credentials)?;
        namespace.semaphores.remove(permissions.key, self.id)?;
        self.state.lock().is_removed = true;
        self.changed.wake_all();
        Ok(())
    }

    /// IPC_SET.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_owner(&self, owner: Owner, credentials: &Credentials) -> Result<()> {
        let mut state = self.state.lock();
        state.permissions.check_owner(credentials)?;
        state.permissions.set(owner);
        state.changed_at = super::now();
        Ok(())
    }

    /// IPC_STAT, with a check of `credentials` if there are any.
    ///
    /// # Errors
    /// EACCES.
    pub fn status(&self, credentials: Option<&Credentials>) -> Result<semid64_ds> {
        let state = self.state.lock();
        if let Some(credentials) = credentials {
            state.permissions.check(credentials, READ)?;
        }
        Ok(semid64_ds {
            sem_perm: state.permissions.to_abi(self.id),
            sem_otime: state.operated_at,
            sem_ctime: state.changed_at,
            sem_nsems: self.len as u64,
            ..semid64_ds::default()
        })
    }

    fn readable(&self, credentials: &Credentials) -> Result<ostd::sync::SpinLockGuard<'_, State>> {
        let state = self.state.lock();
        if state.is_removed {
            return Err(Errno::EIDRM.into());
        }
        state.permissions.check(credentials, READ)?;
        Ok(state)
    }
}

/// What semctl(2) tells of one semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemaphoreFact {
    /// GETVAL.
    Value,
    /// GETPID.
    LastProcess,
    /// GETNCNT.
    WaitingForRise,
    /// GETZCNT.
    WaitingForZero,
}

impl State {
    fn apply(&mut self, operation: &sembuf) -> Result<core::result::Result<(), Block>> {
        let index = usize::from(operation.sem_num);
        let semaphore = self.semaphores.get_mut(index).ok_or(Error::new(Errno::EFBIG))?;
        let may_wait = u32::from(operation.sem_flg) & IPC_NOWAIT == 0;
        let block = |is_for_zero| Ok(Err(Block { semaphore: index, is_for_zero, may_wait }));
        if operation.sem_op == 0 {
            return if semaphore.value == 0 { Ok(Ok(())) } else { block(true) };
        }
        match u16::try_from(i32::from(semaphore.value) + i32::from(operation.sem_op)) {
            Err(_) => block(false),
            Ok(value) if value > SEMVMX => Err(Errno::ERANGE.into()),
            Ok(value) => {
                semaphore.value = value;
                Ok(Ok(()))
            }
        }
    }

    fn revert(&mut self, operation: &sembuf) {
        if let Some(semaphore) = self.semaphores.get_mut(usize::from(operation.sem_num)) {
            semaphore.value = semaphore.value.wrapping_add_signed(operation.sem_op.wrapping_neg());
        }
    }

    /// Remembers the opposite of each operation that asks for it.
    fn note_undo(&mut self, operations: &[sembuf], process: u32, len: usize) -> Result<()> {
        let undone = || operations.iter().filter(|op| op.sem_flg & SEM_UNDO != 0 && op.sem_op != 0);
        if undone().next().is_none() {
            return Ok(());
        }
        let known = self.undo.get(&process);
        let mut adjustments = Vec::new();
        adjustments.try_reserve_exact(len).map_err(|_| Error::new(Errno::ENOMEM))?;
        match known {
            Some(known) => adjustments.extend_from_slice(known),
            None => adjustments.resize(len, 0),
        }
        for operation in undone() {
            let adjustment =
                adjustments.get_mut(usize::from(operation.sem_num)).ok_or(Error::new(Errno::EFBIG))?;
            let sum = i32::from(*adjustment) - i32::from(operation.sem_op);
            if sum.unsigned_abs() > u32::from(SEMVMX) + 1 {
                return Err(Errno::ERANGE.into());
            }
            *adjustment = i16::try_from(sum).map_err(|_| Error::new(Errno::ERANGE))?;
        }
        self.undo.insert(process, adjustments);
        Ok(())
    }
}
