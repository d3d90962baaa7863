//! Limits of a container: from docker's numbers to files of its control group
//! (<https://docs.kernel.org/admin-guide/cgroup-v2.html>). What the kernel has no controller for is refused.

use crate::models::HostConfig;
use crate::{Error, cgroup};

/// The least memory that docker takes.
const LEAST_MEMORY: i64 = 6 << 20;

/// The period that `--cpus` is divided into, in microseconds.
const PERIOD: i64 = 100_000;

/// The least quota that the kernel takes, in microseconds.
const LEAST_QUOTA: i64 = 1000;

/// Fails for limits that make no sense, and for those that need a controller that is not among `controllers`.
pub fn check(host: &HostConfig, controllers: &[String]) -> Result<(), Error> {
    let has = |name: &str| controllers.iter().any(|controller| controller == name);
    let refuse = |is_asked: bool, controller: &str, what: &str| {
        if is_asked && !has(controller) { Err(Error::Unsupported(what.to_owned())) } else { Ok(()) }
    };
    let (memory, reservation) = (given(host.memory), given(host.memory_reservation));
    refuse(memory.is_some(), "memory", "a memory limit (--memory)")?;
    refuse(reservation.is_some(), "memory", "a memory reservation (--memory-reservation)")?;
    refuse(has_cpu_limit(host), "cpu", "a CPU limit (--cpus)")?;
    let has_set = text(&host.cpuset_cpus).or(text(&host.cpuset_mems)).is_some();
    refuse(has_set, "cpuset", "a CPU set (--cpuset-cpus)")?;
    refuse(given(host.pids_limit).is_some(), "pids", "a limit of processes (--pids-limit)")?;

    let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
    if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    match (memory, given(host.memory_swap)) {
        (None, Some(_)) => {
            return invalid("You should always set the Memory limit when using Memoryswap limit");
        }
        (Some(memory), Some(swap)) if swap < memory => {
            return invalid("Minimum memoryswap limit should be larger than memory limit");
        }
        _ => {}
    }
    if memory.zip(reservation).is_some_and(|(memory, reservation)| reservation > memory) {
        return invalid("Minimum memory limit can not be less than memory reservation limit");
    }
    if given(host.nano_cpus).is_some() && (given(host.cpu_quota).or(given(host.cpu_period))).is_some() {
        return invalid("Conflicting options: Nano CPUs cannot be set with a CPU period or quota");
    }
    if given(host.cpu_quota).is_some_and(|quota| quota < LEAST_QUOTA) {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if given(host.cpu_period).is_some_and(|period| !(1000..=1_000_000).contains(&period)) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    Ok(())
}

/// The files to write, and what.
pub fn settings(host: &HostConfig) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut set = |file: &str, value: Option<String>| {
        settings.extend(value.map(|value| (file.to_owned(), value)));
    };
    let number = |value: Option<i64>| given(value).map(|value| value.to_string());
    set("pids.max", number(host.pids_limit));
    set("memory.max", number(host.memory));
    set("memory.low", number(host.memory_reservation));
    set("cpu.max", quota(host).map(|(quota, period)| format!("{quota} {period}")));
    set("cpu.weight", given(host.cpu_shares).map(|shares| weight(shares).to_string()));
    set("cpuset.cpus", text(&host.cpuset_cpus));
    set("cpuset.mems", text(&host.cpuset_mems));
    settings
}

/// What to write to a group that has been given other limits: those that are not limited any more, too.
pub fn changes(host: &HostConfig, controllers: &[String]) -> Vec<(String, String)> {
    let mut settings = settings(host);
    // A set of CPUs that is empty is that of the group above.
    for (controller, file, unlimited) in [
        ("pids", "pids.max", "max"),
        ("memory", "memory.max", "max"),
        ("memory", "memory.low", "0"),
        ("cpu", "cpu.max", "max"),
        ("cpu", "cpu.weight", "100"),
        ("cpuset", "cpuset.cpus", "\n"),
        ("cpuset", "cpuset.mems", "\n"),
    ] {
        let is_set = settings.iter().any(|(other, _)| other == file);
        if !is_set && controllers.iter().any(|has| has == controller) {
            settings.push((file.to_owned(), unlimited.to_owned()));
        }
    }
    settings
}

/// The controllers that containers can be limited by.
pub fn controllers() -> Vec<String> {
    cgroup::controllers()
}

fn has_cpu_limit(host: &HostConfig) -> bool {
    [host.nano_cpus, host.cpu_shares, host.cpu_quota, host.cpu_period]
        .into_iter()
        .any(|it| given(it).is_some())
}

/// Microseconds of CPU time in so many microseconds.
fn quota(host: &HostConfig) -> Option<(i64, i64)> {
    if let Some(nano) = given(host.nano_cpus) {
        // A thousandth of a CPU is a hundred microseconds of the period, of which the kernel wants a thousand.
        return Some(((nano / (1_000_000_000 / PERIOD)).max(LEAST_QUOTA), PERIOD));
    }
    given(host.cpu_quota).map(|quota| (quota, given(host.cpu_period).unwrap_or(PERIOD)))
}

/// docker's shares (2 to 262,144; 1,024 is usual) on the scale of version 2 (1 to 10,000), as runtimes agree to convert them
/// (OCI runtime specification, `linux.resources.cpu`).
fn weight(shares: i64) -> i64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

fn text(value: &Option<String>) -> Option<String> {
    value.clone().filter(|text| !text.is_empty())
}

/// Zero and negative numbers are no limit.
fn given(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    fn all() -> Vec<String> {
        ["memory", "cpu", "pids"].map(str::to_owned).to_vec()
    }

    #[test]
    fn docker_s_numbers_become_files() {
        let host = host(
            r#"{"Memory":67108864,"NanoCpus":1500000000,"CpuShares":1024,"PidsLimit":20,"MemorySwap":-1}"#,
        );
        check(&host, &all()).unwrap();
        let expected = [
            ("pids.max", "20"),
            ("memory.max", "67108864"),
            ("cpu.max", "150000 100000"),
            ("cpu.weight", "39"),
        ];
        assert_eq!(settings(&host), expected.map(|(file, value)| (file.to_owned(), value.to_owned())));
        let lifted = changes(&HostConfig::default(), &["pids".to_owned()]);
        assert_eq!(lifted, [("pids.max".to_owned(), "max".to_owned())]);
        assert!(settings(&HostConfig::default()).is_empty());
    }

    #[test]
    fn what_makes_no_sense_or_has_no_controller_is_refused() {
        for (json, words) in [
            (r#"{"Memory":1000000}"#, "Minimum memory limit allowed is 6MB"),
            (r#"{"MemorySwap":100000000}"#, "You should always set the Memory limit"),
            (r#"{"Memory":100000000,"MemorySwap":50000000}"#, "memoryswap limit should be larger"),
            (
                r#"{"Memory":100000000,"MemoryReservation":200000000}"#,
                "can not be less than memory reservation",
            ),
            (r#"{"NanoCpus":1000000000,"CpuQuota":50000}"#, "Conflicting options"),
            (r#"{"CpuQuota":500}"#, "can not be less than 1ms"),
        ] {
            let error = check(&host(json), &all()).unwrap_err().to_string();
            assert!(error.contains(words), "{json}: {error}");
        }
        for (json, words) in [
            (r#"{"Memory":67108864}"#, "a memory limit (--memory) is not supported by Coffer yet"),
            (r#"{"NanoCpus":500000000}"#, "a CPU limit (--cpus) is not supported by Coffer yet"),
            (r#"{"PidsLimit":5}"#, "a limit of processes (--pids-limit) is not supported by Coffer yet"),
        ] {
            assert_eq!(check(&host(json), &[]).unwrap_err().to_string(), words);
        }
    }
}
