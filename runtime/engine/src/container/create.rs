//! Create: from a request and an image to a container on disk.

use std::collections::{BTreeSet, HashMap};

use runtime_image::remove_tree;

use super::entry::{Entry, MountKind, Record, State};
use super::{health, limits, mounts, names, signals, validate};
use crate::engine::{blocking, random_id};
use crate::images::Image;
use crate::models::{
    ContainerConfig, ContainerCreateBody, ContainerCreateResponse, HostConfig, HostConfigLogConfig,
    RestartPolicy, RestartPolicyNameEnum,
};
use crate::time::now;
use crate::{Engine, Error};

impl Engine {
    /// Makes a container.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchImage`], [`Error::NameInUse`], [`Error::Invalid`], [`Error::Unsupported`].
    pub async fn container_create(
        &self,
        name: Option<&str>,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateResponse, Error> {
        validate::check(&body, &limits::controllers(), self.inner.settings.is_sealed)?;
        let engine = self.clone();
        let name = name.filter(|name| !name.is_empty()).map(names::check).transpose()?;
        blocking(move || engine.create_blocking(name, body)).await
    }

    fn create_blocking(
        &self,
        name: Option<String>,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateResponse, Error> {
        let wanted = body.image.clone().unwrap_or_default();
        let image = self.images().find(&wanted)?;
        let warnings = Vec::new();
        let mut host_config = complete(body.host_config.clone().unwrap_or_default())?;
        self.resolve_modes(&mut host_config)?;
        let networking = body.networking_config.clone().and_then(|config| config.endpoints_config);
        let config = merge(body, &image)?;
        let (path, args) = command(&config)?;
        // The client takes every 404 of this call for a missing image, and would pull.
        let endpoints =
            self.check_networks(&host_config, networking.unwrap_or_default()).map_err(|error| {
                if error.status() == 404 { Error::Invalid(error.to_string()) } else { error }
            })?;
        let mut wished = mounts::of_request(&config, &host_config)?;
        self.add_volumes_from(&host_config, &mut wished)?;

        let id = random_id()?;
        let name = self.reserve(name, &id)?;
        let created = self.make(&id, &name, &image, wished, |mounts| Record {
            id: id.clone(),
            name: name.clone(),
            created: now(),
            image: image.id.clone(),
            manifest: image.manifest.clone(),
            config,
            host_config,
            path,
            args,
            mounts,
            endpoints,
            ports: HashMap::new(),
            links: Vec::new(),
            state: State::default(),
            has_copied: false,
        });
        match created {
            Ok(()) => Ok(ContainerCreateResponse { id, warnings }),
            Err(error) => {
                // The first error is the one to tell.
                self.table().names.remove(&name);
                let _ = self.images().release(&id);
                let _ = remove_tree(&self.folder_of(&id));
                Err(error)
            }
        }
    }

    fn make(
        &self,
        id: &str,
        name: &str,
        image: &Image,
        mut mounts: Vec<super::entry::MountRecord>,
        record: impl FnOnce(Vec<super::entry::MountRecord>) -> Record,
    ) -> Result<(), Error> {
        let folder = self.folder_of(id);
        std::fs::create_dir(&folder).map_err(Error::system(format!("create the folder of `{name}`")))?;
        self.images().hold(id, &image.id)?;
        for mount in &mut mounts {
            if let MountKind::Volume { name, is_anonymous, .. } = &mut mount.kind {
                if name.is_empty() {
                    *name = random_id()?;
                }
                if self.inner.volumes.ensure(name, *is_anonymous)? {
                    self.tell_volume(name, "create");
                }
            }
        }
        let entry = Entry::new(folder, record(mounts));
        entry.change(|_| ())?;
        let entry = std::sync::Arc::new(entry);
        self.table().containers.insert(id.to_owned(), std::sync::Arc::clone(&entry));
        self.tell(&entry, "create", &[]);
        Ok(())
    }

    /// Takes the name, or one that nobody has.
    fn reserve(&self, name: Option<String>, id: &str) -> Result<String, Error> {
        let mut table = self.table();
        let name = match name {
            Some(name) => name,
            None => names::generate(&table)?,
        };
        if let Some(holder) = table.names.get(&name) {
            return Err(Error::NameInUse { name, id: holder.clone() });
        }
        table.names.insert(name.clone(), id.to_owned());
        Ok(name)
    }

    fn add_volumes_from(
        &self,
        host: &HostConfig,
        mounts: &mut Vec<super::entry::MountRecord>,
    ) -> Result<(), Error> {
        for from in host.volumes_from.iter().flatten() {
            let (container, mode) = from.split_once(':').unwrap_or((from, ""));
            let theirs = self.find(container)?.record().mounts.clone();
            for mut mount in theirs {
                mount.is_writable &= mode != "ro";
                if mounts.iter().all(|other| other.destination != mount.destination) {
                    mounts.push(mount);
                }
            }
        }
        Ok(())
    }
}

/// Defaults of what was not said, as inspect shows them.
fn complete(mut host: HostConfig) -> Result<HostConfig, Error> {
    let log = host.log_config.get_or_insert_default();
    if log.typ.as_deref().is_none_or(str::is_empty) {
        log.typ = Some("json-file".to_owned());
    }
    log.config.get_or_insert_default();
    log_options(log)?;
    if host.network_mode.as_deref().is_none_or(str::is_empty) {
        host.network_mode = Some("default".to_owned());
    }
    if host.ipc_mode.as_deref().is_none_or(str::is_empty) {
        host.ipc_mode = Some("private".to_owned());
    }
    if host.shm_size.is_none_or(|size| size == 0) {
        host.shm_size = i64::try_from(runtime_oci::spec::defaults::SHM_SIZE).ok();
    }
    let policy = host.restart_policy.get_or_insert_with(RestartPolicy::default);
    if matches!(policy.name, None | Some(RestartPolicyNameEnum::EMPTY)) {
        policy.name = Some(RestartPolicyNameEnum::NO);
    }
    policy.maximum_retry_count.get_or_insert(0);
    host.runtime = Some("runc".to_owned());
    Ok(host)
}

/// The size after which a log is rotated and the number of its files. None: nothing is logged.
pub fn log_options(log: &HostConfigLogConfig) -> Result<Option<(Option<u64>, usize)>, Error> {
    let empty = HashMap::new();
    let options = log.config.as_ref().unwrap_or(&empty);
    match log.typ.as_deref() {
        Some("none") if options.is_empty() => return Ok(None),
        Some("json-file" | "") | None => {}
        other => return Err(Error::Unsupported(format!("the log driver `{}`", other.unwrap_or_default()))),
    }
    let (mut size, mut files) = (None, 1);
    for (key, value) in options {
        let invalid = || Error::Invalid(format!("invalid value for log option {key}: {value}"));
        match key.as_str() {
            "max-size" if value == "-1" => size = None,
            "max-size" => size = Some(mounts::size(value).filter(|size| *size > 0).ok_or_else(invalid)?),
            "max-file" => files = value.parse().ok().filter(|files| *files > 0).ok_or_else(invalid)?,
            _ => return Err(Error::Unsupported(format!("the log option `{key}`"))),
        }
    }
    if files > 1 && size.is_none() {
        return Err(Error::Invalid("failed to create task for container: failed to initialize logging driver: max-file cannot be used without max-size".to_owned()));
    }
    Ok(Some((size, files)))
}

/// The image's configuration under the request's, by docker's rules.
fn merge(body: ContainerCreateBody, image: &Image) -> Result<ContainerConfig, Error> {
    let empty = oci_spec::image::Config::default();
    let base = image.config.config().as_ref().unwrap_or(&empty);
    let nonempty = |text: Option<String>| text.filter(|text| !text.is_empty());

    let mut entrypoint = body.entrypoint;
    let mut cmd = body.cmd.filter(|cmd| !cmd.is_empty());
    if entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if cmd.is_none() {
            cmd = base.cmd().clone();
        }
        if entrypoint.is_none() {
            entrypoint = base.entrypoint().clone();
        }
    }
    // `--entrypoint ""` takes the image's away.
    if entrypoint.as_ref().is_some_and(|it| matches!(it.as_slice(), [only] if only.is_empty())) {
        entrypoint = None;
    }

    let key = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut env = body.env.unwrap_or_default();
    let set: BTreeSet<String> = env.iter().map(|variable| key(variable)).collect();
    env.extend(base.env().iter().flatten().filter(|variable| !set.contains(&key(variable))).cloned());
    // A name alone takes the image's variable away.
    env.retain(|variable| variable.contains('='));

    let mut labels = base.labels().clone().unwrap_or_default();
    labels.extend(body.labels.unwrap_or_default());
    let mut ports: BTreeSet<String> = base.exposed_ports().iter().flatten().cloned().collect();
    ports.extend(body.exposed_ports.into_iter().flatten());
    let mut volumes: BTreeSet<String> = base.volumes().iter().flatten().cloned().collect();
    volumes.extend(body.volumes.into_iter().flatten());
    let stop_signal = nonempty(body.stop_signal).or_else(|| base.stop_signal().clone());
    if let Some(signal) = &stop_signal {
        signals::parse(signal)?;
    }
    Ok(ContainerConfig {
        hostname: nonempty(body.hostname),
        domainname: body.domainname.or_else(|| Some(String::new())),
        user: Some(nonempty(body.user).or_else(|| base.user().clone()).unwrap_or_default()),
        attach_stdin: Some(body.attach_stdin.unwrap_or_default()),
        attach_stdout: Some(body.attach_stdout.unwrap_or_default()),
        attach_stderr: Some(body.attach_stderr.unwrap_or_default()),
        exposed_ports: (!ports.is_empty()).then(|| ports.into_iter().collect()),
        tty: Some(body.tty.unwrap_or_default()),
        open_stdin: Some(body.open_stdin.unwrap_or_default()),
        stdin_once: Some(body.stdin_once.unwrap_or_default()),
        env: Some(env),
        cmd,
        image: body.image,
        volumes: (!volumes.is_empty()).then(|| volumes.into_iter().collect()),
        working_dir: Some(
            nonempty(body.working_dir).or_else(|| base.working_dir().clone()).unwrap_or_default(),
        ),
        entrypoint,
        network_disabled: body.network_disabled,
        labels: Some(labels),
        stop_signal,
        stop_timeout: body.stop_timeout,
        healthcheck: health::merge(body.healthcheck, of_image(image, "Healthcheck")),
        shell: body.shell.filter(|shell| !shell.is_empty()).or_else(|| of_image(image, "Shell")),
        ..ContainerConfig::default()
    })
}

/// What docker writes into an image's configuration beside what OCI's specification has.
fn of_image<T: serde::de::DeserializeOwned>(image: &Image, name: &str) -> Option<T> {
    let value = image.json.get("config")?.get(name)?;
    serde_json::from_value(value.clone()).ok()
}

/// Program and arguments, as inspect shows them.
fn command(config: &ContainerConfig) -> Result<(String, Vec<String>), Error> {
    let mut all = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten()).cloned();
    match all.next() {
        Some(path) => Ok((path, all.collect())),
        None => Err(Error::Invalid("no command specified".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let json = r#"{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/e"],"Cmd":["c"],"Env":["A=1","B=2"],
            "Labels":{"l":"image"},"ExposedPorts":{"80/tcp":{}},"User":"web","StopSignal":"SIGQUIT"},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        Image {
            id: "sha256:1".to_owned(),
            manifest: None,
            config: serde_json::from_str(json).unwrap(),
            json: serde_json::from_str(json).unwrap(),
            size: 0,
        }
    }

    fn merged(body: &str) -> ContainerConfig {
        merge(serde_json::from_str(body).unwrap(), &image()).unwrap()
    }

    fn line(config: &ContainerConfig) -> String {
        let (path, args) = command(config).unwrap();
        [vec![path], args].concat().join(" ")
    }

    #[test]
    fn the_request_goes_over_the_image() {
        assert_eq!(line(&merged("{}")), "/e c");
        assert_eq!(line(&merged(r#"{"Cmd":["x"]}"#)), "/e x");
        assert_eq!(line(&merged(r#"{"Entrypoint":["/o"]}"#)), "/o");
        assert_eq!(line(&merged(r#"{"Entrypoint":[""],"Cmd":["x"]}"#)), "x");
        assert!(command(&merged(r#"{"Entrypoint":[""]}"#)).is_err());
        let config = merged(r#"{"Env":["B=3","A"],"Labels":{"m":"1"},"User":""}"#);
        assert_eq!(config.env.unwrap(), ["B=3"]);
        assert_eq!(config.labels.unwrap().len(), 2);
        assert_eq!((config.user.as_deref(), config.stop_signal.as_deref()), (Some("web"), Some("SIGQUIT")));
    }

    #[test]
    fn log_options_are_checked() {
        let options = |json| log_options(&serde_json::from_str(json).unwrap());
        let both = r#"{"Type":"json-file","Config":{"max-size":"10k","max-file":"3"}}"#;
        assert_eq!(options(both).unwrap(), Some((Some(10_240), 3)));
        assert_eq!(options(r#"{"Type":"none"}"#).unwrap(), None);
        assert!(options(r#"{"Type":"syslog"}"#).is_err());
        assert!(options(r#"{"Type":"","Config":{"max-file":"3"}}"#).is_err());
        assert!(options(r#"{"Type":"","Config":{"mode":"x"}}"#).is_err());
    }
}
