//! The default filter of system calls: what docker's documentation says of its own
//! (<https://docs.docker.com/engine/security/seccomp/>), made from the list of all calls rather than copied.
//!
//! Calls that a container has no business with fail with EPERM, unless it was given the capability that they are about. Calls that nobody knew
//! when this was written fail with ENOSYS, so that libraries fall back to older ones; so does clone3(2), whose arguments are in memory, where a
//! filter cannot look.

use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg,
    LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use syscalls::Sysno;

use crate::Error;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Calls, and the capabilities of which any one opens them; none opens those with an empty list.
const GUARDED: &[(&[Sysno], &[Capability])] = &[
    // Keys of the machine, which namespaces do not divide; ways around the filter; memory and time of others; what is long gone.
    (
        &[
            Sysno::add_key,
            Sysno::keyctl,
            Sysno::request_key,
            Sysno::io_uring_setup,
            Sysno::io_uring_enter,
            Sysno::io_uring_register,
            Sysno::userfaultfd,
            Sysno::kexec_load,
            Sysno::kexec_file_load,
            Sysno::swapon,
            Sysno::swapoff,
            Sysno::move_pages,
            Sysno::migrate_pages,
            Sysno::create_module,
            Sysno::get_kernel_syms,
            Sysno::query_module,
            Sysno::nfsservctl,
            Sysno::_sysctl,
            Sysno::sysfs,
            Sysno::uselib,
            Sysno::ustat,
            Sysno::vserver,
        ],
        &[],
    ),
    (
        &[
            Sysno::mount,
            Sysno::umount2,
            Sysno::pivot_root,
            Sysno::setns,
            Sysno::unshare,
            Sysno::clone3,
            Sysno::fsopen,
            Sysno::fsconfig,
            Sysno::fsmount,
            Sysno::fspick,
            Sysno::move_mount,
            Sysno::open_tree,
            Sysno::mount_setattr,
            Sysno::quotactl,
            Sysno::quotactl_fd,
            Sysno::sethostname,
            Sysno::setdomainname,
            Sysno::fanotify_init,
            Sysno::lookup_dcookie,
        ],
        &[Capability::SysAdmin],
    ),
    (&[Sysno::bpf], &[Capability::SysAdmin, Capability::Bpf]),
    (&[Sysno::perf_event_open], &[Capability::SysAdmin, Capability::Perfmon]),
    (&[Sysno::syslog], &[Capability::SysAdmin, Capability::Syslog]),
    (&[Sysno::init_module, Sysno::finit_module, Sysno::delete_module], &[Capability::SysModule]),
    (&[Sysno::reboot], &[Capability::SysBoot]),
    (&[Sysno::acct], &[Capability::SysPacct]),
    (&[Sysno::kcmp, Sysno::pidfd_getfd, Sysno::process_madvise], &[Capability::SysPtrace]),
    (&[Sysno::iopl, Sysno::ioperm], &[Capability::SysRawio]),
    (&[Sysno::settimeofday, Sysno::clock_settime], &[Capability::SysTime]),
    (&[Sysno::vhangup], &[Capability::SysTtyConfig]),
    (
        &[Sysno::get_mempolicy, Sysno::set_mempolicy, Sysno::set_mempolicy_home_node, Sysno::mbind],
        &[Capability::SysNice],
    ),
    (&[Sysno::open_by_handle_at], &[Capability::DacReadSearch]),
    (&[Sysno::chroot], &[Capability::SysChroot]),
];

/// Flags of clone(2) that make namespaces.
const NEW_NAMESPACES: [u64; 8] = [
    0x80,        // CLONE_NEWTIME
    0x2_0000,    // CLONE_NEWNS
    0x200_0000,  // CLONE_NEWCGROUP
    0x400_0000,  // CLONE_NEWUTS
    0x800_0000,  // CLONE_NEWIPC
    0x1000_0000, // CLONE_NEWUSER
    0x2000_0000, // CLONE_NEWPID
    0x4000_0000, // CLONE_NEWNET
];

/// What personality(2) may be asked for: Linux, 32-bit addresses (uname26 with both), and to be told.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const AF_VSOCK: u64 = 40;

/// The filter of a container that may gain `capabilities`.
///
/// # Errors
///
/// None that happens: builders that are given everything do not fail.
pub fn default_filter(capabilities: &Capabilities) -> Result<LinuxSeccomp, Error> {
    let is_refused = |call: Sysno| {
        GUARDED.iter().any(|(calls, openers)| {
            calls.contains(&call) && !openers.iter().any(|opener| capabilities.contains(opener))
        })
    };
    let (refused, allowed): (Vec<Sysno>, Vec<Sysno>) = Sysno::iter().partition(|call| is_refused(*call));
    // Not in either list, it gets the default.
    let refused: Vec<Sysno> = refused.into_iter().filter(|call| *call != Sysno::clone3).collect();
    let mut rules = vec![
        rule(&allowed, LinuxSeccompAction::ScmpActAllow, Vec::new())?,
        rule(&refused, LinuxSeccompAction::ScmpActErrno, Vec::new())?,
    ];
    let mut refuse = |call, args| {
        rules.push(rule(&[call], LinuxSeccompAction::ScmpActErrno, args)?);
        Ok::<_, Error>(())
    };
    if !capabilities.contains(&Capability::SysAdmin) {
        for flag in NEW_NAMESPACES {
            refuse(Sysno::clone, vec![argument(LinuxSeccompOperator::ScmpCmpMaskedEq, flag, Some(flag))?])?;
        }
    }
    let others = PERSONALITIES.iter().map(|value| argument(LinuxSeccompOperator::ScmpCmpNe, *value, None));
    refuse(Sysno::personality, others.collect::<Result<_, _>>()?)?;
    refuse(Sysno::socket, vec![argument(LinuxSeccompOperator::ScmpCmpEq, AF_VSOCK, None)?])?;
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(ENOSYS)
        .architectures(vec![Arch::ScmpArchX86_64])
        .syscalls(rules)
        .build()
        .map_err(|_| Error::Incomplete("linux.seccomp"))
}

fn rule(
    calls: &[Sysno],
    action: LinuxSeccompAction,
    args: Vec<LinuxSeccompArg>,
) -> Result<LinuxSyscall, Error> {
    let names: Vec<String> = calls.iter().map(|call| call.name().to_owned()).collect();
    let mut rule = LinuxSyscallBuilder::default().names(names).action(action).args(args);
    if action == LinuxSeccompAction::ScmpActErrno {
        rule = rule.errno_ret(EPERM);
    }
    rule.build().map_err(|_| Error::Incomplete("linux.seccomp.syscalls"))
}

/// A comparison with the first argument.
fn argument(op: LinuxSeccompOperator, value: u64, value_two: Option<u64>) -> Result<LinuxSeccompArg, Error> {
    let mut argument = LinuxSeccompArgBuilder::default().index(0_usize).value(value).op(op);
    if let Some(value) = value_two {
        argument = argument.value_two(value);
    }
    argument.build().map_err(|_| Error::Incomplete("linux.seccomp.syscalls.args"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::defaults;

    fn allowed(capabilities: &Capabilities) -> Vec<String> {
        let filter = default_filter(capabilities).unwrap();
        filter.syscalls().as_ref().unwrap()[0].names().clone()
    }

    #[test]
    fn capabilities_open_their_calls() {
        let usual = allowed(&defaults::capabilities());
        for name in ["read", "ptrace", "chroot", "clone", "seccomp", "openat2", "setrlimit", "statx"] {
            assert!(usual.iter().any(|allowed| allowed == name), "{name}");
        }
        for name in ["mount", "bpf", "keyctl", "clone3", "reboot", "io_uring_setup", "unshare"] {
            assert!(usual.iter().all(|allowed| allowed != name), "{name}");
        }
        let all = allowed(&defaults::all_capabilities());
        assert!(["mount", "bpf", "clone3", "unshare"].iter().all(|name| all.iter().any(|it| it == name)));
        assert!(!all.iter().any(|name| name == "keyctl"));
    }
}
