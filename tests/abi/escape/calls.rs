//! System calls that a container has no business with: docker's filter refuses them, whatever the kernel would say.

use crate::case::{Outcome, cases, check, check_fails};
use crate::raw::{BAD_ADDRESS, harmless};

cases!("escape":
    mounting_is_refused,
    unmounting_is_refused,
    another_root_is_refused,
    opening_a_file_system_is_refused,
    copying_a_mount_is_refused,
    moving_a_mount_is_refused,
    changing_a_mount_is_refused,
    entering_namespaces_is_refused,
    a_user_namespace_is_refused,
    a_mount_namespace_is_refused,
    a_child_in_a_user_namespace_is_refused,
    clone3_is_not_there,
    loading_a_module_is_refused,
    unloading_a_module_is_refused,
    booting_another_kernel_is_refused,
    rebooting_is_refused,
    setting_the_clock_is_refused,
    naming_the_machine_is_refused,
    swapping_is_refused,
    ports_are_refused,
    accounting_is_refused,
    quotas_are_refused,
    programs_for_the_kernel_are_refused,
    performance_events_are_refused,
    serving_page_faults_is_refused,
    keys_are_refused,
    files_by_handle_are_refused,
    the_kernels_log_is_refused,
    descriptors_of_others_are_refused,
    rings_are_refused,
    watching_file_systems_is_refused,
    moving_pages_is_refused,
    odd_personalities_are_refused,
);

fn mounting_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_mount, [BAD_ADDRESS, BAD_ADDRESS, BAD_ADDRESS, 0, 0]), EPERM);
    Ok(())
}

fn unmounting_is_refused() -> Outcome {
    check_fails!(nix::mount::umount("/proc"), EPERM);
    Ok(())
}

fn another_root_is_refused() -> Outcome {
    check_fails!(nix::unistd::pivot_root("/tmp", "/tmp"), EPERM);
    Ok(())
}

fn opening_a_file_system_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_fsopen, [BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_fspick, [usize::MAX, BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_fsmount, [usize::MAX, 0, 0]), EPERM);
    Ok(())
}

fn copying_a_mount_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_open_tree, [usize::MAX, BAD_ADDRESS, 1]), EPERM);
    Ok(())
}

fn moving_a_mount_is_refused() -> Outcome {
    check_fails!(
        harmless(libc::SYS_move_mount, [usize::MAX, BAD_ADDRESS, usize::MAX, BAD_ADDRESS, 0]),
        EPERM
    );
    Ok(())
}

fn changing_a_mount_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_mount_setattr, [usize::MAX, BAD_ADDRESS, 0, BAD_ADDRESS, 32]), EPERM);
    Ok(())
}

fn entering_namespaces_is_refused() -> Outcome {
    for kind in ["mnt", "net", "uts", "ipc", "pid"] {
        let own = std::fs::File::open(format!("/proc/1/ns/{kind}"))?;
        check_fails!(nix::sched::setns(own, nix::sched::CloneFlags::empty()), EPERM);
    }
    Ok(())
}

fn a_user_namespace_is_refused() -> Outcome {
    check_fails!(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER), EPERM);
    Ok(())
}

fn a_mount_namespace_is_refused() -> Outcome {
    check_fails!(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS), EPERM);
    Ok(())
}

fn a_child_in_a_user_namespace_is_refused() -> Outcome {
    let flags = (libc::CLONE_NEWUSER | libc::SIGCHLD) as usize;
    check_fails!(harmless(libc::SYS_clone, [flags, 0, 0, 0, 0]), EPERM);
    Ok(())
}

fn clone3_is_not_there() -> Outcome {
    check_fails!(harmless(libc::SYS_clone3, [BAD_ADDRESS, 64]), ENOSYS);
    Ok(())
}

fn loading_a_module_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_init_module, [BAD_ADDRESS, 1, BAD_ADDRESS]), EPERM);
    check_fails!(harmless(libc::SYS_finit_module, [usize::MAX, BAD_ADDRESS, 0]), EPERM);
    Ok(())
}

fn unloading_a_module_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_delete_module, [BAD_ADDRESS, 0]), EPERM);
    Ok(())
}

fn booting_another_kernel_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_kexec_load, [0, 0, BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_kexec_file_load, [usize::MAX, usize::MAX, 0, BAD_ADDRESS, 0]), EPERM);
    Ok(())
}

fn rebooting_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_reboot, [0, 0, 0, 0]), EPERM);
    Ok(())
}

fn setting_the_clock_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_settimeofday, [BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_clock_settime, [0, BAD_ADDRESS]), EPERM);
    Ok(())
}

fn naming_the_machine_is_refused() -> Outcome {
    check_fails!(nix::unistd::sethostname("elsewhere"), EPERM);
    check_fails!(harmless(libc::SYS_setdomainname, [BAD_ADDRESS, 1]), EPERM);
    Ok(())
}

fn swapping_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_swapon, [BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_swapoff, [BAD_ADDRESS]), EPERM);
    Ok(())
}

fn ports_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_iopl, [3]), EPERM);
    check_fails!(harmless(libc::SYS_ioperm, [0x70, 2, 1]), EPERM);
    Ok(())
}

fn accounting_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_acct, [BAD_ADDRESS]), EPERM);
    Ok(())
}

fn quotas_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_quotactl, [0, 0, 0, 0]), EPERM);
    Ok(())
}

fn programs_for_the_kernel_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_bpf, [5, BAD_ADDRESS, 128]), EPERM);
    Ok(())
}

fn performance_events_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_perf_event_open, [BAD_ADDRESS, 0, usize::MAX, usize::MAX, 0]), EPERM);
    Ok(())
}

fn serving_page_faults_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_userfaultfd, [0]), EPERM);
    Ok(())
}

fn keys_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_add_key, [BAD_ADDRESS, BAD_ADDRESS, 0, 0, 0]), EPERM);
    check_fails!(harmless(libc::SYS_request_key, [BAD_ADDRESS, BAD_ADDRESS, 0, 0]), EPERM);
    check_fails!(harmless(libc::SYS_keyctl, [0, 0, 0, 0, 0]), EPERM);
    Ok(())
}

fn files_by_handle_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_open_by_handle_at, [usize::MAX, BAD_ADDRESS, 0]), EPERM);
    Ok(())
}

fn the_kernels_log_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_syslog, [3, BAD_ADDRESS, 0]), EPERM);
    check_fails!(harmless(libc::SYS_syslog, [5, 0, 0]), EPERM);
    Ok(())
}

fn descriptors_of_others_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_pidfd_getfd, [usize::MAX, 0, 0]), EPERM);
    check_fails!(harmless(libc::SYS_kcmp, [1, 1, 0, 0, 0]), EPERM);
    Ok(())
}

fn rings_are_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_io_uring_setup, [1, BAD_ADDRESS]), EPERM);
    Ok(())
}

fn watching_file_systems_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_fanotify_init, [0, 0]), EPERM);
    Ok(())
}

fn moving_pages_is_refused() -> Outcome {
    check_fails!(harmless(libc::SYS_move_pages, [0, 0, 0, 0, 0, 0]), EPERM);
    check_fails!(harmless(libc::SYS_migrate_pages, [0, 0, 0, 0]), EPERM);
    Ok(())
}

fn odd_personalities_are_refused() -> Outcome {
    // READ_IMPLIES_EXEC and no random places: what exploits like.
    check_fails!(harmless(libc::SYS_personality, [0x0040_0000]), EPERM);
    check_fails!(harmless(libc::SYS_personality, [0x0004_0000]), EPERM);
    check!(harmless(libc::SYS_personality, [0xffff_ffff]).is_ok());
    Ok(())
}
