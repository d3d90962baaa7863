//! Inspect: docker's whole picture of a container.

use std::collections::HashMap;

use runtime_image::Snapshot;

use super::entry::{Entry, MountKind, Record, Status};
use super::start::host_name;
use crate::engine::blocking;
use crate::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, DriverData, MountPoint,
    NetworkSettings,
};
use crate::time::{NEVER, Time};
use crate::{Engine, Error};

impl Engine {
    /// Tells everything about it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchContainer`].
    pub async fn container_inspect(
        &self,
        reference: &str,
        size: bool,
    ) -> Result<ContainerInspectResponse, Error> {
        let entry = self.find(reference)?;
        let record = entry.record().clone();
        let mut response = self.describe(&entry, &record);
        if size {
            let (engine, image) = (self.clone(), record.image.clone());
            let (writable, total) = blocking(move || {
                let writable = crate::volumes::size_of(&Snapshot::at(&entry.snapshot_folder()).upper());
                let image = engine.images().find(&image).map_or(0, |image| image.size);
                Ok((writable, writable.saturating_add(i64::try_from(image).unwrap_or(i64::MAX))))
            })
            .await?;
            response.size_rw = Some(writable);
            response.size_root_fs = Some(total);
        }
        Ok(response)
    }

    fn describe(&self, entry: &Entry, record: &Record) -> ContainerInspectResponse {
        let path = |name: &str| Some(entry.folder.join(name).display().to_string());
        let mut config = record.config.clone();
        config.hostname = Some(host_name(record));
        let execs = self.execs_of(&entry.id);
        let has_log =
            record.host_config.log_config.as_ref().and_then(|log| log.typ.as_deref()) != Some("none");
        let snapshot = Snapshot::at(&entry.snapshot_folder());
        let layers = [
            ("MergedDir", snapshot.root().display().to_string()),
            ("UpperDir", snapshot.upper().display().to_string()),
        ];
        ContainerInspectResponse {
            id: Some(record.id.clone()),
            created: Some(record.created.to_string()),
            path: Some(record.path.clone()),
            args: Some(record.args.clone()),
            state: Some(state(record)),
            image: Some(record.image.clone()),
            resolv_conf_path: path("resolv.conf"),
            hostname_path: path("hostname"),
            hosts_path: path("hosts"),
            log_path: Some(if has_log { entry.log_path().display().to_string() } else { String::new() }),
            name: Some(format!("/{}", record.name)),
            restart_count: Some(record.state.restart_count),
            driver: Some("overlay2".to_owned()),
            platform: Some("linux".to_owned()),
            mount_label: Some(String::new()),
            process_label: Some(String::new()),
            app_armor_profile: Some(String::new()),
            exec_ids: (!execs.is_empty()).then_some(execs),
            host_config: Some(record.host_config.clone()),
            graph_driver: Some(DriverData {
                name: "overlay2".to_owned(),
                data: layers.map(|(key, value)| (key.to_owned(), value)).into(),
            }),
            mounts: Some(self.mount_points(record)),
            config: Some(config),
            network_settings: Some(network_settings(record)),
            ..ContainerInspectResponse::default()
        }
    }

    /// The mounts as inspect and list show them. A tmpfs of `--tmpfs` is not among them, as in docker.
    pub(crate) fn mount_points(&self, record: &Record) -> Vec<MountPoint> {
        let shown = |mount: &super::entry::MountRecord| {
            let base = MountPoint {
                destination: Some(mount.destination.clone()),
                mode: Some(mount.mode.clone()),
                rw: Some(mount.is_writable),
                propagation: Some(String::new()),
                ..MountPoint::default()
            };
            match &mount.kind {
                MountKind::Bind { source } => Some(MountPoint {
                    typ: Some("bind".to_owned()),
                    source: Some(source.display().to_string()),
                    propagation: Some("rprivate".to_owned()),
                    ..base
                }),
                MountKind::Volume { name, .. } => Some(MountPoint {
                    typ: Some("volume".to_owned()),
                    name: Some(name.clone()),
                    source: Some(self.inner.volumes.data(name).display().to_string()),
                    driver: Some("local".to_owned()),
                    ..base
                }),
                MountKind::Tmpfs { .. } => {
                    let of_option = record.host_config.tmpfs.as_ref();
                    let is_option = of_option.is_some_and(|all| all.contains_key(&mount.destination));
                    (!is_option).then_some(MountPoint { typ: Some("tmpfs".to_owned()), ..base })
                }
            }
        };
        record.mounts.iter().filter_map(shown).collect()
    }
}

fn state(record: &Record) -> ContainerState {
    let state = &record.state;
    let time = |time: Option<Time>| Some(time.map_or_else(|| NEVER.to_owned(), |time| time.to_string()));
    ContainerState {
        status: Some(match state.status {
            Status::Created => ContainerStateStatusEnum::CREATED,
            Status::Running => ContainerStateStatusEnum::RUNNING,
            Status::Paused => ContainerStateStatusEnum::PAUSED,
            Status::Restarting => ContainerStateStatusEnum::RESTARTING,
            Status::Removing => ContainerStateStatusEnum::REMOVING,
            Status::Exited => ContainerStateStatusEnum::EXITED,
            Status::Dead => ContainerStateStatusEnum::DEAD,
        }),
        running: Some(state.status.is_alive() || state.status == Status::Restarting),
        paused: Some(state.status == Status::Paused),
        restarting: Some(state.status == Status::Restarting),
        oom_killed: Some(state.was_oom_killed),
        dead: Some(state.status == Status::Dead),
        pid: Some(state.pid.into()),
        exit_code: Some(state.exit_code),
        error: Some(state.error.clone()),
        started_at: time(state.started),
        finished_at: time(state.finished),
        health: state.health.clone(),
    }
}

fn network_settings(record: &Record) -> NetworkSettings {
    NetworkSettings {
        sandbox_id: Some(String::new()),
        sandbox_key: Some(if record.state.pid > 0 {
            format!("/proc/{}/ns/net", record.state.pid)
        } else {
            String::new()
        }),
        ports: Some(if record.state.pid > 0 { record.ports.clone() } else { HashMap::new() }),
        networks: Some(record.endpoints.clone()),
    }
}
