//! Who was there last: the id of a process that may have ended since, and whose number must not stay taken because of us.

use crate::process::Process;
use crate::process::namespace::pid::PidNamespace;
use alloc::sync::{Arc, Weak};

/// A process id to be shown.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    namespace: Weak<PidNamespace>,
    own: u32,
    global: u32,
}

impl Trace {
    /// Of `process`.
    pub fn of(process: &Process) -> Self {
        let namespace = Arc::downgrade(process.pid_namespace());
        Self { namespace, own: process.id().own(), global: process.id().global() }
    }

    /// Its number for a reader in `namespace`; 0 where it cannot be seen. COMPAT: namespaces between its own and the initial one see 0, too.
    pub fn number_in(&self, namespace: &Arc<PidNamespace>) -> u32 {
        if Weak::as_ptr(&self.namespace) == Arc::as_ptr(namespace) {
            self.own
        } else if Arc::ptr_eq(namespace, PidNamespace::initial()) {
            self.global
        } else {
            0
        }
    }
}
