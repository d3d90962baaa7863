//! shmget(2), shmat(2), shmdt(2), shmctl(2).

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;

use super::{CREATE, own_key, result};
use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;

cases!("ipc":
    shm_is_shared_with_children_and_counted,
    shm_lives_until_the_last_detach,
    shm_is_found_by_key,
    shm_read_only_cannot_be_made_writable,
    shm_attaches_where_it_is_told,
    shm_checks_its_arguments,
    shm_obeys_permissions,
);

const SIZE: usize = 8192;

fn get(key: i32, size: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: no pointers are passed.
    result(unsafe { libc::shmget(key, size, flags) })
}

/// An attached segment. Its words are atomics: children write to them.
#[derive(Debug)]
struct Attached(*mut libc::c_void);

impl Attached {
    fn at(id: i32, address: usize, flags: i32) -> nix::Result<Self> {
        // SAFETY: unless SHM_REMAP is set, which no case does over memory in use, the kernel maps where nothing is.
        let address = unsafe { libc::shmat(id, ptr::without_provenance(address), flags) };
        if address.addr() == usize::MAX { Err(Errno::last()) } else { Ok(Self(address)) }
    }

    fn word(&self, index: usize) -> &AtomicU32 {
        assert!(index < SIZE / 4, "outside of the segment");
        let word = self.0.cast::<AtomicU32>().wrapping_add(index);
        // SAFETY: the word lies in the attached segment, which lives as long as `self`.
        unsafe { &*word }
    }

    fn detach(self) -> nix::Result<i32> {
        // SAFETY: `self` owns the mapping, and no reference into it outlives this.
        result(unsafe { libc::shmdt(self.0) })
    }
}

fn stat(id: i32) -> nix::Result<libc::shmid_ds> {
    let mut status = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: the kernel writes one structure into memory of its size.
    result(unsafe { libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()) })?;
    // SAFETY: zeroed, then written by the kernel; all fields are integers.
    Ok(unsafe { status.assume_init() })
}

fn remove(id: i32) -> nix::Result<i32> {
    // SAFETY: IPC_RMID takes no pointer.
    result(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) })
}

fn shm_is_shared_with_children_and_counted() -> Outcome {
    let id = get(libc::IPC_PRIVATE, SIZE, CREATE)?;
    let memory = Attached::at(id, 0, 0)?;
    check_eq!(memory.word(0).load(Ordering::SeqCst), 0);
    let status = stat(id)?;
    check_eq!((status.shm_segsz, status.shm_nattch, status.shm_perm.mode & 0o777), (SIZE, 1, 0o600));
    check_eq!(status.shm_cpid, std::process::id().cast_signed());
    child::passes(|| {
        check_eq!(stat(id)?.shm_nattch, 2);
        memory.word(1).store(7, Ordering::SeqCst);
        let again = Attached::at(id, 0, 0)?;
        check_eq!(stat(id)?.shm_nattch, 3);
        check_eq!(again.word(1).load(Ordering::SeqCst), 7);
        again.detach()?;
        check_eq!(stat(id)?.shm_nattch, 2);
        Ok(())
    })?;
    check_eq!(memory.word(1).load(Ordering::SeqCst), 7);
    check_eq!(stat(id)?.shm_nattch, 1);
    remove(id)?;
    memory.detach()?;
    Ok(())
}

fn shm_lives_until_the_last_detach() -> Outcome {
    let key = own_key(1);
    let id = get(key, SIZE, CREATE | libc::IPC_EXCL)?;
    let memory = Attached::at(id, 0, 0)?;
    memory.word(0).store(1, Ordering::SeqCst);
    remove(id)?;
    // By key nobody finds it, by id it is still there.
    check_fails!(get(key, SIZE, 0o600), ENOENT);
    let status = stat(id)?;
    check!(status.shm_perm.mode & 0o1000 != 0, "SHM_DEST is not shown");
    check_eq!(status.shm_nattch, 1);
    let other = Attached::at(id, 0, 0)?;
    check_eq!(other.word(0).load(Ordering::SeqCst), 1);
    memory.detach()?;
    check_eq!(stat(id)?.shm_nattch, 1);
    other.detach()?;
    check_fails!(stat(id), EINVAL);
    check_fails!(Attached::at(id, 0, 0), EINVAL);
    // The end of a process detaches, too.
    let id = get(libc::IPC_PRIVATE, SIZE, CREATE)?;
    child::passes(|| {
        Attached::at(id, 0, 0)?;
        remove(id)?;
        Ok(())
    })?;
    check_fails!(stat(id), EINVAL);
    Ok(())
}

fn shm_is_found_by_key() -> Outcome {
    let key = own_key(2);
    check_fails!(get(key, SIZE, 0o600), ENOENT);
    let id = get(key, SIZE, CREATE)?;
    check_eq!(get(key, SIZE, CREATE)?, id);
    check_eq!(get(key, 0, 0)?, id);
    check_fails!(get(key, SIZE, CREATE | libc::IPC_EXCL), EEXIST);
    check_fails!(get(key, SIZE * 2, 0o600), EINVAL);
    remove(id)?;
    let next = get(key, SIZE, CREATE)?;
    check!(next != id, "an id was used again at once");
    remove(next)?;
    Ok(())
}

fn shm_read_only_cannot_be_made_writable() -> Outcome {
    let id = get(libc::IPC_PRIVATE, SIZE, CREATE)?;
    let memory = Attached::at(id, 0, libc::SHM_RDONLY)?;
    check_eq!(memory.word(0).load(Ordering::SeqCst), 0);
    // SAFETY: the segment's own range; it fails, or gives more rights.
    let value = unsafe { libc::mprotect(memory.0, SIZE, libc::PROT_READ | libc::PROT_WRITE) };
    check_fails!(result(value), EACCES);
    remove(id)?;
    memory.detach()?;
    Ok(())
}

fn shm_attaches_where_it_is_told() -> Outcome {
    let id = get(libc::IPC_PRIVATE, SIZE, CREATE)?;
    let memory = Attached::at(id, 0, 0)?;
    let address = memory.0.addr();
    check_fails!(Attached::at(id, address, 0), EINVAL);
    check_fails!(Attached::at(id, address + 8, 0), EINVAL);
    check_fails!(Attached::at(id, 0, 0o40_000), EINVAL);
    memory.detach()?;
    let memory = Attached::at(id, address + 8, libc::SHM_RND)?;
    check_eq!(memory.0.addr(), address);
    // Parts of it may be unmapped before.
    // SAFETY: the first page of the segment, which nothing refers to.
    result(unsafe { libc::munmap(memory.0, 4096) })?;
    check_eq!(stat(id)?.shm_nattch, 1);
    memory.detach()?;
    check_eq!(stat(id)?.shm_nattch, 0);
    remove(id)?;
    Ok(())
}

fn shm_checks_its_arguments() -> Outcome {
    check_fails!(get(libc::IPC_PRIVATE, 0, CREATE), EINVAL);
    check_fails!(get(libc::IPC_PRIVATE, usize::MAX, CREATE), EINVAL);
    check_fails!(Attached::at(-1, 0, 0), EINVAL);
    check_fails!(stat(0x7fff_0000), EINVAL);
    check_fails!(remove(-1), EINVAL);
    check_fails!(Attached(ptr::without_provenance_mut(4096)).detach(), EINVAL);
    check_fails!(Attached(ptr::without_provenance_mut(4097)).detach(), EINVAL);
    Ok(())
}

fn shm_obeys_permissions() -> Outcome {
    let key = own_key(3);
    let id = get(key, SIZE, libc::IPC_CREAT | 0o644)?;
    child::passes(|| {
        nix::unistd::setgid(nix::unistd::Gid::from_raw(1000))?;
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(Attached::at(id, 0, 0), EACCES);
        check_fails!(get(key, SIZE, 0o600), EACCES);
        check_eq!(get(key, SIZE, 0o400)?, id);
        Attached::at(id, 0, libc::SHM_RDONLY)?.detach()?;
        check_fails!(remove(id), EPERM);
        Ok(())
    })?;
    remove(id)?;
    Ok(())
}
