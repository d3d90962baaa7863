//! THE table: number, name, handler, support. Dispatcher, names for logs and `docs/syscalls.md` come from these rows.
//!
//! `full`: every flag and errno that the man page gives. `partial "what is missing"`. `absent "why"`: answers ENOSYS without a log line.
//! Rows are sorted by number (x86-64).

use super::args::Handler;
use super::{event, fs, futex, ipc, mm, net, process, restart, sched, signal, system, time};
use crate::context::Context;
use crate::error::{Errno, Result};

/// How much of a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// All of it.
    Full,
    /// What is missing.
    Partial(&'static str),
    /// Why it is not there.
    Absent(&'static str),
}

macro_rules! syscalls {
    ($($number:literal $name:ident $handler:path, $kind:ident $($note:literal)?;)*) => {
        /// Serves call `number`; `None` if there is no such row.
        pub fn dispatch(number: u64, args: &[u64; 6], context: &mut Context<'_>) -> Option<Result<isize>> {
            match number {
                $($number => Some(row!(@call $kind $handler, args, context)),)*
                _ => None,
            }
        }

        /// All rows: number, name, support.
        pub const ROWS: &[(u32, &str, Support)] = &[$(($number, stringify!($name), row!(@support $kind $($note)?)),)*];
    };
}

macro_rules! row {
    (@call absent $handler:path, $args:ident, $context:ident) => {
        Err($handler.into())
    };
    (@call $kind:ident $handler:path, $args:ident, $context:ident) => {
        Handler::serve($handler, $args, $context)
    };
    (@support full) => {
        Support::Full
    };
    (@support partial $note:literal) => {
        Support::Partial($note)
    };
    (@support absent $note:literal) => {
        Support::Absent($note)
    };
}

syscalls! {
    0 read fs::read_write::sys_read, full;
    1 write fs::read_write::sys_write, full;
    2 open fs::open::sys_open, full;
    3 close fs::close::sys_close, full;
    4 stat fs::stat::sys_stat, full;
    5 fstat fs::stat::sys_fstat, full;
    6 lstat fs::stat::sys_lstat, full;
    7 poll event::poll::sys_poll, full;
    8 lseek fs::seek::sys_lseek, full;
    9 mmap mm::mmap::sys_mmap, partial "no huge pages";
    10 mprotect mm::mprotect::sys_mprotect, full;
    11 munmap mm::munmap::sys_munmap, full;
    12 brk mm::brk::sys_brk, full;
    13 rt_sigaction signal::sigaction::sys_rt_sigaction, full;
    14 rt_sigprocmask signal::sigmask::sys_rt_sigprocmask, full;
    15 rt_sigreturn signal::sigreturn::sys_rt_sigreturn, full;
    16 ioctl fs::ioctl::sys_ioctl, full;
    17 pread64 fs::read_write::sys_pread64, full;
    18 pwrite64 fs::read_write::sys_pwrite64, full;
    19 readv fs::vectored::sys_readv, full;
    20 writev fs::vectored::sys_writev, full;
    21 access fs::access::sys_access, full;
    22 pipe ipc::pipe::sys_pipe, full;
    23 select event::select::sys_select, full;
    24 sched_yield sched::yielding::sys_sched_yield, full;
    25 mremap mm::mremap::sys_mremap, full;
    26 msync mm::msync::sys_msync, full;
    27 mincore mm::mincore::sys_mincore, full;
    28 madvise mm::madvise::sys_madvise, partial "no KSM, no huge pages, no memory errors to inject";
    29 shmget ipc::shm::sys_shmget, partial "no huge pages";
    30 shmat ipc::shm::sys_shmat, full;
    31 shmctl ipc::shm::sys_shmctl, full;
    32 dup fs::dup::sys_dup, full;
    33 dup2 fs::dup::sys_dup2, full;
    34 pause signal::sigwait::sys_pause, full;
    35 nanosleep time::nanosleep::sys_nanosleep, full;
    36 getitimer time::interval_timer::sys_getitimer, full;
    37 alarm time::interval_timer::sys_alarm, full;
    38 setitimer time::interval_timer::sys_setitimer, full;
    39 getpid process::ids::sys_getpid, full;
    40 sendfile fs::copy::sys_sendfile, full;
    41 socket net::socket::sys_socket, partial "AF_UNIX only";
    42 connect net::connect::sys_connect, full;
    43 accept net::connect::sys_accept, full;
    44 sendto net::send::sys_sendto, full;
    45 recvfrom net::receive::sys_recvfrom, full;
    46 sendmsg net::send::sys_sendmsg, full;
    47 recvmsg net::receive::sys_recvmsg, full;
    48 shutdown net::socket::sys_shutdown, full;
    49 bind net::connect::sys_bind, full;
    50 listen net::connect::sys_listen, full;
    51 getsockname net::address::sys_getsockname, full;
    52 getpeername net::address::sys_getpeername, full;
    53 socketpair net::socket::sys_socketpair, partial "AF_UNIX only";
    54 setsockopt net::option::sys_setsockopt, partial "socket filters, timestamps and devices are unknown";
    55 getsockopt net::option::sys_getsockopt, partial "SO_PEERGROUPS, SO_PEERPIDFD and SO_PEERSEC are unknown";
    56 clone process::clone::sys_clone, partial "no time namespaces; files and credentials belong to the process";
    57 fork process::clone::sys_fork, full;
    58 vfork process::clone::sys_vfork, full;
    59 execve process::execve::sys_execve, full;
    60 exit process::exit::sys_exit, full;
    61 wait4 process::wait::sys_wait4, full;
    62 kill signal::kill::sys_kill, full;
    63 uname system::hostname::sys_uname, full;
    64 semget ipc::sem::sys_semget, full;
    65 semop ipc::sem::sys_semop, full;
    66 semctl ipc::sem::sys_semctl, full;
    67 shmdt ipc::shm::sys_shmdt, full;
    68 msgget ipc::msg::sys_msgget, full;
    69 msgsnd ipc::msg::sys_msgsnd, full;
    70 msgrcv ipc::msg::sys_msgrcv, full;
    71 msgctl ipc::msg::sys_msgctl, full;
    72 fcntl fs::fcntl::sys_fcntl, partial "no leases, no directory notification; F_SETOWN and F_SETSIG are kept but O_ASYNC sends nothing";
    73 flock fs::flock::sys_flock, full;
    74 fsync fs::sync::sys_fsync, full;
    75 fdatasync fs::sync::sys_fdatasync, full;
    76 truncate fs::truncate::sys_truncate, full;
    77 ftruncate fs::truncate::sys_ftruncate, full;
    78 getdents fs::getdents::sys_getdents, full;
    79 getcwd fs::cwd::sys_getcwd, full;
    80 chdir fs::cwd::sys_chdir, full;
    81 fchdir fs::cwd::sys_fchdir, full;
    82 rename fs::rename::sys_rename, full;
    83 mkdir fs::make::sys_mkdir, full;
    84 rmdir fs::remove::sys_rmdir, full;
    85 creat fs::open::sys_creat, full;
    86 link fs::link::sys_link, full;
    87 unlink fs::remove::sys_unlink, full;
    88 symlink fs::make::sys_symlink, full;
    89 readlink fs::readlink::sys_readlink, full;
    90 chmod fs::chmod::sys_chmod, full;
    91 fchmod fs::chmod::sys_fchmod, full;
    92 chown fs::chown::sys_chown, full;
    93 fchown fs::chown::sys_fchown, full;
    94 lchown fs::chown::sys_lchown, full;
    95 umask fs::cwd::sys_umask, full;
    96 gettimeofday time::clock::sys_gettimeofday, full;
    97 getrlimit process::rlimit::sys_getrlimit, full;
    98 getrusage process::rusage::sys_getrusage, partial "no counts of context switches and blocks";
    99 sysinfo system::sysinfo::sys_sysinfo, full;
    100 times time::times::sys_times, full;
    101 ptrace Errno::ENOSYS, absent "debuggers come with their own issue";
    102 getuid process::set_ids::sys_getuid, full;
    103 syslog system::syslog::sys_syslog, partial "no blocking read of new records";
    104 getgid process::set_ids::sys_getgid, full;
    105 setuid process::set_ids::sys_setuid, full;
    106 setgid process::set_ids::sys_setgid, full;
    107 geteuid process::set_ids::sys_geteuid, full;
    108 getegid process::set_ids::sys_getegid, full;
    109 setpgid process::session::sys_setpgid, full;
    110 getppid process::ids::sys_getppid, full;
    111 getpgrp process::session::sys_getpgrp, full;
    112 setsid process::session::sys_setsid, full;
    113 setreuid process::set_ids::sys_setreuid, full;
    114 setregid process::set_ids::sys_setregid, full;
    115 getgroups process::groups::sys_getgroups, full;
    116 setgroups process::groups::sys_setgroups, full;
    117 setresuid process::set_ids::sys_setresuid, full;
    118 getresuid process::set_ids::sys_getresuid, full;
    119 setresgid process::set_ids::sys_setresgid, full;
    120 getresgid process::set_ids::sys_getresgid, full;
    121 getpgid process::session::sys_getpgid, full;
    122 setfsuid process::set_ids::sys_setfsuid, full;
    123 setfsgid process::set_ids::sys_setfsgid, full;
    124 getsid process::session::sys_getsid, full;
    125 capget process::capabilities::sys_capget, full;
    126 capset process::capabilities::sys_capset, full;
    127 rt_sigpending signal::sigmask::sys_rt_sigpending, full;
    128 rt_sigtimedwait signal::sigwait::sys_rt_sigtimedwait, full;
    129 rt_sigqueueinfo signal::queue::sys_rt_sigqueueinfo, full;
    130 rt_sigsuspend signal::sigwait::sys_rt_sigsuspend, full;
    131 sigaltstack signal::altstack::sys_sigaltstack, full;
    132 utime fs::utimes::sys_utime, full;
    133 mknod fs::make::sys_mknod, full;
    134 uselib Errno::ENOSYS, absent "removed from Linux's builds; no program uses it";
    135 personality process::personality::sys_personality, partial "ADDR_NO_RANDOMIZE and READ_IMPLIES_EXEC have an effect";
    137 statfs fs::statfs::sys_statfs, full;
    138 fstatfs fs::statfs::sys_fstatfs, full;
    139 sysfs Errno::ENOSYS, absent "obsolete; /proc/filesystems says it";
    140 getpriority sched::priority::sys_getpriority, full;
    141 setpriority sched::priority::sys_setpriority, full;
    142 sched_setparam sched::policy::sys_sched_setparam, full;
    143 sched_getparam sched::policy::sys_sched_getparam, full;
    144 sched_setscheduler sched::policy::sys_sched_setscheduler, partial "no SCHED_DEADLINE";
    145 sched_getscheduler sched::policy::sys_sched_getscheduler, full;
    146 sched_get_priority_max sched::policy::sys_sched_get_priority_max, full;
    147 sched_get_priority_min sched::policy::sys_sched_get_priority_min, full;
    148 sched_rr_get_interval sched::policy::sys_sched_rr_get_interval, full;
    149 mlock mm::mlock::sys_mlock, full;
    150 munlock mm::mlock::sys_munlock, full;
    151 mlockall mm::mlock::sys_mlockall, full;
    152 munlockall mm::mlock::sys_munlockall, full;
    155 pivot_root fs::mount::sys_pivot_root, full;
    156 _sysctl Errno::ENOSYS, absent "removed in Linux 5.5";
    157 prctl process::prctl::sys_prctl, partial "no PR_SET_MM, no speculation controls, no timer slack";
    158 arch_prctl process::arch_prctl::sys_arch_prctl, partial "no CPUID faulting";
    159 adjtimex time::adjust::sys_adjtimex, partial "reads only";
    160 setrlimit process::rlimit::sys_setrlimit, full;
    161 chroot fs::cwd::sys_chroot, full;
    162 sync fs::sync::sys_sync, full;
    163 acct Errno::ENOSYS, absent "no process accounting";
    164 settimeofday time::clock::sys_settimeofday, full;
    165 mount fs::mount::sys_mount, partial "MS_SYNCHRONOUS, MS_DIRSYNC and MS_MANDLOCK change nothing";
    166 umount2 fs::mount::sys_umount2, partial "MNT_EXPIRE does not wait for a second call";
    167 swapon Errno::ENOSYS, absent "no swap";
    168 swapoff Errno::ENOSYS, absent "no swap";
    169 reboot system::reboot::sys_reboot, partial "no kexec, no suspend";
    170 sethostname system::hostname::sys_sethostname, full;
    171 setdomainname system::hostname::sys_setdomainname, full;
    172 iopl Errno::ENOSYS, absent "no access to ports from user space";
    173 ioperm Errno::ENOSYS, absent "no access to ports from user space";
    175 init_module Errno::ENOSYS, absent "no modules";
    176 delete_module Errno::ENOSYS, absent "no modules";
    179 quotactl Errno::ENOSYS, absent "no quotas";
    186 gettid process::ids::sys_gettid, full;
    187 readahead fs::fadvise::sys_readahead, full;
    188 setxattr fs::xattr::sys_setxattr, full;
    189 lsetxattr fs::xattr::sys_lsetxattr, full;
    190 fsetxattr fs::xattr::sys_fsetxattr, full;
    191 getxattr fs::xattr::sys_getxattr, full;
    192 lgetxattr fs::xattr::sys_lgetxattr, full;
    193 fgetxattr fs::xattr::sys_fgetxattr, full;
    194 listxattr fs::xattr::sys_listxattr, full;
    195 llistxattr fs::xattr::sys_llistxattr, full;
    196 flistxattr fs::xattr::sys_flistxattr, full;
    197 removexattr fs::xattr::sys_removexattr, full;
    198 lremovexattr fs::xattr::sys_lremovexattr, full;
    199 fremovexattr fs::xattr::sys_fremovexattr, full;
    200 tkill signal::kill::sys_tkill, full;
    201 time time::clock::sys_time, full;
    202 futex futex::sys_futex, partial "no priority inheritance";
    203 sched_setaffinity sched::affinity::sys_sched_setaffinity, full;
    204 sched_getaffinity sched::affinity::sys_sched_getaffinity, full;
    206 io_setup event::aio::sys_io_setup, full;
    207 io_destroy event::aio::sys_io_destroy, full;
    208 io_getevents event::aio::sys_io_getevents, full;
    209 io_submit event::aio::sys_io_submit, partial "no IOCB_CMD_POLL; requests are carried out as they are submitted";
    210 io_cancel event::aio::sys_io_cancel, full;
    213 epoll_create event::epoll::sys_epoll_create, full;
    216 remap_file_pages Errno::ENOSYS, absent "deprecated since Linux 3.16; mmap(2) does it";
    217 getdents64 fs::getdents::sys_getdents64, full;
    218 set_tid_address process::ids::sys_set_tid_address, full;
    219 restart_syscall restart::sys_restart_syscall, full;
    220 semtimedop ipc::sem::sys_semtimedop, full;
    221 fadvise64 fs::fadvise::sys_fadvise64, full;
    222 timer_create time::timer::sys_timer_create, full;
    223 timer_settime time::timer::sys_timer_settime, full;
    224 timer_gettime time::timer::sys_timer_gettime, full;
    225 timer_getoverrun time::timer::sys_timer_getoverrun, full;
    226 timer_delete time::timer::sys_timer_delete, full;
    227 clock_settime time::clock::sys_clock_settime, full;
    228 clock_gettime time::clock::sys_clock_gettime, full;
    229 clock_getres time::clock::sys_clock_getres, full;
    230 clock_nanosleep time::nanosleep::sys_clock_nanosleep, full;
    231 exit_group process::exit::sys_exit_group, full;
    232 epoll_wait event::epoll::sys_epoll_wait, full;
    233 epoll_ctl event::epoll::sys_epoll_ctl, partial "EPOLLEXCLUSIVE wakes all sets";
    234 tgkill signal::kill::sys_tgkill, full;
    235 utimes fs::utimes::sys_utimes, full;
    237 mbind Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    238 set_mempolicy Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    239 get_mempolicy Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    240 mq_open ipc::mq::sys_mq_open, full;
    241 mq_unlink ipc::mq::sys_mq_unlink, full;
    242 mq_timedsend ipc::mq::sys_mq_timedsend, full;
    243 mq_timedreceive ipc::mq::sys_mq_timedreceive, full;
    244 mq_notify ipc::mq::sys_mq_notify, full;
    245 mq_getsetattr ipc::mq::sys_mq_getsetattr, full;
    246 kexec_load Errno::ENOSYS, absent "no other kernel is booted from here";
    247 waitid process::wait::sys_waitid, full;
    248 add_key Errno::ENOSYS, absent "no keyrings";
    249 request_key Errno::ENOSYS, absent "no keyrings";
    250 keyctl Errno::ENOSYS, absent "no keyrings";
    251 ioprio_set sched::io_priority::sys_ioprio_set, full;
    252 ioprio_get sched::io_priority::sys_ioprio_get, full;
    253 inotify_init event::inotify::sys_inotify_init, full;
    254 inotify_add_watch event::inotify::sys_inotify_add_watch, partial "IN_EXCL_UNLINK is ignored; IN_UNMOUNT does not come";
    255 inotify_rm_watch event::inotify::sys_inotify_rm_watch, full;
    256 migrate_pages Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    257 openat fs::open::sys_openat, full;
    258 mkdirat fs::make::sys_mkdirat, full;
    259 mknodat fs::make::sys_mknodat, full;
    260 fchownat fs::chown::sys_fchownat, full;
    261 futimesat fs::utimes::sys_futimesat, full;
    262 newfstatat fs::stat::sys_newfstatat, full;
    263 unlinkat fs::remove::sys_unlinkat, full;
    264 renameat fs::rename::sys_renameat, full;
    265 linkat fs::link::sys_linkat, full;
    266 symlinkat fs::make::sys_symlinkat, full;
    267 readlinkat fs::readlink::sys_readlinkat, full;
    268 fchmodat fs::chmod::sys_fchmodat, full;
    269 faccessat fs::access::sys_faccessat, full;
    270 pselect6 event::select::sys_pselect6, full;
    271 ppoll event::poll::sys_ppoll, full;
    272 unshare process::namespaces::sys_unshare, partial "no time namespaces; files belong to the process";
    273 set_robust_list process::robust_list::sys_set_robust_list, full;
    274 get_robust_list process::robust_list::sys_get_robust_list, full;
    275 splice fs::splice::sys_splice, full;
    276 tee fs::splice::sys_tee, full;
    277 sync_file_range fs::sync::sys_sync_file_range, full;
    278 vmsplice fs::splice::sys_vmsplice, partial "SPLICE_F_NONBLOCK is left to the pipe's O_NONBLOCK";
    279 move_pages Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    280 utimensat fs::utimes::sys_utimensat, full;
    281 epoll_pwait event::epoll::sys_epoll_pwait, full;
    282 signalfd event::signalfd::sys_signalfd, full;
    283 timerfd_create event::timerfd::sys_timerfd_create, partial "alarm clocks do not wake a machine that sleeps";
    284 eventfd event::eventfd::sys_eventfd, full;
    285 fallocate fs::fallocate::sys_fallocate, partial "no collapsing, inserting and unsharing of ranges";
    286 timerfd_settime event::timerfd::sys_timerfd_settime, full;
    287 timerfd_gettime event::timerfd::sys_timerfd_gettime, full;
    288 accept4 net::connect::sys_accept4, full;
    289 signalfd4 event::signalfd::sys_signalfd4, full;
    290 eventfd2 event::eventfd::sys_eventfd2, full;
    291 epoll_create1 event::epoll::sys_epoll_create1, full;
    292 dup3 fs::dup::sys_dup3, full;
    293 pipe2 ipc::pipe::sys_pipe2, partial "no notification pipes";
    294 inotify_init1 event::inotify::sys_inotify_init1, full;
    295 preadv fs::vectored::sys_preadv, full;
    296 pwritev fs::vectored::sys_pwritev, full;
    297 rt_tgsigqueueinfo signal::queue::sys_rt_tgsigqueueinfo, full;
    298 perf_event_open Errno::ENOSYS, absent "no performance events";
    299 recvmmsg net::receive::sys_recvmmsg, full;
    300 fanotify_init Errno::ENOSYS, absent "no fanotify; inotify serves";
    301 fanotify_mark Errno::ENOSYS, absent "no fanotify; inotify serves";
    302 prlimit64 process::rlimit::sys_prlimit64, full;
    303 name_to_handle_at Errno::ENOSYS, absent "no file handles";
    304 open_by_handle_at Errno::ENOSYS, absent "no file handles";
    305 clock_adjtime time::adjust::sys_clock_adjtime, partial "reads only";
    306 syncfs fs::sync::sys_syncfs, full;
    307 sendmmsg net::send::sys_sendmmsg, full;
    308 setns process::namespaces::sys_setns, partial "no time namespaces";
    309 getcpu sched::yielding::sys_getcpu, full;
    312 kcmp Errno::ENOSYS, absent "checkpointing tools only";
    313 finit_module Errno::ENOSYS, absent "no modules";
    314 sched_setattr sched::attributes::sys_sched_setattr, partial "no SCHED_DEADLINE, no utilisation clamps";
    315 sched_getattr sched::attributes::sys_sched_getattr, full;
    316 renameat2 fs::rename::sys_renameat2, partial "no RENAME_WHITEOUT";
    317 seccomp process::seccomp::sys_seccomp, partial "no SECCOMP_RET_USER_NOTIF";
    318 getrandom system::getrandom::sys_getrandom, full;
    319 memfd_create ipc::memfd::sys_memfd_create, partial "no huge pages";
    320 kexec_file_load Errno::ENOSYS, absent "no other kernel is booted from here";
    321 bpf system::bpf::sys_bpf, partial "programs of type BPF_PROG_TYPE_CGROUP_DEVICE only";
    322 execveat process::execve::sys_execveat, full;
    323 userfaultfd Errno::ENOSYS, absent "page faults are not served by user space";
    324 membarrier sched::barrier::sys_membarrier, partial "no commands for restartable sequences";
    325 mlock2 mm::mlock::sys_mlock2, full;
    326 copy_file_range fs::copy::sys_copy_file_range, full;
    327 preadv2 fs::vectored::sys_preadv2, partial "RWF_NOWAIT may wait";
    328 pwritev2 fs::vectored::sys_pwritev2, partial "RWF_NOWAIT may wait";
    329 pkey_mprotect mm::pkey::sys_pkey_mprotect, partial "no protection keys: only key -1";
    330 pkey_alloc mm::pkey::sys_pkey_alloc, partial "no protection keys, as on a CPU without them";
    331 pkey_free mm::pkey::sys_pkey_free, partial "no protection keys, as on a CPU without them";
    332 statx fs::stat::sys_statx, partial "no birth times";
    333 io_pgetevents event::aio::sys_io_pgetevents, full;
    334 rseq Errno::ENOSYS, absent "glibc and tcmalloc fall back; critical sections would not be restarted";
    424 pidfd_send_signal process::pidfd::sys_pidfd_send_signal, full;
    425 io_uring_setup Errno::ENOSYS, absent "comes with its own issue; libraries fall back";
    426 io_uring_enter Errno::ENOSYS, absent "comes with its own issue";
    427 io_uring_register Errno::ENOSYS, absent "comes with its own issue";
    428 open_tree fs::mount::tree::sys_open_tree, full;
    429 move_mount fs::mount::tree::sys_move_mount, partial "no MOVE_MOUNT_SET_GROUP, no MOVE_MOUNT_BENEATH";
    430 fsopen fs::mount::context::sys_fsopen, full;
    431 fsconfig fs::mount::context::sys_fsconfig, partial "options are text, as on Linux for most file systems";
    432 fsmount fs::mount::context::sys_fsmount, full;
    433 fspick fs::mount::context::sys_fspick, full;
    434 pidfd_open process::pidfd::sys_pidfd_open, full;
    435 clone3 process::clone::sys_clone3, partial "no time namespaces";
    436 close_range fs::close::sys_close_range, full;
    437 openat2 fs::open::sys_openat2, partial "RESOLVE_CACHED answers EAGAIN";
    438 pidfd_getfd process::pidfd::sys_pidfd_getfd, full;
    439 faccessat2 fs::access::sys_faccessat2, full;
    440 process_madvise Errno::ENOSYS, absent "madvise(2) serves the own process";
    441 epoll_pwait2 event::epoll::sys_epoll_pwait2, full;
    442 mount_setattr fs::mount::attributes::sys_mount_setattr, partial "no MOUNT_ATTR_IDMAP";
    443 quotactl_fd Errno::ENOSYS, absent "no quotas";
    444 landlock_create_ruleset Errno::ENOSYS, absent "no Landlock";
    445 landlock_add_rule Errno::ENOSYS, absent "no Landlock";
    446 landlock_restrict_self Errno::ENOSYS, absent "no Landlock";
    447 memfd_secret Errno::ENOSYS, absent "off by default on Linux, too";
    448 process_mrelease Errno::ENOSYS, absent "the killed release their memory by themselves";
    449 futex_waitv Errno::ENOSYS, absent "later";
    450 set_mempolicy_home_node Errno::ENOSYS, absent "one memory node, as a Linux without NUMA";
    451 cachestat Errno::ENOSYS, absent "newer than what programs rely on";
    452 fchmodat2 fs::chmod::sys_fchmodat2, full;
}

// Sorted and without doubles, checked when the kernel is built.
const _: () = {
    let mut i = 1;
    while i < ROWS.len() {
        assert!(ROWS[i - 1].0 < ROWS[i].0, "rows of the syscall table must be sorted by number");
        i += 1;
    }
};
