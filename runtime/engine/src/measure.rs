//! Measurement: nothing starts in a container before PID 1 has measured it (docs/runtime-log.md).

use std::sync::PoisonError;

use oci_spec::runtime::{Process, Spec};
use runtime_measure::{ContainerStart, ImageDigest, Isolation, RuntimeEvent};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha384};

use crate::container::entry::{Entry, MountKind, Record};
use crate::models::{HostConfig, HostConfigCgroupnsModeEnum};
use crate::{Engine, Error};

impl Engine {
    /// Has the start of a container measured, with all that its first process is given.
    ///
    /// # Errors
    ///
    /// [`Error::Start`]: then it must not start.
    pub(crate) fn measure_start(&self, record: &Record, spec: &Spec) -> Result<(), Error> {
        self.measure(|| {
            let manifest = match &record.manifest {
                Some(manifest) => Some(image_digest(manifest)?),
                None => None,
            };
            Some(RuntimeEvent::ContainerStart(ContainerStart {
                container: identifier(&record.id)?,
                image: image_digest(&record.image)?,
                manifest,
                isolation: isolation(record),
                configuration: digest(spec)?,
            }))
        })
    }

    /// The same for a further process in a container. A health check runs again and again: it is measured once while the container runs, as
    /// long as it is the same process to the byte, for the log to have an end.
    ///
    /// # Errors
    ///
    /// [`Error::Start`]: then it must not start.
    pub(crate) fn measure_exec(&self, entry: &Entry, process: &Process, is_check: bool) -> Result<(), Error> {
        let process = digest(process);
        let event = || Some(RuntimeEvent::Exec { container: identifier(&entry.id)?, process: process? });
        if !is_check {
            return self.measure(event);
        }
        let mut measured = entry.measured_check.lock().unwrap_or_else(PoisonError::into_inner);
        if process.is_none() || *measured != process {
            self.measure(event)?;
            *measured = process;
        }
        Ok(())
    }

    /// The same for files that are put into a container: what runs there is not its image any more.
    ///
    /// # Errors
    ///
    /// [`Error::Start`]: then they must not get there.
    pub(crate) fn measure_contents(&self, entry: &Entry, path: &str) -> Result<(), Error> {
        let path = Sha384::digest(path).into();
        self.measure(|| Some(RuntimeEvent::ContentsChange { container: identifier(&entry.id)?, path }))
    }

    fn measure(&self, event: impl FnOnce() -> Option<RuntimeEvent>) -> Result<(), Error> {
        let Some(measuring) = &self.inner.settings.measuring else { return Ok(()) };
        let refused = |message: String| Error::Start { message, code: 125 };
        let event =
            event().ok_or_else(|| refused("it cannot be measured: an identifier is none".to_owned()))?;
        measuring.measure(&event).map_err(|error| refused(error.to_string()))
    }
}

/// SHA-384 of a part of an OCI configuration: of its JSON with keys and the sets of capabilities in order, so that the same thing has the same digest.
fn digest(value: &impl Serialize) -> Option<[u8; 48]> {
    let mut value = serde_json::to_value(value).ok()?;
    value.sort_all_objects();
    sort_sets(&mut value, false);
    Some(Sha384::digest(serde_json::to_vec(&value).ok()?).into())
}

/// Sorts the arrays of capabilities, which are sets and come in any order.
fn sort_sets(value: &mut Value, is_of_sets: bool) {
    match value {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, value)| sort_sets(value, is_of_sets || key == "capabilities"));
        }
        Value::Array(items) if is_of_sets => {
            items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| sort_sets(item, false)),
        _ => {}
    }
}

/// How far a container is kept apart from the machine: confined, unless it was given something that others have not.
///
/// A folder of the machine may have its key, or the files that quotes come from. What cannot be given at all (devices) is refused where a
/// container is created.
fn isolation(record: &Record) -> Isolation {
    let is_bind = |kind: &MountKind| matches!(kind, MountKind::Bind { .. });
    let host = &record.host_config;
    let is_shared = |mode: &Option<String>| {
        mode.as_deref().is_some_and(|mode| mode == "host" || mode.starts_with("container:"))
    };
    let HostConfig { network_mode, pid_mode, ipc_mode, uts_mode, .. } = host;
    // `no-new-privileges` and the names of labels only take away.
    let is_loosened = |option: &String| option.starts_with("seccomp") || option.starts_with("systempaths");
    let is_exposed = record.mounts.iter().any(|mount| is_bind(&mount.kind))
        || [network_mode, pid_mode, ipc_mode, uts_mode].into_iter().any(is_shared)
        || host.privileged == Some(true)
        || host.cgroupns_mode == Some(HostConfigCgroupnsModeEnum::HOST)
        || host.cap_add.iter().flatten().next().is_some()
        || host.security_opt.iter().flatten().any(is_loosened)
        // Given at all, they stand in the place of docker's.
        || host.masked_paths.is_some()
        || host.readonly_paths.is_some();
    if is_exposed { Isolation::Exposed } else { Isolation::Confined }
}

/// An image's digest as OCI writes it.
fn image_digest(text: &str) -> Option<ImageDigest> {
    match text.split_once(':')? {
        ("sha256", digits) => identifier(digits).map(ImageDigest::Sha256),
        ("sha512", digits) => identifier(digits).map(ImageDigest::Sha512),
        _ => None,
    }
}

/// Bytes out of twice as many hexadecimal digits.
fn identifier<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{digest, identifier, image_digest};

    #[test]
    fn the_same_process_has_the_same_digest() {
        let process = || -> oci_spec::runtime::Process {
            let capabilities =
                ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_FOWNER", "CAP_MKNOD"];
            let value = serde_json::json!({
                "cwd": "/", "user": { "uid": 0, "gid": 0 }, "args": ["b", "a"],
                "capabilities": { "bounding": capabilities, "effective": capabilities },
            });
            serde_json::from_value(value).unwrap()
        };
        let one = digest(&process()).unwrap();
        // The sets of each are shuffled in their own way.
        assert!((0..50).all(|_| digest(&process()) == Some(one)));
        let mut other = process();
        other.set_args(Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_ne!(digest(&other), Some(one));
    }

    #[test]
    fn identifiers_are_64_digits() {
        assert_eq!(identifier(&"0f".repeat(32)), Some([0x0f; 32]));
        for text in ["", "0f", &"0f".repeat(33), &"0".repeat(63), &"xx".repeat(32)] {
            assert_eq!(identifier::<32>(text), None, "{text}");
        }
    }

    #[test]
    fn digests_have_their_algorithm() {
        use runtime_measure::ImageDigest;
        let digits = "0f".repeat(32);
        assert_eq!(image_digest(&format!("sha256:{digits}")), Some(ImageDigest::Sha256([0x0f; 32])));
        assert_eq!(image_digest(&format!("sha512:{digits}{digits}")), Some(ImageDigest::Sha512([0x0f; 64])));
        for text in [format!("sha512:{digits}"), digits.clone(), format!("md5:{digits}")] {
            assert_eq!(image_digest(&text), None, "{text}");
        }
    }
}
