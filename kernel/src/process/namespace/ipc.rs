//! IPC namespaces (ipc_namespaces(7)): System V objects and message queues ([`crate::ipc`]).

use super::NamespaceId;
use super::user::UserNamespace;
use crate::fs::mqueue;
use crate::ipc::msg::Queue;
use crate::ipc::sem::Set;
use crate::ipc::shm::Segment;
use crate::ipc::{Objects, msg, sem, shm};
use alloc::sync::Arc;
use ostd::sync::Lazy;

/// An IPC namespace.
#[derive(Debug)]
pub struct IpcNamespace {
    id: NamespaceId,
    owner: Arc<UserNamespace>,
    /// Shared memory.
    pub segments: Objects<Segment>,
    /// Semaphores.
    pub semaphores: Objects<Set>,
    /// Message queues.
    pub queues: Objects<Queue>,
    /// Names of POSIX message queues.
    pub mqueue: mqueue::Instance,
}

static INITIAL: Lazy<Arc<IpcNamespace>> = Lazy::new(|| IpcNamespace::new(UserNamespace::initial()));

impl IpcNamespace {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new, empty one.
    pub fn new(owner: &Arc<UserNamespace>) -> Arc<Self> {
        Arc::new(Self {
            id: NamespaceId::allocate(),
            owner: owner.clone(),
            segments: Objects::new(shm::SHMMNI),
            semaphores: Objects::new(sem::SEMMNI),
            queues: Objects::new(msg::MSGMNI),
            mqueue: mqueue::Instance::default(),
        })
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Its number for /proc/PID/ns/ipc.
    pub fn id(&self) -> NamespaceId {
        self.id
    }
}
