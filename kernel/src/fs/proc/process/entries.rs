//! What is in /proc/PID and /proc/PID/task/TID: one row each.

use super::listing::Threads;
use super::subject::Class;
use super::{Subject, fds, id_maps, links, memory, network, settings, stat, status, tables};
use crate::error::{Errno, Result};
use crate::fs::open_file::FileOps;
use crate::fs::synthetic::{Directory, Emit, Link, Listing, Owner, Source, Target, Text, TextFile};
use crate::fs::vfs::inode::{FileType, Inode};
use crate::fs::vfs::place::Path;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

type Show = fn(&Subject, &mut Text) -> Result<()>;
type Store = fn(&Subject, &[u8]) -> Result<()>;
type Place = fn(&Subject) -> Result<Path>;

/// What an entry is.
enum Kind {
    /// Text that is shown.
    Text(Show),
    /// Text that can be written as well.
    Setting(Show, Store),
    /// A link to a place.
    Link(Place),
    /// A directory.
    Directory(fn(Subject) -> Box<dyn Listing>),
    /// Text of a source of its own.
    Own(fn(&Subject) -> Arc<dyn Source>),
    /// The memory itself.
    Memory,
}

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In both.
    Both,
    /// In /proc/PID only.
    ProcessOnly,
}

use Kind::{Directory as Dir, Link as Leads, Memory, Own, Setting, Text as Shows};
use Where::{Both, ProcessOnly};

#[rustfmt::skip]
const ENTRIES: &[(&str, u32, Where, Kind)] = &[
    ("auxv", 0o400, Both, Shows(memory::show_auxv)),
    ("cgroup", 0o444, Both, Shows(tables::show_cgroup)),
    ("cmdline", 0o444, Both, Shows(memory::show_cmdline)),
    ("comm", 0o644, Both, Setting(settings::show_comm, settings::store_comm)),
    ("cwd", 0o777, Both, Leads(links::cwd)),
    ("environ", 0o400, Both, Shows(memory::show_environ)),
    ("exe", 0o777, Both, Leads(links::executable)),
    ("fd", 0o500, Both, Dir(|subject| Box::new(fds::Fds(subject)))),
    ("fdinfo", 0o555, Both, Dir(|subject| Box::new(fds::FdInfos(subject)))),
    ("gid_map", 0o644, Both, Own(id_maps::gids)),
    ("io", 0o400, Both, Shows(stat::show_io)),
    ("limits", 0o444, Both, Shows(tables::show_limits)),
    ("loginuid", 0o444, Both, Shows(settings::show_login_uid)),
    ("maps", 0o444, Both, Shows(memory::show_maps)),
    ("mem", 0o600, Both, Memory),
    ("mountinfo", 0o444, Both, Shows(tables::show_mountinfo)),
    ("mounts", 0o444, Both, Shows(tables::show_mounts)),
    ("mountstats", 0o400, ProcessOnly, Shows(tables::show_mountstats)),
    ("net", 0o555, Both, Dir(|subject| Box::new(network::Network(subject)))),
    ("ns", 0o511, Both, Dir(|subject| Box::new(links::Namespaces(subject)))),
    ("oom_adj", 0o644, Both, Setting(settings::show_oom_adj, settings::store_oom_adj)),
    ("oom_score", 0o444, Both, Shows(settings::show_oom_score)),
    ("oom_score_adj", 0o644, Both, Setting(settings::show_oom_score_adj, settings::store_oom_score_adj)),
    ("personality", 0o400, Both, Shows(settings::show_personality)),
    ("root", 0o777, Both, Leads(links::root)),
    ("sessionid", 0o444, Both, Shows(settings::show_session_id)),
    ("setgroups", 0o644, ProcessOnly, Own(id_maps::setgroups)),
    ("smaps", 0o444, Both, Shows(memory::show_smaps)),
    ("smaps_rollup", 0o444, ProcessOnly, Shows(memory::show_smaps_rollup)),
    ("stat", 0o444, Both, Shows(stat::show_stat)),
    ("statm", 0o444, Both, Shows(stat::show_statm)),
    ("status", 0o444, Both, Shows(status::show)),
    ("task", 0o555, ProcessOnly, Dir(|subject| Box::new(Threads(subject)))),
    ("uid_map", 0o644, Both, Own(id_maps::uids)),
    ("wchan", 0o444, Both, Shows(settings::show_wchan)),
];

/// The listing of /proc/PID or /proc/PID/task/TID.
#[derive(Debug)]
pub struct Entries(pub Subject);

impl Entries {
    fn class(&self) -> Class {
        if self.0.is_thread() { Class::Thread } else { Class::Process }
    }

    fn is_here(&self, place: Where) -> bool {
        place == Both || !self.0.is_thread()
    }

    fn ino(&self, index: usize) -> u64 {
        self.0.ino(self.class(), index as u64 + 1)
    }
}

impl Listing for Entries {
    fn find(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let is_it = |(entry, _, place, _): &&(&str, u32, Where, Kind)| {
            entry.as_bytes() == name && self.is_here(*place)
        };
        let index = ENTRIES.iter().position(|entry| is_it(&entry)).ok_or(Errno::ENOENT)?;
        let (_, permissions, _, kind) = &ENTRIES[index];
        self.0.process().map_err(|_| Errno::ENOENT)?;
        let face = |file_type| self.0.volume.face(self.ino(index), file_type, *permissions);
        let shown = |show: Show, store: Option<Store>, is_memory: bool| {
            let shown = Shown { subject: self.0.clone(), show, store, is_memory };
            TextFile::new(face(FileType::Regular), Arc::new(shown))
        };
        Ok(match kind {
            Shows(show) => shown(*show, None, false),
            Setting(show, store) => shown(*show, Some(*store), false),
            Own(make) => TextFile::new(face(FileType::Regular), make(&self.0)),
            Memory => shown(|_, _| Err(Errno::EIO.into()), None, true),
            Leads(place) => {
                let target = Leading { subject: self.0.clone(), place: *place };
                Link::new(face(FileType::Symlink), Arc::new(target))
            }
            Dir(make) => {
                let listing = make(self.0.clone());
                Directory::with_boxed_listing(&self.0.volume, face(FileType::Directory), listing)
            }
        })
    }

    fn list(&self, from: u64, emit: Emit<'_>) -> Result<()> {
        self.0.process().map_err(|_| Errno::ENOENT)?;
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        for (index, (name, _, place, kind)) in ENTRIES.iter().enumerate().skip(start) {
            let file_type = match kind {
                Shows(_) | Setting(..) | Own(_) | Memory => FileType::Regular,
                Leads(_) => FileType::Symlink,
                Dir(_) => FileType::Directory,
            };
            let is_here = self.is_here(*place);
            if is_here && !emit(name.as_bytes(), self.ino(index), file_type, index as u64 + 1) {
                break;
            }
        }
        Ok(())
    }

    fn owner(&self) -> Owner {
        self.0.owner()
    }
}

/// A file that tells of a subject.
#[derive(Debug)]
struct Shown {
    subject: Subject,
    show: Show,
    store: Option<Store>,
    is_memory: bool,
}

impl Source for Shown {
    fn show(&self, text: &mut Text) -> Result<()> {
        (self.show)(&self.subject, text)
    }

    fn store(&self, bytes: &[u8]) -> Result<()> {
        self.store.map_or(Err(Errno::EINVAL.into()), |store| store(&self.subject, bytes))
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }

    fn open(&self, _: u32) -> Result<Option<Arc<dyn FileOps>>> {
        if self.is_memory { memory::open(&self.subject).map(Some) } else { Ok(None) }
    }
}

/// A link to a place that a subject has.
#[derive(Debug)]
struct Leading {
    subject: Subject,
    place: Place,
}

impl Target for Leading {
    fn name(&self) -> Result<Vec<u8>> {
        Ok((self.place)(&self.subject)?.to_bytes(&super::subject::reader_root()?))
    }

    fn place(&self) -> Option<Result<Path>> {
        Some((self.place)(&self.subject))
    }

    fn owner(&self) -> Owner {
        self.subject.owner()
    }
}
