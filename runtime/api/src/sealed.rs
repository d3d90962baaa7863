//! A sealed machine's workload: images pulled by digest, then containers made and started, in the order of the file (docs/sealed.md). Nobody but the file has
//! a say, and what containers print is kept nowhere: nobody could read it, and the host must not.
//!
//! An engine that is started again finds what the earlier one made: containers are known by their names.

use std::collections::HashMap;
use std::time::Duration;

use coffer_engine::evidence::LABEL;
use coffer_engine::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkCreateRequest,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use runtime_image::Reference;
use runtime_workload::{Port, Restart, Service, Workload};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::Api;

/// The pause before something that failed is tried again (the network may not be up yet); twice as long each time, up to a limit.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the network is called that services are on which name none.
const NETWORK: &str = "default";

/// Why a service does not run.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Engine(#[from] coffer_engine::Error),
    #[error(transparent)]
    Pull(#[from] runtime_registry::Error),
    #[error(transparent)]
    Reference(#[from] runtime_image::reference::ReferenceError),
}

/// Starts all of it. What cannot be had is tried again, for ever.
pub async fn run(api: Api, workload: Workload) {
    let networks = workload.networks.iter().map(String::as_str).chain([NETWORK]);
    for network in networks {
        let name = format!("{}_{network}", workload.name);
        let mut patience = Patience::default();
        while let Err(error) = ensure_network(&api, &name).await {
            patience.wait(&format!("network {network}"), &error).await;
        }
    }
    for service in &workload.services {
        let mut patience = Patience::default();
        while let Err(error) = start(&api, &workload.name, service).await {
            patience.wait(&format!("service {}", service.name), &error).await;
        }
        println!("coffer: service {} runs", service.name);
    }
}

/// How long the last pause was.
#[derive(Debug, Default)]
struct Patience(Duration);

impl Patience {
    async fn wait(&mut self, what: &str, error: &Error) {
        self.0 = (self.0 * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        eprintln!("coffer: {what}: {error}; trying again in {} s", self.0.as_secs());
        sleep(self.0).await;
    }
}

async fn ensure_network(api: &Api, name: &str) -> Result<(), Error> {
    match api.engine.network_inspect(name).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == 404 => {
            let request = NetworkCreateRequest { name: name.to_owned(), ..NetworkCreateRequest::default() };
            Ok(api.engine.network_create(request).await.map(drop)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a service's container unless there is one, and starts it unless it ran already: from then on, its restart policy is what counts.
async fn start(api: &Api, workload: &str, service: &Service) -> Result<(), Error> {
    let name = service.container_name.clone().unwrap_or_else(|| format!("{workload}-{}-1", service.name));
    let has_run = match api.engine.container_inspect(&name, false).await {
        Ok(there) => {
            there.state.and_then(|state| state.started_at).is_some_and(|at| !at.starts_with("0001-"))
        }
        Err(error) if error.status() == 404 => {
            pull(api, &service.image).await?;
            api.engine.container_create(Some(&name), body(workload, service)).await?;
            false
        }
        Err(error) => return Err(error.into()),
    };
    if !has_run {
        api.engine.container_start(&name).await?;
    }
    Ok(())
}

/// The image by its digest, which is verified.
async fn pull(api: &Api, image: &str) -> Result<(), Error> {
    let reference = Reference::parse(image)?;
    if api.images.find(image).is_ok() {
        return Ok(());
    }
    // Nobody watches the progress.
    let (sender, mut events) = mpsc::channel(64);
    let watching = tokio::spawn(async move { while events.recv().await.is_some() {} });
    let pulled = api.registries.pull(&api.images, &reference, None, sender).await;
    watching.abort();
    Ok(pulled.map(drop)?)
}

fn body(workload: &str, service: &Service) -> ContainerCreateBody {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let mut labels: HashMap<String, String> = service.labels.clone().into_iter().collect();
    labels.insert("com.docker.compose.project".to_owned(), workload.to_owned());
    labels.insert("com.docker.compose.service".to_owned(), service.name.clone());
    labels.entry(LABEL.to_owned()).or_insert_with(|| "true".to_owned());
    let networks: Vec<&str> = match service.networks.as_slice() {
        [] => vec![NETWORK],
        networks => networks.iter().map(String::as_str).collect(),
    };
    let networks: Vec<String> = networks.into_iter().map(|network| format!("{workload}_{network}")).collect();
    let endpoint =
        || EndpointSettings { aliases: Some(vec![service.name.clone()]), ..EndpointSettings::default() };
    let named = service.volumes.iter().map(|(name, destination, is_writable)| match name {
        Some(name) => format!("{workload}_{name}:{destination}:{}", if *is_writable { "rw" } else { "ro" }),
        None => destination.clone(),
    });
    let host = HostConfig {
        binds: Some(named.collect()),
        tmpfs: Some(service.tmpfs.iter().cloned().collect()),
        port_bindings: Some(service.ports.iter().map(binding).collect()),
        network_mode: networks.first().cloned(),
        restart_policy: Some(policy(service.restart)),
        readonly_rootfs: Some(service.is_read_only),
        init: Some(service.has_init),
        cap_add: some(&service.cap_add),
        cap_drop: some(&service.cap_drop),
        memory: service.memory.and_then(|memory| i64::try_from(memory).ok()),
        pids_limit: service.pids_limit,
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(service.image.clone()),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        env: Some(service.environment.clone()),
        labels: Some(labels),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        hostname: service.hostname.clone(),
        stop_signal: service.stop_signal.clone(),
        exposed_ports: Some(service.ports.iter().map(port_name).collect()),
        host_config: Some(host),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(networks.into_iter().map(|name| (name, endpoint())).collect()),
        }),
        ..ContainerCreateBody::default()
    }
}

fn port_name(port: &Port) -> String {
    format!("{}/{}", port.container, if port.is_udp { "udp" } else { "tcp" })
}

fn binding(port: &Port) -> (String, Option<Vec<PortBinding>>) {
    let binding = PortBinding {
        host_ip: port.address.map(|address| address.to_string()),
        host_port: Some(port.machine.to_string()),
    };
    (port_name(port), Some(vec![binding]))
}

fn policy(restart: Restart) -> RestartPolicy {
    let (name, retries) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, 0),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, 0),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, 0),
        Restart::OnFailure(retries) => (RestartPolicyNameEnum::ON_FAILURE, retries.into()),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: Some(retries) }
}
