//! Stats: what a container uses, read from its control group and from /proc.
//!
//! Without a memory controller, memory is what its processes have that is theirs alone or shared among them; the kernel's own part of it and
//! files in caches are not in it then. Block I/O is not counted by anybody yet.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::entry::{Entry, Status};
use crate::engine::blocking;
use crate::models::{
    ContainerCpuStats, ContainerCpuUsage, ContainerMemoryStats, ContainerNetworkStats, ContainerPidsStats,
    ContainerStatsResponse,
};
use crate::time::now;
use crate::{Engine, Error, cgroup};

/// Nanoseconds of a tick in /proc/stat; the same on every x86-64 Linux.
const TICK_NS: u64 = 10_000_000;

/// The kinds of time in /proc/stat that make up the whole: user, nice, system, idle, iowait, irq, softirq, steal. Time of guests is in the
/// user's.
const KINDS: usize = 8;

impl Engine {
    /// What it uses now, without what it used before. One that does not run uses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`].
    pub async fn container_stats(&self, reference: &str) -> Result<ContainerStatsResponse, Error> {
        let entry = self.find(reference)?;
        let is_running = matches!(entry.status(), Status::Running | Status::Paused);
        let named = ContainerStatsResponse {
            id: Some(entry.id.clone()),
            name: Some(format!("/{}", entry.name())),
            ..ContainerStatsResponse::default()
        };
        if !is_running {
            return Ok(named);
        }
        blocking(move || Ok(measure(&entry, named))).await
    }
}

fn measure(entry: &Entry, named: ContainerStatsResponse) -> ContainerStatsResponse {
    let (first, has_host_network) = {
        let record = entry.record();
        (record.state.pid, record.host_config.network_mode.as_deref() == Some("host"))
    };
    let group = cgroup::of(&entry.id);
    let processes = cgroup::processes(&entry.id).unwrap_or_else(|| vec![first]);
    ContainerStatsResponse {
        read: Some(now().to_string()),
        cpu_stats: group.as_deref().map(cpu),
        memory_stats: Some(memory(group.as_deref(), &processes)),
        pids_stats: Some(pids(group.as_deref(), &processes)),
        networks: (!has_host_network).then(|| networks(first)),
        ..named
    }
}

fn cpu(group: &Path) -> ContainerCpuStats {
    let text = fs::read_to_string(group.join("cpu.stat")).unwrap_or_default();
    let nanoseconds = |key: &str| Some(value_of(&text, key).unwrap_or_default().saturating_mul(1000));
    let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
    ContainerCpuStats {
        cpu_usage: Some(ContainerCpuUsage {
            total_usage: nanoseconds("usage_usec"),
            usage_in_usermode: nanoseconds("user_usec"),
            usage_in_kernelmode: nanoseconds("system_usec"),
            ..ContainerCpuUsage::default()
        }),
        system_cpu_usage: machine_time(&machine),
        online_cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|count| u32::try_from(count.get()).ok()),
        ..ContainerCpuStats::default()
    }
}

fn memory(group: Option<&Path>, processes: &[i32]) -> ContainerMemoryStats {
    let counted = |name: &str| number_in(group?.join(name).as_path());
    let estimated = || {
        let of = |pid: &i32| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let kib = |key: &str| value_of(&text, key).unwrap_or_default();
            kib("RssAnon:").saturating_add(kib("RssShmem:")).saturating_mul(1024)
        };
        processes.iter().map(of).sum()
    };
    let info = rustix::system::sysinfo();
    let machine = u64::from(info.mem_unit).saturating_mul(info.totalram);
    ContainerMemoryStats {
        usage: Some(counted("memory.current").unwrap_or_else(estimated)),
        limit: Some(counted("memory.max").unwrap_or(machine).min(machine)),
        ..ContainerMemoryStats::default()
    }
}

fn pids(group: Option<&Path>, processes: &[i32]) -> ContainerPidsStats {
    let counted = |name: &str| number_in(group?.join(name).as_path());
    ContainerPidsStats {
        current: counted("pids.current").or_else(|| u64::try_from(processes.len()).ok()),
        limit: counted("pids.max"),
    }
}

/// The links of the network namespace of a process, but for the loopback one, by name.
fn networks(pid: i32) -> HashMap<String, ContainerNetworkStats> {
    parse_links(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

fn parse_links(text: &str) -> HashMap<String, ContainerNetworkStats> {
    let link = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let at = |index: usize| numbers.get(index).copied();
        // See proc_pid_net(5): eight columns for each direction.
        let stats = ContainerNetworkStats {
            rx_bytes: at(0),
            rx_packets: at(1),
            rx_errors: at(2),
            rx_dropped: at(3),
            tx_bytes: at(8),
            tx_packets: at(9),
            tx_errors: at(10),
            tx_dropped: at(11),
            ..ContainerNetworkStats::default()
        };
        Some((name.trim().to_owned(), stats))
    };
    text.lines().filter_map(link).filter(|(name, _)| name != "lo").collect()
}

/// The number behind a key that begins a line.
fn value_of(text: &str, key: &str) -> Option<u64> {
    let mut words = text.lines().find(|line| line.split_whitespace().next() == Some(key))?.split_whitespace();
    words.nth(1)?.parse().ok()
}

/// The number that is a file's content. None for `max`.
fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The time that has passed on all of the machine's CPUs, in nanoseconds, from the text of /proc/stat.
fn machine_time(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks = line.split_whitespace().take(KINDS).filter_map(|ticks| ticks.parse::<u64>().ok());
    Some(ticks.fold(0, u64::saturating_add).saturating_mul(TICK_NS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_texts_are_read() {
        let stat = "cpu  100 1 20 3000 4 5 6 7 99 99\ncpu0 1 2 3\n";
        assert_eq!(machine_time(stat), Some(3143 * TICK_NS));
        let cpu = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        assert_eq!(value_of(cpu, "user_usec"), Some(1000));
        assert_eq!(value_of("RssAnon:\t  12 kB\nRssShmem:\t 3 kB\n", "RssAnon:"), Some(12));
        let links = parse_links(
            "Inter-|   Receive |  Transmit\n face |bytes packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
             eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n",
        );
        assert_eq!(links.len(), 1);
        let eth0 = &links["eth0"];
        assert_eq!(
            (eth0.rx_bytes, eth0.rx_dropped, eth0.tx_bytes, eth0.tx_dropped),
            (Some(10), Some(4), Some(50), Some(8))
        );
    }
}
