//! `docker info` and `docker system df`.

use crate::container::ListOptions;
use crate::container::entry::Status;
use crate::engine::blocking;
use crate::models::{
    ContainerSummary, ContainerSummaryStateEnum, ContainersDiskUsage, PluginsInfo, SystemDataUsageResponse,
    SystemInfo, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum, Volume, VolumesDiskUsage,
};
use crate::{Engine, Error};

/// What the machine found itself to be: a label, and for a trust domain a security option, in the form that the docker client takes apart.
fn platform() -> (String, Option<String>) {
    match std::fs::read_to_string("/sys/devices/virtual/misc/tdx_guest/platform") {
        Ok(words) => ("platform=tdx".to_owned(), Some(format!("name=tdx,{}", words.trim_end()))),
        Err(_) => ("platform=plain".to_owned(), None),
    }
}

impl Engine {
    /// `docker info`, but for what only the API knows (`ServerVersion`, `RegistryConfig`, `Name` …, which stay `None`).
    ///
    /// # Errors
    ///
    /// When the machine does not tell.
    pub async fn info(&self) -> Result<SystemInfo, Error> {
        let statuses: Vec<Status> = self.all().iter().map(|entry| entry.status()).collect();
        let number = |count: usize| i64::try_from(count).ok();
        let count =
            |wanted: fn(&Status) -> bool| number(statuses.iter().filter(|status| wanted(status)).count());
        let texts = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect());
        let controllers = crate::cgroup::controllers();
        let has_controller = |name: &str| Some(controllers.iter().any(|controller| controller == name));
        let (label, security) = platform();
        let memory = rustix::system::sysinfo();
        let total = u64::from(memory.mem_unit).saturating_mul(memory.totalram);
        Ok(SystemInfo {
            containers: number(statuses.len()),
            containers_running: count(|status| matches!(status, Status::Running | Status::Restarting)),
            containers_paused: count(|status| *status == Status::Paused),
            containers_stopped: count(|status| {
                matches!(status, Status::Created | Status::Exited | Status::Dead | Status::Removing)
            }),
            images: number(self.images().count()),
            driver: Some("overlay2".to_owned()),
            docker_root_dir: Some(self.inner.settings.folder.display().to_string()),
            plugins: Some(PluginsInfo {
                volume: texts(&["local"]),
                network: texts(&["bridge", "host", "null"]),
                log: texts(&["json-file"]),
                ..PluginsInfo::default()
            }),
            memory_limit: has_controller("memory"),
            swap_limit: Some(false),
            cpu_cfs_period: has_controller("cpu"),
            cpu_cfs_quota: has_controller("cpu"),
            cpu_shares: has_controller("cpu"),
            cpu_set: has_controller("cpuset"),
            pids_limit: has_controller("pids"),
            oom_kill_disable: Some(false),
            system_time: Some(crate::time::now().to_string()),
            logging_driver: Some("json-file".to_owned()),
            cgroup_driver: Some(SystemInfoCgroupDriverEnum::NONE),
            cgroup_version: Some(SystemInfoCgroupVersionEnum::_2),
            n_events_listener: number(self.inner.bus.listeners()),
            ncpu: std::thread::available_parallelism().ok().and_then(|count| number(count.get())),
            mem_total: i64::try_from(total).ok(),
            live_restore_enabled: Some(true),
            default_runtime: Some("runc".to_owned()),
            init_binary: Some("docker-init".to_owned()),
            labels: Some(vec![label]),
            security_options: Some(
                security.into_iter().chain(["name=seccomp,profile=builtin".to_owned()]).collect(),
            ),
            ..SystemInfo::default()
        })
    }

    /// `docker system df`, but for images.
    ///
    /// # Errors
    ///
    /// When a folder cannot be measured.
    pub async fn disk_usage(&self) -> Result<SystemDataUsageResponse, Error> {
        let containers =
            self.container_list(ListOptions { all: true, size: true, ..ListOptions::default() }).await?;
        let engine = self.clone();
        let volumes = blocking(move || Ok(engine.volume_usage())).await?;
        let number = |count: usize| i64::try_from(count).ok();
        let container_size = |it: &ContainerSummary| it.size_rw.unwrap_or_default();
        let is_active = |it: &ContainerSummary| it.state == Some(ContainerSummaryStateEnum::RUNNING);
        let volume_size = |it: &Volume| it.usage_data.as_ref().map_or(0, |usage| usage.size);
        let is_used = |it: &Volume| it.usage_data.as_ref().is_some_and(|usage| usage.ref_count > 0);
        Ok(SystemDataUsageResponse {
            container_usage: Some(ContainersDiskUsage {
                active_count: number(containers.iter().filter(|it| is_active(it)).count()),
                total_count: number(containers.len()),
                reclaimable: Some(containers.iter().filter(|it| !is_active(it)).map(container_size).sum()),
                total_size: Some(containers.iter().map(container_size).sum()),
                items: Some(values(&containers)?),
            }),
            volume_usage: Some(VolumesDiskUsage {
                active_count: number(volumes.iter().filter(|it| is_used(it)).count()),
                total_count: number(volumes.len()),
                reclaimable: Some(volumes.iter().filter(|it| !is_used(it)).map(volume_size).sum()),
                total_size: Some(volumes.iter().map(volume_size).sum()),
                items: Some(values(&volumes)?),
            }),
            ..SystemDataUsageResponse::default()
        })
    }
}

fn values<T: serde::Serialize>(items: &[T]) -> Result<Vec<serde_json::Value>, Error> {
    let values = items.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    values.map_err(|source| Error::Stored { what: "usage".to_owned(), source })
}
