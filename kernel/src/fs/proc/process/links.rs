//! /proc/PID/cwd, root, exe and ns: links that lead to places, whatever their names.

use super::Subject;
use super::subject::Class;
use crate::error::{Errno, Result};
use crate::fs::pseudo::namespace::Namespace;
use crate::fs::synthetic::{Emit, Link, Listing, Owner, Target};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::fs::vfs::place::Path;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The working directory.
pub fn cwd(subject: &Subject) -> Result<Path> {
    Ok(subject.place()?.1)
}

/// The root directory.
pub fn root(subject: &Subject) -> Result<Path> {
    Ok(subject.place()?.0)
}

/// The program's file.
pub fn executable(subject: &Subject) -> Result<Path> {
    let process = subject.check_access()?;
    // A zombie has no memory, and with it no program.
    process.address_space().and_then(|_| process.program().executable).ok_or(Errno::ENOENT.into())
}

/// /proc/PID/ns.
#[derive(Debug)]
pub struct Namespaces(pub Subject);

const KINDS: [&str; 10] =
    ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"];

impl Listing for Namespaces {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let index = KINDS.iter().position(|kind| kind.as_bytes() == name).ok_or(Errno::ENOENT)?;
        let ino = self.0.ino(Class::Namespace, index as u64);
        let target = NamespaceLink { subject: self.0.clone(), kind: KINDS[index] };
        Ok(Link::new(self.0.volume.face(ino, FileType::Symlink, 0o777), Arc::new(target)))
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        for (index, kind) in (0..).zip(KINDS).skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            let ino = self.0.ino(Class::Namespace, index);
            if !emit(kind.as_bytes(), ino, FileType::Symlink, index + 1) {
                break;
            }
        }
        Ok(())
    }

    fn owner(&self) -> Owner {
        self.0.owner()
    }
}

/// A link to a namespace.
#[derive(Debug)]
struct NamespaceLink {
    subject: Subject,
    kind: &'static str,
}

impl NamespaceLink {
    fn namespace(&self) -> Result<Namespace> {
        let process = self.subject.check_access()?;
        let all = self.subject.surroundings()?.ok_or(Errno::ENOENT)?.namespaces;
        Ok(match self.kind {
            "mnt" => Namespace::Mount(all.mount.clone()),
            "uts" => Namespace::Uts(all.uts.clone()),
            "net" => Namespace::Net(all.net.clone()),
            "cgroup" => Namespace::Cgroup(all.cgroup.clone()),
            "ipc" => Namespace::Ipc(all.ipc.clone()),
            "pid" => Namespace::Pid(process.pid_namespace().clone()),
            "pid_for_children" => Namespace::Pid(all.pid_for_children.clone()),
            "user" => Namespace::User(process.credentials().user.clone()),
            _ => Namespace::Only("time"),
        })
    }
}

impl Target for NamespaceLink {
    fn name(&self) -> Result<Vec<u8>> {
        Ok(self.namespace()?.name().into_bytes())
    }

    fn place(&self) -> Option<Result<Path>> {
        Some(self.namespace().map(|namespace| namespace.to_path()))
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }
}
