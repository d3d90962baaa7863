//! The life of a user thread: execute, see why it came back, handle that, look at signals, again.

use super::Thread;
use crate::context::Context;
use crate::error::Result;
use crate::process::exit;
use crate::signal::deliver::{self, Flow};
use crate::signal::exception;
use crate::signal::frame::Trap;
use crate::syscall::{self, UserPtr};
use alloc::sync::Arc;
use ostd::task::Task;
use ostd::user::{ReturnReason, UserContext};

/// Makes the task of `thread`, which will start with the registers in `user`. `set_tid_at`: where to store its id first (CLONE_CHILD_SETTID).
///
/// # Errors
/// ENOMEM.
pub fn make_task(thread: &Arc<Thread>, user: UserContext, set_tid_at: Option<usize>) -> Result<Arc<Task>> {
    let main = {
        let thread = thread.clone();
        move || {
            if let Some(space) = thread.process().address_space() {
                space.activate();
            }
            if let Some(address) = set_tid_at {
                let tid = thread.tid_in(thread.process().pid_namespace());
                // clone(2) says nothing of a bad address, and Linux ignores it.
                let _ = UserPtr::<u32>::new(address).write(&tid);
            }
            run(&thread, user);
        }
    };
    let task = Task::new(main, thread.clone(), crate::sched::start_values(true))?;
    thread.set_task(&task);
    Ok(task)
}

/// Runs the current thread until it leaves.
pub fn run(thread: &Arc<Thread>, mut user: UserContext) {
    loop {
        if deliver::has_work(thread)
            && deliver::before_user(thread, &mut user, Trap::default()) == Flow::Leave
        {
            break;
        }
        match user.execute() {
            ReturnReason::Syscall => {
                let process = thread.process();
                syscall::handle(&mut Context { thread, process, user: &mut user });
            }
            ReturnReason::Exception(exception) => {
                let trap = exception::handle(thread, &user, &exception);
                if trap.vector != 0 && deliver::before_user(thread, &mut user, trap) == Flow::Leave {
                    break;
                }
            }
            ReturnReason::Interrupt => {}
        }
    }
    exit::leave(thread);
}
