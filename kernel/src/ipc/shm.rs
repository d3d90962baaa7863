//! Shared memory (shmget(2), shmop(2)): a [`Segment`] is an open file without a name, and attaching maps it.
//!
//! Every area that shows a segment holds that file, so their number is the file's count of holders. Once IPC_RMID has marked a segment, the
//! table holds it weakly: with the last area goes the memory, and what is left of it leaves the table.

use super::permissions::{EXECUTE, READ, WRITE, has_here};
use super::trace::Trace;
use super::{Objects, Owner, Permissions, objects};
use crate::error::{Errno, Error, Result};
use crate::fs::open_file::flags::O_RDWR;
use crate::fs::open_file::{FileOps, OpenFile};
use crate::fs::{pseudo, tmpfs};
use crate::mm::area::RIGHTS;
use crate::mm::map::Source;
use crate::mm::page_cache::PageCache;
use crate::mm::{AddressSpace, AreaFlags, Limits, MapRequest, Place};
use crate::process::Process;
use crate::process::credentials::{Capability, Credentials};
use crate::process::namespace::ipc::IpcNamespace;
use crate::process::namespace::pid::PidNamespace;
use alloc::format;
use alloc::sync::{Arc, Weak};
use coffer_abi_types::ipc::flags::{
    IPC_CREAT, SHM_DEST, SHM_EXEC, SHM_HUGETLB, SHM_LOCKED, SHM_RDONLY, SHM_REMAP, SHM_RND,
};
use coffer_abi_types::ipc::{shm_info, shmid64_ds, shminfo64};
use ostd::mm::{PAGE_SIZE, PageFlags, Vaddr};
use ostd::sync::SpinLock;

/// The most segments of a namespace (kernel.shmmni).
pub const SHMMNI: usize = 4096;
/// The largest segment, and the most pages of all (kernel.shmmax, kernel.shmall): memory sets the real limit.
pub const SHMMAX: usize = usize::MAX - (1 << 24);

/// A segment.
#[derive(Debug)]
pub struct Segment {
    id: i32,
    len: usize,
    file: Weak<OpenFile>,
    creator: Trace,
    state: SpinLock<State>,
}

#[derive(Debug)]
struct State {
    permissions: Permissions,
    /// What keeps the memory while nobody has it attached; `None` once it is marked to be destroyed.
    kept: Option<Arc<OpenFile>>,
    attached_at: i64,
    detached_at: i64,
    changed_at: i64,
    last: Trace,
}

/// The open file of a segment.
#[derive(Debug)]
struct SegmentFile {
    id: i32,
    namespace: Weak<IpcNamespace>,
}

impl FileOps for SegmentFile {
    fn page_cache<'a>(&'a self, file: &'a OpenFile) -> Result<&'a PageCache> {
        file.inode()?.page_cache().ok_or(Errno::ENODEV.into())
    }
}

impl Drop for SegmentFile {
    /// Nobody has it attached any more and IPC_RMID was there before.
    fn drop(&mut self) {
        if let Some(namespace) = self.namespace.upgrade() {
            // One that never was in the table, because making it failed, is not there to be removed.
            let _ = namespace.segments.remove(coffer_abi_types::ipc::IPC_PRIVATE, self.id);
        }
    }
}

impl objects::Object for Segment {
    fn permissions(&self) -> Permissions {
        self.state.lock().permissions
    }
}

/// shmget(2).
///
/// # Errors
/// EINVAL, ENOMEM, and as [`Objects::get`].
pub fn get(
    namespace: &Arc<IpcNamespace>,
    key: i32,
    len: usize,
    flags: u32,
    process: &Process,
) -> Result<i32> {
    let credentials = process.credentials();
    let fits = |segment: &Segment| if len > segment.len { Err(Errno::EINVAL.into()) } else { Ok(()) };
    namespace.segments.get(key, flags, &credentials, fits, |id| {
        if len == 0 || len > SHMMAX {
            return Err(Errno::EINVAL.into());
        }
        if flags & SHM_HUGETLB != 0 && flags & IPC_CREAT != 0 {
            return Err(Error::with(Errno::ENOMEM, "there are no huge pages"));
        }
        let pages = len.div_ceil(PAGE_SIZE);
        if pages > ostd::mm::stats().total {
            return Err(Error::with(Errno::ENOMEM, "more than there is memory"));
        }
        let inode = tmpfs::new_unnamed_file(flags & 0o777, (credentials.uid[1], credentials.gid[1]));
        inode.page_cache().ok_or(Errno::ENOMEM)?.truncate((pages * PAGE_SIZE) as u64);
        let path = pseudo::path_of(inode, &format!("/SYSV{key:08x} (deleted)"));
        let ops = SegmentFile { id, namespace: Arc::downgrade(namespace) };
        let file = OpenFile::new(path, Arc::new(ops), O_RDWR);
        let state = State {
            permissions: Permissions::new(key, flags, &credentials),
            kept: Some(file.clone()),
            attached_at: 0,
            detached_at: 0,
            changed_at: super::now(),
            last: Trace::default(),
        };
        let creator = Trace::of(process);
        let file = Arc::downgrade(&file);
        Ok(Arc::new(Segment { id, len, file, creator, state: SpinLock::new(state) }))
    })
}

/// shmat(2): maps the segment and returns where.
///
/// # Errors
/// EINVAL, EACCES, ENOMEM.
pub fn attach(
    namespace: &IpcNamespace,
    id: i32,
    address: Vaddr,
    flags: u32,
    process: &Process,
    space: &AddressSpace,
) -> Result<Vaddr> {
    let segment = namespace.segments.by_id(id)?;
    let place = match address {
        0 if flags & SHM_REMAP != 0 => return Err(Errno::EINVAL.into()),
        0 => Place::Hint(0),
        _ => {
            let start = address & !(PAGE_SIZE - 1);
            if start != address && flags & SHM_RND == 0 || start == 0 && flags & SHM_REMAP != 0 {
                return Err(Errno::EINVAL.into());
            }
            if flags & SHM_REMAP != 0 { Place::Fixed(start) } else { Place::FixedNoReplace(start) }
        }
    };
    let (mut wanted, mut rights, mut max_rights) = (READ, PageFlags::READ, RIGHTS);
    if flags & SHM_RDONLY != 0 {
        max_rights -= PageFlags::WRITE;
    } else {
        wanted |= WRITE;
        rights |= PageFlags::WRITE;
    }
    if flags & SHM_EXEC != 0 {
        wanted |= EXECUTE;
        rights |= PageFlags::EXECUTE;
    }
    segment.state.lock().permissions.check(&process.credentials(), wanted)?;
    let file = segment.file.upgrade().ok_or(Error::new(Errno::EIDRM))?;
    let pages = file.ops().page_cache(&file)?.clone();
    let request = MapRequest {
        place,
        len: segment.len,
        rights,
        max_rights,
        flags: AreaFlags::SHARED,
        source: Source::File { file, pages, first: 0 },
        populate: false,
    };
    let start = space.map(&request, &Limits::of(process)).map_err(|error| match error.errno() {
        Errno::EEXIST => Errno::EINVAL.into(),
        _ => error,
    })?;
    segment.note(process, true);
    Ok(start)
}

/// shmdt(2): unmaps all that was attached at `address`.
///
/// # Errors
/// EINVAL if nothing was.
pub fn detach(address: Vaddr, process: &Process, space: &AddressSpace) -> Result<()> {
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let is_segment = |file: &OpenFile| file.downcast::<SegmentFile>().is_some();
    let (file, parts) = space.file_attached_at(address, is_segment).ok_or(Error::new(Errno::EINVAL))?;
    for part in parts {
        space.unmap(part.start, part.len())?;
    }
    let known =
        file.downcast::<SegmentFile>().and_then(|file| file.namespace.upgrade().map(|ns| (ns, file.id)));
    if let Some((namespace, id)) = known
        && let Ok(segment) = namespace.segments.by_id(id)
    {
        segment.note(process, false);
    }
    Ok(())
}

/// Limits, as IPC_INFO shows them.
pub fn limits() -> shminfo64 {
    let (max, mni) = (SHMMAX as u64, SHMMNI as u64);
    shminfo64 { shmmax: max, shmmin: 1, shmmni: mni, shmseg: mni, shmall: max, ..shminfo64::default() }
}

/// What there is, as SHM_INFO shows it.
pub fn usage(segments: &Objects<Segment>) -> shm_info {
    let all = segments.all();
    let pages = |segment: &Segment| segment.len.div_ceil(PAGE_SIZE) as u64;
    let resident = |segment: &Segment| {
        let file = segment.file.upgrade();
        let cache = file.as_ref().and_then(|file| file.ops().page_cache(file).ok());
        cache.map_or(0, |cache| cache.resident_pages() as u64)
    };
    shm_info {
        used_ids: all.len() as i32,
        shm_tot: all.iter().map(|(_, segment)| pages(segment)).sum(),
        shm_rss: all.iter().map(|(_, segment)| resident(segment)).sum(),
        ..shm_info::default()
    }
}

impl Segment {
    /// IPC_RMID: gone at once, or with the last that has it attached.
    ///
    /// # Errors
    /// EPERM.
    pub fn destroy(&self, namespace: &IpcNamespace, credentials: &Credentials) -> Result<()> {
        let mut state = self.state.lock();
        state.permissions.check_owner(credentials)?;
        let key = core::mem::replace(&mut state.permissions.key, coffer_abi_types::ipc::IPC_PRIVATE);
        state.permissions.mode |= SHM_DEST;
        let kept = state.kept.take();
        drop(state);
        namespace.segments.forget_key(key, self.id);
        // If it was the last, its end takes the segment out of the table.
        drop(kept);
        Ok(())
    }

    /// IPC_SET.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_owner(&self, owner: Owner, credentials: &Credentials) -> Result<()> {
        let mut state = self.state.lock();
        state.permissions.check_owner(credentials)?;
        state.permissions.set(owner);
        state.changed_at = super::now();
        Ok(())
    }

    /// SHM_LOCK and SHM_UNLOCK. There is no swap: nothing but the mark changes.
    ///
    /// # Errors
    /// EPERM.
    pub fn set_locked(&self, is_locked: bool, process: &Process) -> Result<()> {
        let credentials = process.credentials();
        let mut state = self.state.lock();
        if !has_here(&credentials, Capability::IpcLock) {
            state.permissions.check_owner(&credentials)?;
            if is_locked && Limits::of(process).locked == 0 {
                return Err(Errno::EPERM.into());
            }
        }
        state.permissions.mode =
            state.permissions.mode & !SHM_LOCKED | if is_locked { SHM_LOCKED } else { 0 };
        Ok(())
    }

    /// IPC_STAT for a reader in `pids`; EACCES unless `credentials`, if there are any, may read.
    ///
    /// # Errors
    /// EACCES.
    pub fn status(&self, credentials: Option<&Credentials>, pids: &Arc<PidNamespace>) -> Result<shmid64_ds> {
        let state = self.state.lock();
        if let Some(credentials) = credentials {
            state.permissions.check(credentials, READ)?;
        }
        let holders = Weak::strong_count(&self.file) - usize::from(state.kept.is_some());
        Ok(shmid64_ds {
            shm_perm: state.permissions.to_abi(self.id),
            shm_segsz: self.len as u64,
            shm_atime: state.attached_at,
            shm_dtime: state.detached_at,
            shm_ctime: state.changed_at,
            shm_cpid: self.creator.number_in(pids),
            shm_lpid: state.last.number_in(pids),
            shm_nattch: holders as u64,
            unused: [0; 2],
        })
    }

    fn note(&self, process: &Process, is_attached: bool) {
        let mut state = self.state.lock();
        state.last = Trace::of(process);
        let now = super::now();
        if is_attached {
            state.attached_at = now;
        } else {
            state.detached_at = now;
        }
    }
}
