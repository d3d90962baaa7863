//! The virtual file system: inodes, cached names, mounts, path walks, and the operations on them.
//!
//! Start reading at [`lookup`] (strings to places) and [`open`]; [`dentry`] is the cache, [`edit`] changes directories.

pub mod attributes;
pub mod context;
pub mod dentry;
pub mod dentry_cache;
pub mod detached;
pub mod edit;
pub mod file_lock;
pub mod file_system;
pub mod inode;
pub mod inode_file;
pub mod lookup;
pub mod mount;
pub mod mount_ns;
mod mount_points;
pub mod mount_report;
pub mod mount_tree;
pub mod names;
pub mod notify;
pub mod open;
pub mod permission;
pub mod place;
pub mod propagation;
pub mod size_limit;
pub mod text_lock;
pub mod tree_lock;
pub mod xattr;
