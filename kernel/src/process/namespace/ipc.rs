//! IPC namespaces (ipc_namespaces(7)). System V objects and POSIX queues come with their own issue; the namespace already tells containers apart.

use super::NamespaceId;
use alloc::sync::Arc;
use ostd::sync::Lazy;

/// An IPC namespace.
#[derive(Debug)]
pub struct IpcNamespace {
    id: NamespaceId,
}

static INITIAL: Lazy<Arc<IpcNamespace>> = Lazy::new(IpcNamespace::new);

impl IpcNamespace {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new, empty one.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { id: NamespaceId::allocate() })
    }

    /// Its number for /proc/PID/ns/ipc.
    pub fn id(&self) -> NamespaceId {
        self.id
    }
}
