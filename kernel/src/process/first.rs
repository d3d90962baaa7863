//! The first process: /init, with the console as its descriptors 0, 1 and 2.

use super::credentials::Credentials;
use super::group::{ProcessGroup, Session};
use super::namespace::Namespaces;
use super::namespace::pid::PidNamespace;
use super::pid::Pid;
use super::{Parts, Process, Program, exec, rlimit};
use crate::cgroup::Membership;
use crate::error::Result;
use crate::fs::fd_table::FdTable;
use crate::fs::vfs::lookup::{self, LookupFlags, LookupStart};
use crate::fs::vfs::mount_ns::MountNs;
use crate::fs::vfs::place::FsPlace;
use crate::loader::Arguments;
use crate::signal::state::NO_ALTERNATE_STACK;
use crate::signal::{Actions, SigSet};
use crate::thread::{Surroundings, Thread, name_from, user_loop};
use alloc::sync::Arc;
use ostd::task::Task;
use ostd::user::UserContext;

/// The program that the first process runs.
const INIT: &[u8] = b"/init";

/// Starts /init in a task of its own.
///
/// # Errors
/// ENOMEM. What keeps /init from running ends the machine.
pub fn start(mount: &Arc<MountNs>) -> Result<()> {
    let id = Pid::allocate(PidNamespace::initial(), &[])?;
    let session = Session::new(&id);
    let group = ProcessGroup::new(&id, &session);
    let process = Process::new(Parts {
        id: id.clone(),
        address_space: None,
        fds: Arc::new(FdTable::new()),
        credentials: Arc::new(Credentials::root()),
        limits: rlimit::INITIAL,
        actions: Arc::new(Actions::new()),
        group,
        program: Program::default(),
        exit_signal: None,
    });
    let around = Surroundings {
        place: Arc::new(FsPlace::new(mount.root())),
        namespaces: Arc::new(Namespaces::initial(mount.clone())),
    };
    let name = name_from(b"init");
    let thread = Thread::new(process.clone(), id, SigSet::EMPTY, NO_ALTERNATE_STACK, name, around);
    Membership::join_root(&process)?;
    process.add_thread(thread.clone());
    PidNamespace::initial().set_init(&process);
    let main = {
        let thread = thread.clone();
        move || {
            let mut user = UserContext::default();
            open_console(&thread);
            if let Err(error) = run_init(&thread, &mut user) {
                panic!("/init cannot be run: {error:?}");
            }
            user_loop::run(&thread, user);
        }
    };
    let task = Task::new(main, thread.clone(), crate::sched::start_values(false))?;
    thread.set_task(&task);
    task.start();
    Ok(())
}

fn run_init(thread: &Arc<Thread>, user: &mut UserContext) -> Result<()> {
    let path = lookup::lookup(&LookupStart::of(thread), INIT, LookupFlags::FOLLOW)?;
    let mut arguments = Arguments::default();
    arguments.arguments.push(INIT)?;
    for variable in [b"HOME=/".as_slice(), b"TERM=linux"] {
        arguments.environment.push(variable)?;
    }
    // Words of the command line that are not the kernel's own reach init, as Linux hands them on.
    for word in ostd::boot::info().command_line.split_ascii_whitespace() {
        if word.contains('=') && !word.contains('.') {
            arguments.environment.push(word.as_bytes())?;
        }
    }
    exec::execute(thread, user, path, INIT, arguments)
}

fn open_console(thread: &Arc<Thread>) {
    /// O_RDWR.
    const READ_WRITE: u32 = 2;
    let found = lookup::lookup(&LookupStart::of(thread), b"/dev/console", LookupFlags::FOLLOW);
    match found.and_then(|path| path.open(READ_WRITE)) {
        Ok(console) => {
            for _ in 0..3 {
                // An empty table has room for three.
                let _ = thread.process().fds().install(console.clone(), false, 3);
            }
        }
        Err(error) => log::warn!("/dev/console cannot be opened: {error:?}"),
    }
}
