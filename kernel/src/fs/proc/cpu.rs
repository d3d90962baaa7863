//! /proc/cpuinfo, stat, uptime, loadavg, interrupts: the CPUs and what they do.

use crate::error::Result;
use crate::fs::synthetic::Text;
use crate::process::namespace::pid::PidNamespace;
use crate::process::table;
use crate::sched;
use core::str::from_utf8;
use ostd::cpu::CpuId;

/// Nanoseconds in a tick of USER_HZ (times(2)): 100 a second.
pub const TICK_NS: u64 = 10_000_000;
const NS: u64 = 1_000_000_000;

/// /proc/cpuinfo.
pub fn show_cpuinfo(text: &mut Text) -> Result<()> {
    let info = ostd::cpu::info();
    let vendor = from_utf8(&info.vendor).map_or("", |vendor| vendor.trim_end_matches('\0'));
    let model = from_utf8(&info.brand).map_or("", |brand| brand.trim_matches(['\0', ' ']));
    let cpus = ostd::cpu::count();
    let (mhz, khz) = (info.tsc_hz / 1_000_000, info.tsc_hz / 1000 % 1000);
    for cpu in 0..cpus {
        text.add(format_args!("processor\t: {cpu}\n"));
        text.add(format_args!("vendor_id\t: {vendor}\ncpu family\t: {}\n", info.family));
        text.add(format_args!("model\t\t: {}\nmodel name\t: {model}\n", info.model));
        text.add(format_args!("stepping\t: {}\ncpu MHz\t\t: {mhz}.{khz:03}\n", info.stepping));
        text.add(format_args!(
            "physical id\t: 0\nsiblings\t: {cpus}\ncore id\t\t: {cpu}\ncpu cores\t: {cpus}\n"
        ));
        text.add(format_args!(
            "apicid\t\t: {cpu}\ninitial apicid\t: {cpu}\nfpu\t\t: yes\nfpu_exception\t: yes\n"
        ));
        text.bytes(b"wp\t\t: yes\nflags\t\t:");
        for flag in info.flags {
            text.add(format_args!(" {flag}"));
        }
        text.add(format_args!(
            "\nbogomips\t: {}.{:02}\n",
            info.tsc_hz * 2 / 1_000_000,
            info.tsc_hz / 5000 % 100
        ));
        text.bytes(b"clflush size\t: 64\ncache_alignment\t: 64\n");
        text.bytes(b"address sizes\t: 48 bits physical, 48 bits virtual\npower management:\n\n");
    }
    Ok(())
}

/// /proc/stat.
pub fn show_stat(text: &mut Text) -> Result<()> {
    let up_ns = ostd::timer::now_ns();
    let (user_ns, system_ns) = machine_times();
    // The scheduler knows how long each CPU was busy, the tasks how they divided it: the machine's division serves for each CPU.
    let row = |text: &mut Text, name: core::fmt::Arguments<'_>, busy_ns: u64, up_ns: u64| {
        let share = u128::from(busy_ns) * u128::from(user_ns) / u128::from((user_ns + system_ns).max(1));
        let user = share as u64 / TICK_NS;
        let system = (busy_ns / TICK_NS).saturating_sub(user);
        let idle = up_ns.saturating_sub(busy_ns) / TICK_NS;
        text.add(format_args!("{name} {user} 0 {system} {idle} 0 0 0 0 0 0\n"));
    };
    let cpus = ostd::cpu::count() as u64;
    row(text, format_args!("cpu "), busy_ns(), up_ns * cpus);
    for (index, cpu) in (0..ostd::cpu::count()).filter_map(CpuId::new).enumerate() {
        row(text, format_args!("cpu{index}"), sched::busy_ns(cpu), up_ns);
    }
    text.add(format_args!("intr {}\nctxt {}\n", ostd::irq::count_total(), sched::switches()));
    text.add(format_args!("btime {}\n", ostd::timer::boot_wall_ns() / NS));
    text.add(format_args!("processes {}\n", PidNamespace::initial().last()));
    text.add(format_args!("procs_running {}\nprocs_blocked 0\n", sched::runnable()));
    text.bytes(b"softirq 0 0 0 0 0 0 0 0 0 0 0\n");
    Ok(())
}

/// /proc/uptime: seconds since boot, and seconds that all CPUs together were idle.
pub fn show_uptime(text: &mut Text) -> Result<()> {
    let up_ns = ostd::timer::now_ns();
    let idle_ns = (up_ns * ostd::cpu::count() as u64).saturating_sub(busy_ns());
    let hundredths = |ns: u64| ns % NS / (NS / 100);
    text.add(format_args!("{}.{:02} ", up_ns / NS, hundredths(up_ns)));
    text.add(format_args!("{}.{:02}\n", idle_ns / NS, hundredths(idle_ns)));
    Ok(())
}

/// /proc/loadavg.
pub fn show_loadavg(text: &mut Text) -> Result<()> {
    for load in sched::load_average() {
        text.add(format_args!("{}.{:02} ", load >> 16, ((load & 0xffff) * 100) >> 16));
    }
    let pids = PidNamespace::initial();
    text.add(format_args!("{}/{} {}\n", sched::runnable(), pids.len(), pids.last()));
    Ok(())
}

/// /proc/interrupts: all of them in one row; they are not counted by source.
pub fn show_interrupts(text: &mut Text) -> Result<()> {
    text.bytes(b"           CPU0\n");
    text.add(format_args!("TOT: {:>10}   all interrupts of all CPUs\n", ostd::irq::count_total()));
    Ok(())
}

fn busy_ns() -> u64 {
    (0..ostd::cpu::count()).filter_map(CpuId::new).map(sched::busy_ns).sum()
}

/// CPU time of all processes, in ring 3 and in the kernel.
fn machine_times() -> (u64, u64) {
    let mut sum = (0, 0);
    table::for_each(|process| {
        let (own, children) = (process.cpu_times(), process.times.children());
        sum.0 += own.user_ns + children.user_ns;
        sum.1 += own.system_ns + children.system_ns;
        true
    });
    sum
}
