//! List.

use runtime_image::Snapshot;

use super::ListOptions;
use super::entry::{Entry, Record, Status};
use crate::engine::blocking;
use crate::models::{
    ContainerSummary, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings, ContainerSummaryStateEnum,
    PortSummary, PortSummaryTypeEnum,
};
use crate::time::{Time, now};
use crate::{Engine, Error, Filters};

impl Engine {
    /// Lists containers, newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for filters.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>, Error> {
        let engine = self.clone();
        blocking(move || engine.list(&options)).await
    }

    fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>, Error> {
        let filters = &options.filters;
        filters.allow(&[
            "ancestor",
            "before",
            "expose",
            "exited",
            "health",
            "id",
            "is-task",
            "isolation",
            "label",
            "label!",
            "name",
            "network",
            "publish",
            "since",
            "status",
            "volume",
        ])?;
        for status in filters.values("status") {
            if !["created", "running", "paused", "restarting", "removing", "exited", "dead"].contains(&status)
            {
                return Err(Error::Invalid(format!("invalid filter 'status={status}'")));
            }
        }
        let exited: Vec<i64> = filters
            .values("exited")
            .map(|code| code.parse().map_err(|_| Error::Invalid(format!("invalid filter 'exited={code}'"))))
            .collect::<Result<_, _>>()?;
        let bound = |key: &str| {
            filters.values(key).next().map(|name| self.find(name).map(|it| it.record().created)).transpose()
        };
        let (before, since) = (bound("before")?, bound("since")?);
        let ancestors: Vec<String> = filters
            .values("ancestor")
            .filter_map(|name| self.images().find(name).ok().map(|image| image.id))
            .collect();

        let mut entries: Vec<_> = self
            .all()
            .into_iter()
            .map(|entry| {
                let record = entry.record().clone();
                (record, entry)
            })
            .collect();
        entries.sort_by_key(|(record, _)| std::cmp::Reverse(record.created));
        if let Some(limit) = options.limit {
            entries.truncate(limit);
        }
        let all = options.all || options.limit.is_some() || filters.has("status") || filters.has("exited");
        entries.retain(|(record, _)| {
            let is_alive = record.state.status.is_alive() || record.state.status == Status::Restarting;
            (all || is_alive)
                && before.is_none_or(|before| record.created < before)
                && since.is_none_or(|since| record.created > since)
                && (exited.is_empty() || (!is_alive && exited.contains(&record.state.exit_code)))
                && (!filters.has("ancestor") || ancestors.contains(&record.image))
                && matches(record, filters)
        });
        Ok(entries.iter().map(|(record, entry)| self.summary(record, entry, options.size)).collect())
    }

    fn summary(&self, record: &Record, entry: &Entry, size: bool) -> ContainerSummary {
        let command = [vec![record.path.clone()], record.args.clone()].concat().join(" ");
        let writable = size.then(|| crate::volumes::size_of(&Snapshot::at(&entry.snapshot_folder()).upper()));
        let total = writable.map(|writable| {
            let image = self.images().find(&record.image).map_or(0, |image| image.size);
            writable.saturating_add(i64::try_from(image).unwrap_or(i64::MAX))
        });
        // A name that went, or went to another image, says nothing of the container any more; its image's id does.
        let is_its_image = |name: &String| self.images().find(name).is_ok_and(|it| it.id == record.image);
        let image = record.config.image.clone().filter(is_its_image).unwrap_or_else(|| record.image.clone());
        ContainerSummary {
            id: Some(record.id.clone()),
            names: Some(vec![format!("/{}", record.name)]),
            image: Some(image),
            image_id: Some(record.image.clone()),
            command: Some(command),
            created: Some(record.created.seconds()),
            ports: Some(ports(record)),
            size_rw: writable,
            size_root_fs: total,
            labels: Some(record.config.labels.clone().unwrap_or_default()),
            state: Some(match record.state.status {
                Status::Created => ContainerSummaryStateEnum::CREATED,
                Status::Running => ContainerSummaryStateEnum::RUNNING,
                Status::Paused => ContainerSummaryStateEnum::PAUSED,
                Status::Restarting => ContainerSummaryStateEnum::RESTARTING,
                Status::Removing => ContainerSummaryStateEnum::REMOVING,
                Status::Exited => ContainerSummaryStateEnum::EXITED,
                Status::Dead => ContainerSummaryStateEnum::DEAD,
            }),
            status: Some(status_text(record, now())),
            host_config: Some(ContainerSummaryHostConfig {
                network_mode: record.host_config.network_mode.clone(),
                ..ContainerSummaryHostConfig::default()
            }),
            network_settings: Some(ContainerSummaryNetworkSettings {
                networks: Some(record.endpoints.clone()),
            }),
            mounts: Some(self.mount_points(record)),
            ..ContainerSummary::default()
        }
    }
}

fn matches(record: &Record, filters: &Filters) -> bool {
    let label =
        |key: &str| record.config.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let has_volume = |wanted: &str| {
        record.mounts.iter().any(|mount| {
            mount.destination == wanted
                || matches!(&mount.kind, super::entry::MountKind::Volume { name, .. } if name == wanted)
        })
    };
    let on_network = |wanted: &str| {
        record.endpoints.iter().any(|(name, endpoint)| {
            name == wanted || endpoint.network_id.as_deref().is_some_and(|id| id.starts_with(wanted))
        })
    };
    // Names are patterns in docker; a part of the name is what people write.
    let named = |wanted: &str| {
        let exact = wanted.strip_prefix('^').and_then(|wanted| wanted.strip_suffix('$'));
        match exact {
            Some(exact) => exact.trim_start_matches('/') == record.name,
            None => format!("/{}", record.name).contains(wanted),
        }
    };
    let health = record.state.health.as_ref().and_then(|health| health.status);
    let health = health.map_or_else(|| "none".to_owned(), |health| health.to_string());
    let port = |wanted: &str, has: &dyn Fn(&str) -> bool| has(wanted) || has(&format!("{wanted}/tcp"));
    filters.any("id", |id| record.id.starts_with(id))
        && filters.any("name", named)
        && filters.any("status", |status| status == record.state.status.name())
        && filters.any("volume", has_volume)
        && filters.any("network", on_network)
        && filters.any("health", |wanted| wanted == health)
        && filters.any("is-task", |value| value == "false")
        && filters.any("expose", |wanted| {
            port(wanted, &|port| record.config.exposed_ports.iter().flatten().any(|exposed| exposed == port))
        })
        && filters.any("publish", |wanted| {
            port(wanted, &|port| {
                record.host_config.port_bindings.iter().flatten().any(|(inner, bindings)| {
                    let protocol = inner.split('/').nth(1).unwrap_or("tcp");
                    bindings.iter().flatten().any(|binding| {
                        binding
                            .host_port
                            .as_deref()
                            .is_some_and(|outer| format!("{outer}/{protocol}") == port)
                    })
                })
            })
        })
        && filters.match_labels(label)
}

/// The ports that are published, and those that could be.
fn ports(record: &Record) -> Vec<PortSummary> {
    if !record.state.status.is_alive() {
        return Vec::new();
    }
    let parse = |text: &str| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let kind = match protocol {
            "udp" => PortSummaryTypeEnum::UDP,
            "sctp" => PortSummaryTypeEnum::SCTP,
            _ => PortSummaryTypeEnum::TCP,
        };
        Some((port.parse::<u16>().ok()?, kind))
    };
    let mut ports = Vec::new();
    for (inner, bindings) in &record.ports {
        let Some((private_port, kind)) = parse(inner) else { continue };
        for binding in bindings.iter().flatten() {
            ports.push(PortSummary {
                ip: binding.host_ip.clone(),
                private_port,
                public_port: binding.host_port.as_deref().and_then(|port| port.parse().ok()),
                typ: Some(kind),
            });
        }
    }
    for exposed in record.config.exposed_ports.iter().flatten() {
        let is_published = record.ports.get(exposed).is_some_and(Option::is_some);
        if let (Some((private_port, kind)), false) = (parse(exposed), is_published) {
            ports.push(PortSummary { ip: None, private_port, public_port: None, typ: Some(kind) });
        }
    }
    ports
}

/// `Up 5 minutes`, `Exited (0) 2 hours ago` and the like.
fn status_text(record: &Record, now: Time) -> String {
    let state = &record.state;
    let since = |time: Option<Time>| duration(time.map_or(0, |time| now.seconds() - time.seconds()));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let health = state.health.as_ref().map_or("", super::health::words);
            format!("Up {}{health}", since(state.started))
        }
        Status::Paused => format!("Up {} (Paused)", since(state.started)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        // One that could never be started has no end.
        Status::Exited if state.finished.is_none() => format!("Exited ({})", state.exit_code),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
    }
}

/// A duration in the words of docker's listings.
fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours <= 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// The moment of an `until` filter: a time, or how long ago (`10m`, `1h30m`).
pub fn until(text: &str) -> Result<Time, Error> {
    if let Ok(time) = Time::parse(text) {
        return Ok(time);
    }
    let invalid = || Error::Invalid(format!("failed to parse value as time or duration: \"{text}\""));
    let mut total: u64 = 0;
    let mut number = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(invalid()),
        };
        let count: u64 = number.parse().map_err(|_| invalid())?;
        total = count.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(invalid)?;
        number.clear();
    }
    if !number.is_empty() {
        return Err(invalid());
    }
    Ok(Time::from_nanoseconds(now().nanoseconds() - i128::from(total) * 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_words() {
        let words = [0, 1, 59, 60, 150, 3700, 7200, 200_000, 2_000_000].map(duration);
        assert_eq!(
            words.each_ref().map(String::as_str),
            [
                "Less than a second",
                "1 second",
                "59 seconds",
                "About a minute",
                "2 minutes",
                "About an hour",
                "2 hours",
                "2 days",
                "3 weeks"
            ]
        );
    }

    #[test]
    fn until_is_a_time_or_an_age() {
        let age = |text: &str| now().seconds() - until(text).unwrap().seconds();
        assert!((5399..=5401).contains(&age("1h30m")));
        assert_eq!(until("1700000000").unwrap().seconds(), 1_700_000_000);
        assert!(until("1x").is_err() && until("h").is_err());
    }
}
