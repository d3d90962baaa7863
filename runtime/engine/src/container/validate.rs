//! What a request for a container may ask for. Everything that docker has and Coffer has not is named here, with one clear sentence; the
//! values that mean "as usual" (null, zero, empty, what clients send unasked) are not objected to.

use super::limits;
use crate::Error;
use crate::models::{
    ContainerCreateBody, HostConfig, HostConfigIsolationEnum, RestartPolicy, RestartPolicyNameEnum,
};

/// Fails with the first thing that is not there, on a kernel with these controllers of control groups.
pub fn check(body: &ContainerCreateBody, controllers: &[String], is_sealed: bool) -> Result<(), Error> {
    body.healthcheck.as_ref().map_or(Ok(()), super::health::validate)?;
    if let Some(timeout) = body.stop_timeout.filter(|timeout| *timeout < -1) {
        return Err(Error::Invalid(format!("invalid stop timeout {timeout}")));
    }
    if let Some(signal) = body.stop_signal.as_deref().filter(|signal| !signal.is_empty()) {
        super::signals::parse(signal)?;
    }
    for variable in body.env.iter().flatten() {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(Error::Invalid(format!("invalid environment variable: {variable}")));
        }
    }
    check_texts(body)?;
    if let Some(directory) =
        body.working_dir.as_deref().filter(|directory| !directory.is_empty() && !directory.starts_with('/'))
    {
        return Err(Error::Invalid(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        )));
    }
    let Some(host) = &body.host_config else { return Ok(()) };
    check_host(host)?;
    super::security::check(host, is_sealed)?;
    limits::check(host, controllers)
}

/// No text that reaches the kernel may end before its end.
fn check_texts(body: &ContainerCreateBody) -> Result<(), Error> {
    let lists = [("environment", &body.env), ("command", &body.cmd), ("entrypoint", &body.entrypoint)];
    let lists = lists.into_iter().map(|(what, list)| (what, list.iter().flatten().collect::<Vec<_>>()));
    let texts = [
        ("user", &body.user),
        ("working directory", &body.working_dir),
        ("host name", &body.hostname),
        ("domain name", &body.domainname),
    ];
    let texts = texts.into_iter().map(|(what, text)| (what, text.iter().collect()));
    let labels = body.labels.iter().flatten().flat_map(|(key, value)| [key, value]).collect();
    let mut all = lists.chain(texts).chain([("label", labels)]);
    match all.find(|(_, texts)| texts.iter().any(|text| text.contains('\0'))) {
        Some((what, _)) => Err(Error::Invalid(format!("the {what} contains a NUL byte"))),
        None => Ok(()),
    }
}

fn check_host(host: &HostConfig) -> Result<(), Error> {
    check_limits(host)?;
    check_modes(host)?;
    refuse(some(&host.devices), "access to devices (--device)")?;
    refuse(some(&host.device_cgroup_rules), "a device rule (--device-cgroup-rule)")?;
    refuse(some(&host.device_requests), "a device request (--gpus)")?;
    refuse(some(&host.links), "a link to a container (--link)")?;
    refuse(
        host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()),
        "a storage option (--storage-opt)",
    )?;
    refuse(
        host.sysctls.as_ref().is_some_and(|sysctls| !sysctls.is_empty()),
        "a kernel parameter (--sysctl)",
    )?;
    refuse(
        host.volume_driver.as_deref().is_some_and(|driver| !matches!(driver, "" | "local")),
        "a volume driver",
    )?;
    for wished in host.ulimits.iter().flatten() {
        super::start::limit(wished)?;
    }
    if let Some(policy) = &host.restart_policy {
        restart_policy(policy, host.auto_remove == Some(true))?;
    }
    if host.shm_size.is_some_and(|size| size < 0) {
        return Err(Error::Invalid("SHM size can not be less than 0".to_owned()));
    }
    if let Some(adjustment) = host.oom_score_adj.filter(|it| !(-1000..=1000).contains(it)) {
        return Err(Error::Invalid(format!(
            "invalid value {adjustment}, range for oom score adj is [-1000, 1000]"
        )));
    }
    Ok(())
}

fn check_limits(host: &HostConfig) -> Result<(), Error> {
    let is_set = |value: Option<i64>| value.is_some_and(|value| value != 0);
    refuse(host.memory_swappiness.is_some_and(|value| value >= 0), "swappiness (--memory-swappiness)")?;
    refuse(host.oom_kill_disable == Some(true), "disabling the OOM killer (--oom-kill-disable)")?;
    let cpu = is_set(host.cpu_realtime_period)
        || is_set(host.cpu_realtime_runtime)
        || is_set(host.cpu_count)
        || is_set(host.cpu_percent);
    refuse(cpu, "a limit of real-time CPU time (--cpu-rt-runtime)")?;
    let has_text = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let block = host.blkio_weight.is_some_and(|weight| weight != 0)
        || some(&host.blkio_weight_device)
        || some(&host.blkio_device_read_bps)
        || some(&host.blkio_device_write_bps)
        || some(&host.blkio_device_read_iops)
        || some(&host.blkio_device_write_iops)
        || is_set(host.io_maximum_iops)
        || is_set(host.io_maximum_bandwidth);
    refuse(block, "a limit of block I/O (--blkio-weight)")?;
    refuse(has_text(&host.cgroup_parent), "a parent control group (--cgroup-parent)")?;
    refuse(has_text(&host.cgroup), "joining a control group")
}

fn check_modes(host: &HostConfig) -> Result<(), Error> {
    let mode = |value: &Option<String>, allowed: &[&str], what: &str| {
        let value = value.as_deref().unwrap_or_default();
        // Another container's, where `container:` is allowed.
        let kind = value.split_inclusive(':').next().unwrap_or_default();
        let is_known =
            value.is_empty() || allowed.contains(&value) || (kind.ends_with(':') && allowed.contains(&kind));
        refuse(!is_known, &format!("{what} `{value}`"))
    };
    mode(&host.ipc_mode, &["private", "shareable", "container:"], "the IPC mode")?;
    mode(&host.pid_mode, &["private", "host", "container:"], "the PID mode")?;
    mode(&host.uts_mode, &[], "the UTS mode")?;
    mode(&host.userns_mode, &["host"], "the user namespace mode")?;
    mode(&host.runtime, &["runc", "io.containerd.runc.v2"], "the runtime")?;
    let isolation = host.isolation.unwrap_or(HostConfigIsolationEnum::EMPTY);
    let is_usual = matches!(isolation, HostConfigIsolationEnum::EMPTY | HostConfigIsolationEnum::DEFAULT);
    refuse(!is_usual, "this isolation")
}

/// Checks a restart policy.
pub fn restart_policy(policy: &RestartPolicy, is_removed_at_end: bool) -> Result<(), Error> {
    let name = policy.name.unwrap_or(RestartPolicyNameEnum::EMPTY);
    let count = policy.maximum_retry_count.unwrap_or_default();
    let restarts = !matches!(name, RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO);
    if restarts && is_removed_at_end {
        return Err(Error::Invalid("can't create 'AutoRemove' container with restart policy".to_owned()));
    }
    if count < 0 {
        return Err(Error::Invalid(
            "invalid restart policy: maximum retry count cannot be negative".to_owned(),
        ));
    }
    if count > 0 && name != RestartPolicyNameEnum::ON_FAILURE {
        return Err(Error::Invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'".to_owned(),
        ));
    }
    Ok(())
}

fn some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn refuse(is_asked: bool, what: &str) -> Result<(), Error> {
    if is_asked { Err(Error::Unsupported(what.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(host: &str) -> ContainerCreateBody {
        serde_json::from_str(&format!(r#"{{"Image":"x","HostConfig":{host}}}"#)).unwrap()
    }

    #[test]
    fn what_the_client_sends_unasked_is_fine() {
        let usual = r#"{"MemorySwappiness":-1,"LogConfig":{"Type":"","Config":{}},"MaskedPaths":null,"ReadonlyPaths":null,
            "CgroupnsMode":"","IpcMode":"","PidMode":"","Memory":0,"NanoCpus":0,"PidsLimit":0,"Devices":[],"Privileged":false,
            "RestartPolicy":{"Name":"no","MaximumRetryCount":0},"Isolation":"","Binds":null,"OomKillDisable":false,
            "BlkioWeight":0,"ShmSize":0,"ConsoleSize":[40,100],"NetworkMode":"default","SecurityOpt":null}"#;
        check(&body(usual), &[], true).unwrap();
    }

    #[test]
    fn texts_with_a_nul_are_refused() {
        for json in [r#"{"Env":["A=\u0000"]}"#, r#"{"Cmd":["x\u0000y"]}"#, r#"{"Labels":{"a\u0000":"b"}}"#] {
            let body: ContainerCreateBody = serde_json::from_str(json).unwrap();
            assert!(
                check(&body, &[], false).unwrap_err().to_string().ends_with("contains a NUL byte"),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (host, text) in [
            (r#"{"Memory":1000000}"#, "a memory limit (--memory) is not supported by Coffer yet"),
            (r#"{"NanoCpus":500000000}"#, "a CPU limit (--cpus) is not supported by Coffer yet"),
            (r#"{"PidMode":"ns:x"}"#, "the PID mode `ns:x` is not supported by Coffer yet"),
            (
                r#"{"SecurityOpt":["apparmor=mine"]}"#,
                "the security option `apparmor=mine` is not supported by Coffer yet",
            ),
            (
                r#"{"Ulimits":[{"Name":"nofile","Soft":5,"Hard":3}]}"#,
                "ulimit soft limit must be less than or equal to hard limit: 5 > 3",
            ),
            (r#"{"Ulimits":[{"Name":"files"}]}"#, "invalid ulimit type: files"),
            (
                r#"{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}"#,
                "can't create 'AutoRemove' container with restart policy",
            ),
        ] {
            assert_eq!(check(&body(host), &[], false).unwrap_err().to_string(), text);
        }
    }
}
