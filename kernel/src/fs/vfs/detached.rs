//! Mount trees that only a descriptor holds (open_tree(2), fsmount(2)), until move_mount(2) puts them somewhere.

use super::mount::{Home, Mount};
use super::place::Path;
use super::tree_lock;
use crate::fs::open_file::flags::O_PATH;
use crate::fs::open_file::{FileOps, OpenFile};
use alloc::sync::Arc;

/// Takes a tree apart when its last descriptor goes, unless it has found a place.
#[derive(Debug)]
struct DetachedTree;

/// A descriptor (as O_PATH gives it) of the root of `mount`, which sits nowhere.
pub fn open(mount: Arc<Mount>) -> Arc<OpenFile> {
    {
        let _tree = tree_lock::lock();
        mount.set_home(&Home::Detached);
    }
    OpenFile::new(Path::root_of(mount), Arc::new(DetachedTree), O_PATH)
}

impl FileOps for DetachedTree {
    fn release(&self, file: &OpenFile) {
        let _tree = tree_lock::lock();
        let mount = &file.path().mount;
        if mount.is_detached() {
            mount.detach_tree();
        }
    }
}
