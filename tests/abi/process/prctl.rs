//! prctl(2), arch_prctl(2) and personality(2).

use nix::sys::prctl;
use nix::sys::signal::Signal;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw::harmless;

cases!("process":
    the_thread_name_is_truncated_to_fifteen,
    no_new_privs_sticks,
    dumpable_can_be_switched,
    the_parent_death_signal_arrives,
    the_fs_base_reads_back,
    unknown_options_fail_with_einval,
);

fn the_thread_name_is_truncated_to_fifteen() -> Outcome {
    prctl::set_name(c"a-rather-long-name")?;
    check_eq!(prctl::get_name()?.to_bytes(), b"a-rather-long-n");
    check_eq!(std::fs::read_to_string("/proc/self/comm")?, "a-rather-long-n\n");
    Ok(())
}

fn no_new_privs_sticks() -> Outcome {
    check!(!prctl::get_no_new_privs()?);
    prctl::set_no_new_privs()?;
    check!(prctl::get_no_new_privs()?);
    child::passes(|| {
        check!(prctl::get_no_new_privs()?);
        Ok(())
    })?;
    check_fails!(
        harmless(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.unsigned_abs() as usize, 0, 0, 0, 0]),
        EINVAL
    );
    Ok(())
}

fn dumpable_can_be_switched() -> Outcome {
    check!(prctl::get_dumpable()?);
    prctl::set_dumpable(false)?;
    check!(!prctl::get_dumpable()?);
    Ok(())
}

fn the_parent_death_signal_arrives() -> Outcome {
    prctl::set_child_subreaper(true)?;
    let (reader, writer) = nix::unistd::pipe()?;
    let middle = child::fork(|| {
        let inner = child::fork(|| {
            let armed = prctl::set_pdeathsig(Signal::SIGUSR1).is_ok();
            let _ = nix::unistd::write(&writer, &[u8::from(armed)]);
            nix::unistd::pause();
            0
        });
        let mut armed = [0];
        let _ = nix::unistd::read(&reader, &mut armed);
        i32::from(inner.is_err() || armed == [0])
    })?;
    check_eq!(middle.exit_code()?, 0);
    let status = nix::sys::wait::wait()?;
    check!(matches!(status, nix::sys::wait::WaitStatus::Signaled(_, Signal::SIGUSR1, _)), "{status:?}");
    Ok(())
}

fn the_fs_base_reads_back() -> Outcome {
    const ARCH_GET_FS: usize = 0x1003;
    let mut base = 0_usize;
    let address = (&raw mut base) as usize;
    // SAFETY: the call stores one word in a live local.
    unsafe { crate::raw::syscall(libc::SYS_arch_prctl, [ARCH_GET_FS, address]) }?;
    let own: usize;
    // SAFETY: musl keeps the thread's own address in the first word of the thread block, at fs:0.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) own, options(nostack, readonly)) };
    check_eq!(base, own);
    Ok(())
}

fn unknown_options_fail_with_einval() -> Outcome {
    check_fails!(harmless(libc::SYS_prctl, [0x7fff_0000, 0, 0, 0, 0]), EINVAL);
    check_fails!(harmless(libc::SYS_arch_prctl, [0x7fff_0000, 0]), EINVAL);
    Ok(())
}
