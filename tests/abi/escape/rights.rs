//! Rights: more of them, over others, and over the network.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::child;
use crate::raw::{harmless, syscall};

cases!("escape":
    capabilities_cannot_be_taken,
    ambient_capabilities_cannot_be_raised,
    a_file_cannot_give_what_the_bounding_set_lacks,
    priority_cannot_be_raised,
    real_time_cannot_be_had,
    limits_cannot_be_raised,
    the_last_to_be_killed_is_no_choice,
    links_cannot_be_made,
    links_cannot_be_changed,
    abstract_names_outside_are_out_of_reach,
    the_machines_shared_memory_is_out_of_reach,
    all_cpus_but_no_more_can_be_seen,
);

const SYS_ADMIN: u64 = 1 << 21;

fn capabilities_cannot_be_taken() -> Outcome {
    let mut header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    let places = [header.as_mut_ptr().addr(), data.as_mut_ptr().addr()];
    // SAFETY: header and data are as capget(2) wants them, and outlive the calls.
    unsafe { syscall(libc::SYS_capget, places) }?;
    check!(u64::from(data[1]) & SYS_ADMIN == 0);
    data[0] |= SYS_ADMIN as u32;
    data[1] |= SYS_ADMIN as u32;
    let asked = [header.as_ptr().addr(), data.as_ptr().addr()];
    // SAFETY: as above.
    check_fails!(unsafe { syscall(libc::SYS_capset, asked) }, EPERM);
    Ok(())
}

fn ambient_capabilities_cannot_be_raised() -> Outcome {
    const PR_CAP_AMBIENT: usize = 47;
    check_fails!(harmless(libc::SYS_prctl, [PR_CAP_AMBIENT, 2, 21, 0, 0]), EPERM);
    Ok(())
}

fn a_file_cannot_give_what_the_bounding_set_lacks() -> Outcome {
    const ALL: [u8; 20] = [1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 1, 0, 0, 0, 0, 0, 0];
    std::fs::copy("/proc/self/exe", "program")?;
    let (path, name) = (c"program".as_ptr().addr(), c"security.capability".as_ptr().addr());
    // SAFETY: path, name and value outlive the call, which only reads them.
    unsafe { syscall(libc::SYS_setxattr, [path, name, ALL.as_ptr().addr(), ALL.len(), 0]) }?;
    child::passes(|| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(1000))?;
        check_fails!(std::process::Command::new("/proc/self/cwd/program").arg("@pid").output(), EPERM);
        Ok(())
    })
}

fn priority_cannot_be_raised() -> Outcome {
    check_fails!(harmless(libc::SYS_setpriority, [0, 0, (-5_isize).cast_unsigned()]), EACCES);
    Ok(())
}

fn real_time_cannot_be_had() -> Outcome {
    let parameters = [1_u32];
    let arguments = [0, libc::SCHED_FIFO as usize, parameters.as_ptr().addr()];
    // SAFETY: the parameters outlive the call.
    let result = unsafe { syscall(libc::SYS_sched_setscheduler, arguments) };
    check_fails!(result, EPERM);
    Ok(())
}

fn limits_cannot_be_raised() -> Outcome {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    check_fails!(setrlimit(Resource::RLIMIT_NOFILE, hard, hard + 1), EPERM);
    Ok(())
}

fn the_last_to_be_killed_is_no_choice() -> Outcome {
    check_fails!(std::fs::write("/proc/self/oom_score_adj", "-1000"), EACCES);
    Ok(())
}

fn links_cannot_be_made() -> Outcome {
    // SIOCBRADDBR.
    let socket = harmless(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0])?;
    let name = *b"br0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    // SAFETY: the name outlives the call.
    let made = unsafe { syscall(libc::SYS_ioctl, [socket, 0x89a0, (&raw const name).addr()]) };
    check!(made.is_err());
    Ok(())
}

fn links_cannot_be_changed() -> Outcome {
    let socket = harmless(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0])?;
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    let change = |command: libc::c_ulong| {
        // SAFETY: the request has the size of an ifreq, and outlives the call.
        unsafe { syscall(libc::SYS_ioctl, [socket, command as usize, (&raw const request).addr()]) }
    };
    check_fails!(change(libc::SIOCSIFFLAGS), EPERM);
    check_fails!(change(libc::SIOCSIFMTU), EPERM);
    Ok(())
}

fn abstract_names_outside_are_out_of_reach() -> Outcome {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    for name in ["docker", "containerd", "init"] {
        check_fails!(UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?), ECONNREFUSED);
    }
    Ok(())
}

fn the_machines_shared_memory_is_out_of_reach() -> Outcome {
    check_fails!(harmless(libc::SYS_shmget, [0x1234, 4096, 0]), ENOENT);
    check_fails!(harmless(libc::SYS_msgget, [0x1234, 0]), ENOENT);
    Ok(())
}

fn all_cpus_but_no_more_can_be_seen() -> Outcome {
    let cpus = sched_getaffinity(Pid::from_raw(0))?;
    let mine = (0..CpuSet::count()).filter(|cpu| cpus.is_set(*cpu).unwrap_or(false)).count();
    check_eq!(mine, std::thread::available_parallelism()?.get());
    Ok(())
}
