//! `docker update`: limits and the restart policy of a container, running or not.

use serde_json::Value;

use super::{limits, validate};
use crate::engine::blocking;
use crate::models::{ContainerUpdateBody, ContainerUpdateResponse, HostConfig};
use crate::{Engine, Error, cgroup};

impl Engine {
    /// Changes limits and the restart policy. What is absent or zero stays.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for limits that Coffer does not have, [`Error::Invalid`].
    pub async fn container_update(
        &self,
        reference: &str,
        body: ContainerUpdateBody,
    ) -> Result<ContainerUpdateResponse, Error> {
        let entry = self.find(reference)?;
        let _guard = entry.lifecycle.lock().await;
        let policy = body.restart_policy.clone();
        let policy = policy.filter(|policy| policy.name.is_some_and(|name| !name.to_string().is_empty()));
        if let Some(policy) = &policy {
            validate::restart_policy(policy, entry.record().host_config.auto_remove == Some(true))?;
        }
        let mut host = entry.record().host_config.clone();
        take_limits(&mut host, body)?;
        let controllers = limits::controllers();
        limits::check(&host, &controllers)?;
        if entry.status().is_alive()
            && let Some(group) = cgroup::of(&entry.id)
        {
            let changes = limits::changes(&host, &controllers);
            blocking(move || cgroup::write(&group, &changes)).await?;
        }
        entry.change(|record| {
            record.host_config = host;
            if policy.is_some() {
                record.host_config.restart_policy = policy;
            }
        })?;
        self.tell(&entry, "update", &[]);
        Ok(ContainerUpdateResponse { warnings: Some(Vec::new()) })
    }
}

/// Takes what a request says of limits.
fn take_limits(host: &mut HostConfig, body: ContainerUpdateBody) -> Result<(), Error> {
    let take = |limit: &mut Option<i64>, new: Option<i64>| {
        if new.is_some_and(|new| new != 0) {
            *limit = new;
        }
    };
    if body.nano_cpus.is_some_and(|it| it != 0) {
        (host.cpu_quota, host.cpu_period) = (None, None);
    } else if body.cpu_quota.or(body.cpu_period).is_some_and(|it| it != 0) {
        host.nano_cpus = None;
    }
    take(&mut host.nano_cpus, body.nano_cpus);
    take(&mut host.cpu_quota, body.cpu_quota);
    take(&mut host.cpu_period, body.cpu_period);
    take(&mut host.cpu_shares, body.cpu_shares);
    take(&mut host.memory, body.memory);
    take(&mut host.memory_reservation, body.memory_reservation);
    take(&mut host.memory_swap, body.memory_swap);
    take(&mut host.pids_limit, body.pids_limit);
    for (set, new) in [(&mut host.cpuset_cpus, &body.cpuset_cpus), (&mut host.cpuset_mems, &body.cpuset_mems)]
    {
        if new.as_deref().is_some_and(|new| !new.is_empty()) {
            set.clone_from(new);
        }
    }
    let rest = ContainerUpdateBody {
        nano_cpus: None,
        cpu_quota: None,
        cpu_period: None,
        cpu_shares: None,
        memory: None,
        memory_reservation: None,
        memory_swap: None,
        pids_limit: None,
        cpuset_cpus: None,
        cpuset_mems: None,
        restart_policy: None,
        ..body
    };
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(value) => value.as_i64() != Some(0) && value.as_i64() != Some(-1),
        Value::String(value) => !value.is_empty(),
        Value::Array(value) => !value.is_empty(),
        Value::Object(value) => !value.is_empty(),
    };
    let rest = serde_json::to_value(rest).unwrap_or_default();
    match rest.as_object().into_iter().flatten().find(|(_, value)| is_set(value)) {
        Some((key, _)) => Err(Error::Unsupported(format!("the limit `{key}`"))),
        None => Ok(()),
    }
}
