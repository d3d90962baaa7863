//! Address spaces with a program in them, and the fault handler that all cases share.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use ostd::mm::user_io::{UserFault, set_fault_handler};
use ostd::mm::{PAGE_SIZE, PageFlags, UFrame, VmSpace};
use ostd::task::Task;
use ostd::user::{Regs, ReturnReason, UserContext};

/// Where programs lie.
pub(crate) const CODE: usize = 0x40_0000;
/// Where their data lies.
pub(crate) const DATA: usize = 0x7000_0000;
/// One past their stack.
pub(crate) const STACK_END: usize = 0x7fff_0000_0000;

pub(crate) const READ_WRITE: PageFlags = PageFlags::READ.union(PageFlags::WRITE);

/// A frame that starts with these bytes.
pub(crate) fn frame_with(bytes: &[u8]) -> Result<UFrame, String> {
    let frame = UFrame::alloc_zeroed().map_err(|e| format!("no frame: {e:?}"))?;
    frame.write(0, bytes);
    Ok(frame)
}

/// Maps a page.
pub(crate) fn map(space: &VmSpace, at: usize, frame: UFrame, flags: PageFlags) -> Result<(), String> {
    let mut cursor = space.cursor(at..at + PAGE_SIZE).map_err(|e| format!("no cursor: {e:?}"))?;
    cursor.map(frame, flags).map_err(|e| format!("cannot map: {e:?}"))
}

/// Unmaps a page; returns whether there was one.
pub(crate) fn unmap(space: &VmSpace, at: usize) -> bool {
    space.cursor(at..at + PAGE_SIZE).is_ok_and(|mut cursor| cursor.unmap_to(at + PAGE_SIZE) == 1)
}

/// A space with this program and a page of stack.
pub(crate) fn with_program(code: &[u8]) -> Result<Arc<VmSpace>, String> {
    let space = VmSpace::new().map_err(|e| format!("no space: {e:?}"))?;
    map(&space, CODE, frame_with(code)?, PageFlags::READ | PageFlags::EXECUTE)?;
    map(&space, STACK_END - PAGE_SIZE, frame_with(&[])?, READ_WRITE)?;
    Ok(space)
}

/// A context at the program's start.
pub(crate) fn at_start() -> UserContext {
    UserContext { regs: Regs { rip: CODE as u64, rsp: STACK_END as u64, ..Regs::default() } }
}

/// Runs until something other than an interrupt brings it back.
pub(crate) fn run(context: &mut UserContext) -> ReturnReason {
    loop {
        match context.execute() {
            ReturnReason::Interrupt => {}
            reason => return reason,
        }
    }
}

/// Data of a task whose user accesses may fault: who serves them.
pub(crate) struct Served(pub(crate) Box<dyn Fn(UserFault) -> bool + Send + Sync>);

/// Gives faults to the current task's [`Served`].
pub(crate) fn install_fault_handler() {
    set_fault_handler(|fault| {
        let current = Task::current();
        let served = current.as_ref().and_then(|task| task.data().downcast_ref::<Served>());
        served.is_some_and(|served| (served.0)(fault))
    });
}
