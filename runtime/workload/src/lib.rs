//! [`Workload`]: what a sealed machine runs, read from a file in the compose format (<https://github.com/compose-spec/compose-spec>).
//!
//! The part of the format that is taken is small and strict (docs/sealed.md): a key that is not known is an error, since a misspelt restriction must not be
//! none; images are named by digest, since the file is measured and must say what runs; there are no variables, since nobody would set them; and folders of
//! the machine cannot be mounted, since there is nothing in them for a container.
#![forbid(unsafe_code)]

mod file;
mod service;

use std::collections::BTreeMap;

pub use service::{Port, Restart, Service};

use file::File;

/// The name of a workload that gives itself none.
const NAME: &str = "workload";

/// All that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What names of containers, volumes and networks begin with.
    pub name: String,
    /// In the order in which they start.
    pub services: Vec<Service>,
    /// Names of networks, as services call them.
    pub networks: Vec<String>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not YAML, or not of the form.
    #[error("the workload is malformed: {0}")]
    Syntax(String),
    /// There is nothing to run.
    #[error("the workload has no services")]
    Nothing,
    /// A name would not do as a file's or host's.
    #[error("`{0}` is not a name: letters, digits, `-`, `_` and `.`, and a letter or digit first")]
    Name(String),
    /// An image whose name says nothing of what is in it.
    #[error("service `{service}`: the image `{image}` is not named by its digest (name@sha256:…)")]
    Unpinned {
        /// Which service.
        service: String,
        /// Its image.
        image: String,
    },
    /// A value that makes no sense, or has no place in a sealed machine.
    #[error("service `{service}`, {key}: {reason}")]
    Value {
        /// Which service.
        service: String,
        /// Which key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Services wait for each other.
    #[error("service `{0}` depends on itself, by way of others or not")]
    Cycle(String),
}

impl Workload {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            // The parser shows lines of the file below its sentence.
            Error::Syntax(error.to_string().lines().next().unwrap_or_default().to_owned())
        })?;
        let name = file.name.clone().unwrap_or_else(|| NAME.to_owned());
        file.services
            .keys()
            .chain(file.volumes.keys())
            .chain(file.networks.keys())
            .chain([&name])
            .try_for_each(|name| if is_name(name) { Ok(()) } else { Err(Error::Name(name.clone())) })?;
        if file.services.is_empty() {
            return Err(Error::Nothing);
        }
        let services = file
            .services
            .iter()
            .map(|(name, text)| {
                Ok((name.as_str(), (Service::of(name, text, &file)?, text.depends_on.names()?)))
            })
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        let services = in_order(&services)?;
        Ok(Self { name, services, networks: file.networks.keys().cloned().collect() })
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Those first that others depend on; otherwise by name.
fn in_order(services: &BTreeMap<&str, (Service, Vec<String>)>) -> Result<Vec<Service>, Error> {
    let mut ordered: Vec<Service> = Vec::new();
    while ordered.len() < services.len() {
        let is_there = |name: &str| ordered.iter().any(|service| service.name == name);
        let mut waiting = services.iter().filter(|(name, _)| !is_there(name));
        let next = waiting.clone().find(|(_, (_, needs))| needs.iter().all(|need| is_there(need)));
        match (next, waiting.next()) {
            (Some((_, (service, _))), _) => ordered.push(service.clone()),
            (None, Some((name, (_, needs)))) => {
                return Err(match needs.iter().find(|need| !services.contains_key(need.as_str())) {
                    Some(need) => Error::Value {
                        service: (*name).to_owned(),
                        key: "depends_on",
                        reason: format!("there is no service `{need}`"),
                    },
                    None => Error::Cycle((*name).to_owned()),
                });
            }
            (None, None) => break,
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests;
