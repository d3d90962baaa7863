//! Files: the VFS, file systems, open files and descriptor tables.

pub mod devtmpfs;
pub mod fd_table;
pub mod initramfs;
pub mod open_file;
pub mod pipe;
pub mod pseudo;
pub mod tmpfs;
pub mod vfs;
