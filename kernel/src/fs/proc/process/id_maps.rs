//! /proc/PID/uid_map, gid_map and setgroups (user_namespaces(7)). Who opened a file counts, and for some rules also who writes to it: a privileged
//! program can be handed a file that somebody else opened.

use super::Subject;
use crate::error::{Errno, Result};
use crate::fs::open_file::FileOps;
use crate::fs::synthetic::{Owner, Reading, Source, Text};
use crate::process::credentials::{Capability, Credentials};
use crate::process::namespace::user::{Table, UserNamespace};
use crate::thread::Thread;
use alloc::sync::Arc;

/// What a file tells of a process's user namespace.
#[derive(Clone, Copy, Debug)]
enum What {
    Ids(Table),
    Setgroups,
}

/// A file.
#[derive(Debug)]
struct File {
    subject: Subject,
    what: What,
}

/// An open one: it stays with the namespace that the process was in.
#[derive(Debug)]
struct Opened {
    namespace: Arc<UserNamespace>,
    opener: Arc<Credentials>,
    what: What,
}

/// /proc/PID/uid_map.
pub fn uids(subject: &Subject) -> Arc<dyn Source> {
    Arc::new(File { subject: subject.clone(), what: What::Ids(Table::Uids) })
}

/// /proc/PID/gid_map.
pub fn gids(subject: &Subject) -> Arc<dyn Source> {
    Arc::new(File { subject: subject.clone(), what: What::Ids(Table::Gids) })
}

/// /proc/PID/setgroups.
pub fn setgroups(subject: &Subject) -> Arc<dyn Source> {
    Arc::new(File { subject: subject.clone(), what: What::Setgroups })
}

fn caller() -> Result<Arc<Credentials>> {
    Ok(Thread::current().ok_or(Errno::ESRCH)?.process().credentials())
}

impl Source for File {
    fn show(&self, _: &mut Text) -> Result<()> {
        // Every opening has its own source.
        Err(Errno::EIO.into())
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }

    fn open(&self, flags: u32) -> Result<Option<Arc<dyn FileOps>>> {
        /// O_ACCMODE.
        const ACCESS: u32 = 3;
        let namespace = self.subject.process()?.credentials().user.clone();
        let opener = caller()?;
        let is_for_writing = flags & ACCESS != 0;
        if matches!(self.what, What::Setgroups)
            && is_for_writing
            && !opener.has_in(&namespace, Capability::SysAdmin)
        {
            return Err(Errno::EACCES.into());
        }
        Ok(Some(Arc::new(Reading::new(Arc::new(Opened { namespace, opener, what: self.what })))))
    }
}

impl Source for Opened {
    fn show(&self, text: &mut Text) -> Result<()> {
        match self.what {
            What::Ids(table) => {
                for (inside, outside, count) in self.namespace.lines(table, &self.opener.user) {
                    text.add(format_args!("{inside:>10} {outside:>10} {count:>10}\n"));
                }
            }
            What::Setgroups => {
                text.bytes(if self.namespace.allows_setgroups() { b"allow\n" } else { b"deny\n" });
            }
        }
        Ok(())
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        match self.what {
            What::Ids(table) => self.namespace.write_table(table, bytes, &self.opener, &*caller()?),
            What::Setgroups => match bytes.trim_ascii_end() {
                b"allow" => self.namespace.set_setgroups(true),
                b"deny" => self.namespace.set_setgroups(false),
                _ => Err(Errno::EINVAL.into()),
            },
        }
    }
}
