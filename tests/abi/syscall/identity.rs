//! What the machine says about itself: uname, sysinfo, getrandom, getcpu, times.

use crate::case::{Outcome, cases, check, check_eq, check_fails};
use crate::raw::harmless;

cases!("syscall":
    uname_says_linux_on_x86_64,
    sysinfo_counts_memory_and_processes,
    getrandom_fills_and_differs,
    the_current_cpu_is_in_the_affinity_mask,
    affinity_can_be_narrowed_and_is_checked,
    rusage_grows_with_work,
);

fn uname_says_linux_on_x86_64() -> Outcome {
    let name = nix::sys::utsname::uname()?;
    check_eq!(name.sysname(), "Linux");
    check_eq!(name.machine(), "x86_64");
    let major = name.release().to_string_lossy().split('.').next().and_then(|text| text.parse::<u32>().ok());
    check!(major.is_some_and(|major| major >= 4), "release {:?} would stop glibc", name.release());
    Ok(())
}

fn sysinfo_counts_memory_and_processes() -> Outcome {
    let info = nix::sys::sysinfo::sysinfo()?;
    check!(info.ram_total() > 64 << 20, "total memory is {}", info.ram_total());
    check!(info.ram_unused() <= info.ram_total());
    check!(info.process_count() >= 1);
    Ok(())
}

fn getrandom_fills_and_differs() -> Outcome {
    let mut blocks = [[0_u8; 64]; 2];
    for block in &mut blocks {
        // SAFETY: the buffer is a live local of the given length.
        let count = unsafe { libc::getrandom(block.as_mut_ptr().cast(), block.len(), 0) };
        check_eq!(count, 64);
    }
    check!(blocks[0] != blocks[1] && blocks[0] != [0; 64]);
    check_fails!(harmless(libc::SYS_getrandom, [0, 0, 0xff00]), EINVAL);
    Ok(())
}

fn the_current_cpu_is_in_the_affinity_mask() -> Outcome {
    let mask = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    let cpu = nix::sched::sched_getcpu()?;
    check!(mask.is_set(cpu)?, "cpu {cpu} is not in the mask");
    Ok(())
}

fn affinity_can_be_narrowed_and_is_checked() -> Outcome {
    let this = nix::unistd::Pid::from_raw(0);
    let mut one = nix::sched::CpuSet::new();
    one.set(0)?;
    nix::sched::sched_setaffinity(this, &one)?;
    check_eq!(nix::sched::sched_getcpu()?, 0);
    check_fails!(nix::sched::sched_setaffinity(this, &nix::sched::CpuSet::new()), EINVAL);
    Ok(())
}

fn rusage_grows_with_work() -> Outcome {
    let used = || -> nix::Result<i64> {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
        let time = [usage.user_time(), usage.system_time()];
        Ok(time.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum())
    };
    let before = used()?;
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(100) {
        nix::sched::sched_yield()?;
    }
    check!(used()? > before, "still {before} us after 100 ms of work");
    Ok(())
}
