//! The file's text, as serde reads it: what has several spellings in the format has them here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Error;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub name: Option<String>,
    /// Of no meaning since long, and still written.
    #[serde(default, rename = "version")]
    _version: Option<Scalar>,
    #[serde(default)]
    pub services: BTreeMap<String, ServiceText>,
    #[serde(default)]
    pub volumes: BTreeMap<String, Option<Empty>>,
    #[serde(default)]
    pub networks: BTreeMap<String, Option<Empty>>,
}

/// `{}`: settings, of which there are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// One service.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceText {
    pub image: String,
    pub container_name: Option<String>,
    pub command: Option<Words>,
    pub entrypoint: Option<Words>,
    pub environment: Pairs,
    pub labels: Pairs,
    pub user: Option<Scalar>,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub restart: Option<String>,
    pub ports: Vec<Scalar>,
    pub volumes: Vec<String>,
    pub tmpfs: Strings,
    pub networks: Vec<String>,
    pub depends_on: Needs,
    pub read_only: bool,
    pub init: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub stop_signal: Option<String>,
    pub mem_limit: Option<Scalar>,
    pub pids_limit: Option<i64>,
}

/// A number or a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(value) => value.fmt(formatter),
            Self::Number(value) => value.fmt(formatter),
            Self::Text(value) => value.fmt(formatter),
        }
    }
}

/// A command: a list, or a line that is taken apart as a shell does.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    Line(String),
    List(Vec<String>),
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Strings {
    One(String),
    Many(Vec<String>),
}

impl Default for Strings {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// A map, or a list of `key=value`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Pairs {
    Map(BTreeMap<String, Scalar>),
    List(Vec<String>),
}

impl Default for Pairs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// A list of services, or a map with a condition for each.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Needs {
    List(Vec<String>),
    Map(BTreeMap<String, Condition>),
}

/// When a service counts as there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    condition: String,
}

impl Default for Needs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Needs {
    /// The services that are needed. There is one condition that is known: that it was started.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::List(names) => Ok(names.clone()),
            Self::Map(needs) => needs
                .iter()
                .map(|(name, need)| match need.condition.as_str() {
                    "service_started" => Ok(name.clone()),
                    other => Err(Error::Value {
                        service: name.clone(),
                        key: "depends_on",
                        reason: format!("the condition `{other}` is not known: there is `service_started`"),
                    }),
                })
                .collect(),
        }
    }
}
