//! The virtual file system: inodes, cached names, mounts, path walks.

pub mod inode;
pub mod place;
