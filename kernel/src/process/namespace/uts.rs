//! UTS namespaces (uts_namespaces(7)): the names that uname(2) gives.

use super::NamespaceId;
use super::user::UserNamespace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostd::sync::{Lazy, SpinLock};

/// A UTS namespace.
#[derive(Debug)]
pub struct UtsNamespace {
    id: NamespaceId,
    owner: Arc<UserNamespace>,
    names: SpinLock<Names>,
}

#[derive(Clone, Debug)]
struct Names {
    host: Vec<u8>,
    domain: Vec<u8>,
}

static INITIAL: Lazy<Arc<UtsNamespace>> = Lazy::new(|| {
    let names = Names { host: b"coffer".to_vec(), domain: b"(none)".to_vec() };
    let owner = UserNamespace::initial().clone();
    Arc::new(UtsNamespace { id: NamespaceId::allocate(), owner, names: SpinLock::new(names) })
});

impl UtsNamespace {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new one with the names of this one.
    pub fn duplicate(&self, owner: &Arc<UserNamespace>) -> Arc<Self> {
        let names = SpinLock::new(self.names.lock().clone());
        Arc::new(Self { id: NamespaceId::allocate(), owner: owner.clone(), names })
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Its number for /proc/PID/ns/uts.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The host name.
    pub fn host(&self) -> Vec<u8> {
        self.names.lock().host.clone()
    }

    /// The NIS domain name.
    pub fn domain(&self) -> Vec<u8> {
        self.names.lock().domain.clone()
    }

    /// Changes the host name (at most 64 bytes: the caller's check).
    pub fn set_host(&self, name: Vec<u8>) {
        self.names.lock().host = name;
    }

    /// Changes the NIS domain name.
    pub fn set_domain(&self, name: Vec<u8>) {
        self.names.lock().domain = name;
    }
}
