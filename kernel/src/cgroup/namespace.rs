//! Cgroup namespaces (cgroup_namespaces(7)): what looks like the root of the tree.

use super::{Cgroup, root};
use crate::process::namespace::NamespaceId;
use crate::process::namespace::user::UserNamespace;
use alloc::sync::Arc;
use ostd::sync::Lazy;

/// A cgroup namespace.
#[derive(Debug)]
pub struct CgroupNamespace {
    id: NamespaceId,
    owner: Arc<UserNamespace>,
    root: Arc<Cgroup>,
}

/// The number that Linux gives the initial one.
const INITIAL_ID: u64 = 0xefff_fffb;

static INITIAL: Lazy<Arc<CgroupNamespace>> = Lazy::new(|| {
    let owner = UserNamespace::initial().clone();
    Arc::new(CgroupNamespace { id: NamespaceId(INITIAL_ID), owner, root: root().clone() })
});

impl CgroupNamespace {
    /// The initial one.
    pub fn initial() -> &'static Arc<Self> {
        &INITIAL
    }

    /// A new one whose root is `root`: the group of whoever makes it.
    pub fn new(root: Arc<Cgroup>, owner: &Arc<UserNamespace>) -> Arc<Self> {
        Arc::new(Self { id: NamespaceId::allocate(), owner: owner.clone(), root })
    }

    /// The user namespace that owns it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Its number for /proc/PID/ns/cgroup.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// What looks like the root.
    pub fn root(&self) -> &Arc<Cgroup> {
        &self.root
    }
}
