//! Files: the VFS, file systems, open files and descriptor tables.

pub mod fd_table;
pub mod open_file;
pub mod pseudo;
pub mod vfs;
