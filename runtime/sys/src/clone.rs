//! `clone(2)` used as a fork that enters new namespaces: <https://man7.org/linux/man-pages/man2/clone.2.html>.
//!
//! Neighbours: `runtime-oci`'s `process/parent.rs` is the one caller.

use std::io;

use rustix::process::Pid;

/// The namespaces that a child is born in; what is false is shared with the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `CLONE_NEWNS`: its own table of mounts, a copy of the parent's.
    pub mount: bool,
    /// `CLONE_NEWPID`: the child is pid 1; when it ends, all others in the namespace are killed.
    pub pid: bool,
    /// `CLONE_NEWUTS`: its own host name.
    pub uts: bool,
    /// `CLONE_NEWIPC`: its own System V IPC and POSIX message queues.
    pub ipc: bool,
    /// `CLONE_NEWNET`: its own links, addresses and ports; at first a loopback link that is down.
    pub net: bool,
}

impl Namespaces {
    fn flags(self) -> libc::c_int {
        [
            (self.mount, libc::CLONE_NEWNS),
            (self.pid, libc::CLONE_NEWPID),
            (self.uts, libc::CLONE_NEWUTS),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.net, libc::CLONE_NEWNET),
        ]
        .into_iter()
        .filter_map(|(wanted, flag)| wanted.then_some(flag))
        .fold(0, |flags, flag| flags | flag)
    }
}

/// Forks into `namespaces`, runs `child` there and returns its pid as this process sees it.
///
/// The child gets a copy of this process's memory and descriptors and never returns from here: `child` execs, or its
/// value becomes the exit status. The child does not unwind into the caller's frames: the binary aborts on panic.
///
/// # Errors
///
/// `EBUSY` when this process has more than one thread: a lock that another thread holds at that moment (the
/// allocator's, say) would stay locked in the child for ever. Otherwise what `clone(2)` returns.
pub fn fork_into(namespaces: Namespaces, child: impl FnOnce() -> u8) -> io::Result<Pid> {
    if !is_single_threaded()? {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }

    let flags = namespaces.flags() | libc::SIGCHLD;
    // The raw call rather than libc's wrapper: the wrapper wants a stack for the child, while a null stack (fork's
    // behaviour) is what a copied address space needs. libc's own fork() cannot enter namespaces.
    // SAFETY: with a null stack and without CLONE_VM, CLONE_SETTLS or the TID flags the kernel reads and writes no
    // memory of ours: the four pointers are null. The child runs on a copy of this thread's stack, and being the copy of a
    // single-threaded process (checked above) finds no lock held by a thread that does not exist in it.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0_usize, 0_usize, 0_usize, 0_usize)
    };
    match pid {
        0 => {
            let status = child();
            // SAFETY: _exit takes no pointer and does not return; buffers and exit handlers are the parent's business.
            unsafe { libc::_exit(i32::from(status)) }
        }
        pid => i32::try_from(pid)
            .ok()
            .filter(|_| pid > 0)
            .and_then(Pid::from_raw)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// Gives this process a mount namespace of its own, a copy of the one that it is in.
///
/// # Errors
///
/// What `unshare(2)` returns.
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: the call takes no pointer. CLONE_NEWNS touches neither memory nor descriptors (which CLONE_FILES would).
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the control group that this process is in the root of those that it and its children see.
///
/// # Errors
///
/// What `unshare(2)` returns.
pub fn unshare_cgroup() -> io::Result<()> {
    // SAFETY: the call takes no pointer. CLONE_NEWCGROUP touches neither memory nor descriptors.
    let result = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether this process has one thread, as `/proc/self/task` tells. Without a /proc (early boot) it is taken to be so:
/// PID 1 starts no thread.
fn is_single_threaded() -> io::Result<bool> {
    match std::fs::read_dir("/proc/self/task") {
        Ok(tasks) => Ok(tasks.count() <= 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
