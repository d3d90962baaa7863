//! [`Service`]: one container, with every value checked.

use std::collections::BTreeMap;

use crate::file::{File, Pairs, Scalar, ServiceText, Strings, Words};
use crate::{Error, is_name};

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// By digest.
    pub image: String,
    /// None: made of the workload's name and the service's.
    pub container_name: Option<String>,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    /// `name=value`.
    pub environment: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub restart: Restart,
    pub ports: Vec<Port>,
    /// Volumes' names (none for one without), destinations, and whether they can be written to.
    pub volumes: Vec<(Option<String>, String, bool)>,
    /// Destination and options.
    pub tmpfs: Vec<(String, String)>,
    /// None: the one that all services are on.
    pub networks: Vec<String>,
    pub is_read_only: bool,
    pub has_init: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub stop_signal: Option<String>,
    pub memory: Option<u64>,
    pub pids_limit: Option<i64>,
}

/// What happens when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    /// At most so many times; 0 for ever.
    OnFailure(u32),
}

/// A port of the machine that leads to one of the container's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub address: Option<std::net::Ipv4Addr>,
    pub machine: u16,
    pub container: u16,
    pub is_udp: bool,
}

impl Service {
    pub(crate) fn of(name: &str, text: &ServiceText, file: &File) -> Result<Self, Error> {
        let wrong =
            |key: &'static str| move |reason: String| Error::Value { service: name.to_owned(), key, reason };
        if !is_pinned(&text.image) {
            return Err(Error::Unpinned { service: name.to_owned(), image: text.image.clone() });
        }
        if let Some(name) = text.container_name.as_ref().filter(|name| !is_name(name)) {
            return Err(Error::Name(name.clone()));
        }
        let plain =
            |key, value: &Option<String>| value.as_deref().map(literal).transpose().map_err(wrong(key));
        let volumes = text.volumes.iter().map(|volume| mount(volume, file)).collect::<Result<_, _>>();
        let networks = text.networks.iter().map(|network| match file.networks.contains_key(network) {
            true => Ok(network.clone()),
            false => Err(wrong("networks")(format!("there is no network `{network}`"))),
        });
        let tmpfs = match &text.tmpfs {
            Strings::One(one) => std::slice::from_ref(one),
            Strings::Many(many) => many,
        };
        Ok(Self {
            name: name.to_owned(),
            image: text.image.clone(),
            container_name: text.container_name.clone(),
            command: text.command.as_ref().map(words).transpose().map_err(wrong("command"))?,
            entrypoint: text.entrypoint.as_ref().map(words).transpose().map_err(wrong("entrypoint"))?,
            environment: pairs(&text.environment)
                .map_err(wrong("environment"))?
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            labels: pairs(&text.labels).map_err(wrong("labels"))?.into_iter().collect(),
            user: plain("user", &text.user.as_ref().map(ToString::to_string))?,
            working_dir: plain("working_dir", &text.working_dir)?,
            hostname: plain("hostname", &text.hostname)?,
            restart: restart(text.restart.as_deref()).map_err(wrong("restart"))?,
            ports: text.ports.iter().map(port).collect::<Result<_, _>>().map_err(wrong("ports"))?,
            volumes: volumes.map_err(wrong("volumes"))?,
            tmpfs: tmpfs.iter().map(|text| temporary(text)).collect(),
            networks: networks.collect::<Result<_, _>>()?,
            is_read_only: text.read_only,
            has_init: text.init,
            cap_add: text.cap_add.clone(),
            cap_drop: text.cap_drop.clone(),
            stop_signal: text.stop_signal.clone(),
            memory: text.mem_limit.as_ref().map(bytes).transpose().map_err(wrong("mem_limit"))?,
            pids_limit: text.pids_limit,
        })
    }
}

/// `name@sha256:…` or with a tag between, which then says nothing.
fn is_pinned(image: &str) -> bool {
    let is_digits = |digits: &str, length| {
        digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    image.split_once('@').is_some_and(|(name, digest)| {
        let is_digest = match digest.split_once(':') {
            Some(("sha256", digits)) => is_digits(digits, 64),
            Some(("sha512", digits)) => is_digits(digits, 128),
            _ => false,
        };
        !name.is_empty() && is_digest
    })
}

/// A text in which `$$` is `$`, and nothing else is a variable.
fn literal(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split("$$").collect();
    match parts.iter().any(|part| part.contains('$')) {
        true => {
            Err(format!("`{text}` has a variable, and a sealed machine has none (`$$` is a dollar sign)"))
        }
        false => Ok(parts.join("$")),
    }
}

fn words(words: &Words) -> Result<Vec<String>, String> {
    let list = match words {
        Words::Line(line) => &shell_words::split(line).map_err(|error| error.to_string())?,
        Words::List(list) => list,
    };
    list.iter().map(|word| literal(word)).collect()
}

fn pairs(pairs: &Pairs) -> Result<Vec<(String, String)>, String> {
    match pairs {
        Pairs::Map(map) => {
            map.iter().map(|(name, value)| Ok((name.clone(), literal(&value.to_string())?))).collect()
        }
        Pairs::List(list) => list
            .iter()
            .map(|text| {
                let (name, value) = text.split_once('=').ok_or_else(|| {
                    format!("`{text}` has no value, and a sealed machine has no environment")
                })?;
                Ok((name.to_owned(), literal(value)?))
            })
            .collect(),
    }
}

fn restart(text: Option<&str>) -> Result<Restart, String> {
    match text {
        None | Some("no") => Ok(Restart::No),
        Some("always") => Ok(Restart::Always),
        Some("unless-stopped") => Ok(Restart::UnlessStopped),
        Some(text) => match text.strip_prefix("on-failure") {
            Some("") => Some(Restart::OnFailure(0)),
            Some(rest) => rest.strip_prefix(':').and_then(|count| count.parse().ok()).map(Restart::OnFailure),
            None => None,
        }
        .ok_or_else(|| format!("`{text}` is not a policy")),
    }
}

/// `[ADDRESS:]PORT:PORT[/udp]`: a port that is chosen for it, nobody would learn of.
fn port(text: &Scalar) -> Result<Port, String> {
    let text = text.to_string();
    let malformed = || format!("`{text}` is not [ADDRESS:]PORT:PORT, with /tcp or /udp if need be");
    let (ports, is_udp) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.split('/').next().unwrap_or_default(), false),
        Some((ports, "udp")) => (ports, true),
        Some(_) => return Err(malformed()),
    };
    let number = |text: &str| text.parse().ok().filter(|port: &u16| *port != 0).ok_or_else(malformed);
    let parts: Vec<&str> = ports.split(':').collect();
    let (address, machine, container) = match parts.as_slice() {
        [machine, container] => (None, machine, container),
        [address, machine, container] => {
            (Some(address.parse().map_err(|_| malformed())?), machine, container)
        }
        _ => return Err(malformed()),
    };
    Ok(Port { address, machine: number(machine)?, container: number(container)?, is_udp })
}

/// `[NAME:]DESTINATION[:ro]`, where the name is a volume's.
fn mount(text: &str, file: &File) -> Result<(Option<String>, String, bool), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, destination, mode) = match parts.as_slice() {
        [destination] => (None, *destination, "rw"),
        [name, destination] => (Some(*name), *destination, "rw"),
        [name, destination, mode] => (Some(*name), *destination, *mode),
        _ => return Err(format!("`{text}` is not [NAME:]DESTINATION[:ro]")),
    };
    let is_writable = match mode {
        "rw" => true,
        "ro" => false,
        _ => return Err(format!("`{mode}` is neither `ro` nor `rw`")),
    };
    if !destination.starts_with('/') || destination.contains('$') {
        return Err(format!("`{destination}` is not an absolute path"));
    }
    match name {
        Some(name) if name.starts_with(['/', '.', '~']) => Err(format!(
            "`{name}` is a folder of the machine, in which a sealed machine has nothing: use a volume"
        )),
        Some(name) if !file.volumes.contains_key(name) => Err(format!("there is no volume `{name}`")),
        name => Ok((name.map(str::to_owned), destination.to_owned(), is_writable)),
    }
}

fn temporary(text: &str) -> (String, String) {
    let (destination, options) = text.split_once(':').unwrap_or((text, ""));
    (destination.to_owned(), options.to_owned())
}

/// A number of bytes with a unit of 1024: `64m`, `2gb`.
fn bytes(text: &Scalar) -> Result<u64, String> {
    let text = text.to_string().to_ascii_lowercase();
    let digits = text.trim_end_matches('b');
    let (digits, shift) = match digits.char_indices().last() {
        Some((at, 'k')) => (digits.get(..at), 10),
        Some((at, 'm')) => (digits.get(..at), 20),
        Some((at, 'g')) => (digits.get(..at), 30),
        _ => (Some(digits), 0),
    };
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(|| format!("`{text}` is not a size"))
}
