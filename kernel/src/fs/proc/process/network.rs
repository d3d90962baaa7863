//! /proc/PID/net: the network namespace of a process. One row a file.

use super::Subject;
use super::subject::Class;
use crate::error::{Errno, Error, Result};
use crate::fs::proc::network::{counters, links, sockets};
use crate::fs::synthetic::{Directory, Emit, Listing, Owner, Source, Text, TextFile};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::net::nat;
use crate::net::ns::NetNs;
use crate::process::credentials::Capability;
use crate::thread::Thread;
use alloc::sync::Arc;

type Show = fn(&Arc<NetNs>, &mut Text) -> Result<()>;
type Store = fn(&Arc<NetNs>, &[u8]) -> Result<()>;

/// The directory.
#[derive(Debug)]
pub struct Network(pub Subject);

/// Name, permissions, what is shown, what may be written with CAP_NET_ADMIN.
type Row = (&'static str, u32, Show, Option<Store>);

const FILES: &[Row] = &[
    ("arp", 0o444, links::show_arp, None),
    ("dev", 0o444, links::show_dev, None),
    ("netlink", 0o444, sockets::show_netlink, None),
    ("netstat", 0o444, counters::show_netstat, None),
    ("raw", 0o444, sockets::show_raw, None),
    ("route", 0o444, links::show_route, None),
    ("snmp", 0o444, counters::show_snmp, None),
    ("sockstat", 0o444, counters::show_sockstat, None),
    ("tcp", 0o444, sockets::show_tcp, None),
    ("udp", 0o444, sockets::show_udp, None),
    ("unix", 0o444, sockets::show_unix, None),
];

/// What is in `coffer`, our own.
const OWN_FILES: &[Row] = &[("nat", 0o600, show_nat, Some(store_nat))];
const OWN: &str = "coffer";

/// Numbers of these files among those in /proc/PID.
const INODES: u64 = 0x100;
const OWN_INODES: u64 = 0x180;

fn show_nat(namespace: &Arc<NetNs>, text: &mut Text) -> Result<()> {
    text.bytes(nat::show(namespace).as_bytes());
    Ok(())
}

fn store_nat(namespace: &Arc<NetNs>, bytes: &[u8]) -> Result<()> {
    let text = core::str::from_utf8(bytes).map_err(|_| Error::with(Errno::EINVAL, "not a rule"))?;
    nat::control(namespace, text)
}

/// `coffer` in [`Network`].
#[derive(Debug)]
struct Own(Subject);

impl Listing for Network {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if name == OWN.as_bytes() {
            let ino = self.0.ino(Class::Process, OWN_INODES - 1);
            let face = self.0.volume.face(ino, FileType::Directory, 0o555);
            return Ok(Directory::with_listing(&self.0.volume, face, Own(self.0.clone())));
        }
        find(&self.0, FILES, INODES, name)
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        let after = FILES.len() as u64;
        if !list(&self.0, FILES, INODES, from, emit) || from > after {
            return Ok(());
        }
        emit(OWN.as_bytes(), self.0.ino(Class::Process, OWN_INODES - 1), FileType::Directory, after + 1);
        Ok(())
    }
}

impl Listing for Own {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        find(&self.0, OWN_FILES, OWN_INODES, name)
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        list(&self.0, OWN_FILES, OWN_INODES, from, emit);
        Ok(())
    }
}

fn find(subject: &Subject, rows: &'static [Row], inodes: u64, name: &[u8]) -> Result<Arc<dyn Inode>> {
    let index = rows.iter().position(|(file, ..)| file.as_bytes() == name).ok_or(Errno::ENOENT)?;
    let row = &rows[index];
    let face =
        subject.volume.face(subject.ino(Class::Process, inodes + index as u64), FileType::Regular, row.1);
    Ok(TextFile::new(face, Arc::new(File { subject: subject.clone(), row })))
}

/// Whether the reader wants more.
fn list(subject: &Subject, rows: &[Row], inodes: u64, from: u64, emit: Emit<'_>) -> bool {
    (0..).zip(rows).skip(usize::try_from(from).unwrap_or(usize::MAX)).all(|(index, (name, ..))| {
        let ino = subject.ino(Class::Process, inodes + index);
        emit(name.as_bytes(), ino, FileType::Regular, index + 1)
    })
}

/// One file.
struct File {
    subject: Subject,
    row: &'static Row,
}

impl core::fmt::Debug for File {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("File").field("name", &self.row.0).finish_non_exhaustive()
    }
}

impl File {
    fn namespace(&self) -> Result<Arc<NetNs>> {
        Ok(self.subject.surroundings()?.ok_or(Errno::EINVAL)?.namespaces.net.clone())
    }
}

impl Source for File {
    fn show(&self, text: &mut Text) -> Result<()> {
        (self.row.2)(&self.namespace()?, text)
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        let store = self.row.3.ok_or(Errno::EACCES)?;
        let writer = Thread::current().ok_or(Errno::ESRCH)?;
        let namespace = self.namespace()?;
        if !writer.process().credentials().has_in(namespace.owner(), Capability::NetAdmin) {
            return Err(Errno::EPERM.into());
        }
        store(&namespace, bytes)
    }

    fn owner(&self) -> Owner {
        (0, 0)
    }
}
