//! What a request mounts into a container: `Binds`, `Mounts`, `Tmpfs` and `Volumes`.

use std::path::{Component, Path, PathBuf};

use super::entry::{MountKind, MountRecord};
use crate::Error;
use crate::models::{ContainerConfig, HostConfig, Mount, MountType};

/// All of them; where two have one destination, what was asked for by name wins over the image's volumes.
pub fn of_request(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<MountRecord>, Error> {
    let mut mounts: Vec<MountRecord> = Vec::new();
    let mut add = |mount: MountRecord| {
        if mounts.iter().any(|other| other.destination == mount.destination) {
            return Err(Error::Invalid(format!("Duplicate mount point: {}", mount.destination)));
        }
        mounts.push(mount);
        Ok(())
    };
    for bind in host.binds.iter().flatten() {
        add(parse_bind(bind)?)?;
    }
    for mount in host.mounts.iter().flatten() {
        add(parse_mount(mount)?)?;
    }
    for (destination, options) in host.tmpfs.iter().flatten() {
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        add(MountRecord {
            kind: MountKind::Tmpfs { options: tmpfs_options(options)? },
            destination: clean(destination)?,
            is_writable: true,
            mode: String::new(),
        })?;
    }
    for destination in config.volumes.iter().flatten() {
        let destination = clean(destination)?;
        if mounts.iter().all(|other| other.destination != destination) {
            let kind = MountKind::Volume { name: String::new(), is_anonymous: true, copies: true };
            mounts.push(MountRecord { kind, destination, is_writable: true, mode: String::new() });
        }
    }
    Ok(mounts)
}

/// `source:destination[:options]`, or a destination alone.
fn parse_bind(text: &str) -> Result<MountRecord, Error> {
    let invalid = || Error::Invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts.as_slice() {
        [destination] => ("", *destination, ""),
        [source, destination] => (*source, *destination, ""),
        [source, destination, mode] => (*source, *destination, *mode),
        _ => return Err(invalid()),
    };
    let (mut is_writable, mut copies) = (true, true);
    for option in mode.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => is_writable = false,
            "nocopy" => copies = false,
            // Labels are SELinux's, which is not there; privately mounted is everything.
            "rw" | "z" | "Z" | "private" | "rprivate" => {}
            "shared" | "rshared" | "slave" | "rslave" => {
                return Err(Error::Unsupported(format!("the mount propagation `{option}`")));
            }
            _ => return Err(invalid()),
        }
    }
    let kind = if source.starts_with('/') {
        MountKind::Bind { source: PathBuf::from(source) }
    } else {
        if !source.is_empty() {
            crate::volumes::check_name(source)?;
        } else if parts.len() > 1 {
            return Err(invalid());
        }
        MountKind::Volume { name: source.to_owned(), is_anonymous: source.is_empty(), copies }
    };
    Ok(MountRecord { kind, destination: clean(destination)?, is_writable, mode: mode.to_owned() })
}

fn parse_mount(mount: &Mount) -> Result<MountRecord, Error> {
    let source = mount.source.clone().unwrap_or_default();
    let kind = match mount.typ {
        Some(MountType::BIND) => {
            let options = mount.bind_options.clone().unwrap_or_default();
            let propagation = options.propagation.map(|it| it.to_string()).unwrap_or_default();
            if !matches!(propagation.as_str(), "" | "private" | "rprivate") {
                return Err(Error::Unsupported(format!("the mount propagation `{propagation}`")));
            }
            if !source.starts_with('/') {
                return Err(Error::Invalid(format!(
                    "invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
                )));
            }
            if options.create_mountpoint != Some(true) && std::fs::metadata(&source).is_err() {
                return Err(runtime_oci::Error::NoSource(source).into());
            }
            MountKind::Bind { source: source.into() }
        }
        Some(MountType::VOLUME) => {
            let options = mount.volume_options.clone().unwrap_or_default();
            let driver = options.driver_config.and_then(|driver| driver.name).unwrap_or_default();
            if !matches!(driver.as_str(), "" | "local") {
                return Err(Error::Unsupported(format!("the volume driver `{driver}`")));
            }
            if options.subpath.as_deref().is_some_and(|path| !path.is_empty()) {
                return Err(Error::Unsupported("a sub-path of a volume (volume-subpath)".to_owned()));
            }
            if !source.is_empty() {
                crate::volumes::check_name(&source)?;
            }
            let copies = options.no_copy != Some(true);
            MountKind::Volume { is_anonymous: source.is_empty(), name: source, copies }
        }
        Some(MountType::TMPFS) => {
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let mut texts: Vec<String> =
                options.options.into_iter().flatten().map(|option| option.join("=")).collect();
            texts.extend(options.size_bytes.filter(|size| *size > 0).map(|size| format!("size={size}")));
            texts.extend(options.mode.filter(|mode| *mode > 0).map(|mode| format!("mode={mode:o}")));
            MountKind::Tmpfs { options: tmpfs_options(texts)? }
        }
        other => {
            let name = other.map(|kind| kind.to_string()).unwrap_or_default();
            return Err(Error::Unsupported(format!("the mount type `{name}`")));
        }
    };
    Ok(MountRecord {
        kind,
        destination: clean(mount.target.as_deref().unwrap_or_default())?,
        is_writable: mount.read_only != Some(true),
        mode: String::new(),
    })
}

/// docker's defaults for a tmpfs, and what the user sets.
fn tmpfs_options(wished: Vec<String>) -> Result<Vec<String>, Error> {
    const FLAGS: [&str; 12] = [
        "ro",
        "rw",
        "suid",
        "nosuid",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "noatime",
        "relatime",
        "strictatime",
        "async",
    ];
    for option in &wished {
        // Nothing but nodev keeps a container, which may make device files, from the machine's devices.
        if option == "dev" {
            return Err(Error::Unsupported("the tmpfs option `dev`".to_owned()));
        }
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let is_known = match key {
            "size" => size(value).is_some() || value.trim_end_matches('%').parse::<u64>().is_ok(),
            "nr_blocks" | "nr_inodes" => size(value).is_some(),
            "mode" => u32::from_str_radix(value, 8).is_ok(),
            "uid" | "gid" => value.parse::<u32>().is_ok(),
            _ => value.is_empty() && FLAGS.contains(&key),
        };
        if !is_known {
            return Err(Error::Invalid(format!("invalid tmpfs option [\"{option}\"]")));
        }
    }
    let defaults = ["noexec", "nosuid", "nodev", "rw"].map(str::to_owned).into_iter();
    Ok(defaults.chain(wished.into_iter().filter(|option| option != "async")).collect())
}

/// An absolute path without `.` and `..`.
fn clean(destination: &str) -> Result<String, Error> {
    if !destination.starts_with('/') || destination.contains('\0') {
        return Err(Error::Invalid(format!(
            "invalid mount path: '{destination}' mount path must be absolute"
        )));
    }
    let mut path = PathBuf::from("/");
    for component in Path::new(destination).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    if path == Path::new("/") {
        return Err(Error::Invalid("invalid specification: destination can't be '/'".to_owned()));
    }
    Ok(path.display().to_string())
}

/// A number of bytes with a unit of 1024: `10`, `64k`, `1mb`, `2g`.
pub fn size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, shift) = match digits.char_indices().last()? {
        (at, 'k') => (digits.get(..at)?, 10),
        (at, 'm') => (digits.get(..at)?, 20),
        (at, 'g') => (digits.get(..at)?, 30),
        (at, 't') => (digits.get(..at)?, 40),
        _ => (digits, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_folders_or_volumes() {
        let bind = parse_bind("/a:/b/../c:ro").unwrap();
        assert!(matches!(bind.kind, MountKind::Bind { .. }) && bind.destination == "/c" && !bind.is_writable);
        let volume = parse_bind("data:/d:nocopy").unwrap();
        assert!(matches!(volume.kind, MountKind::Volume { ref name, copies: false, .. } if name == "data"));
        assert!(matches!(parse_bind("/d").unwrap().kind, MountKind::Volume { is_anonymous: true, .. }));
        for text in ["a:b", "a:/b:nonsense", ":/b", "a:/b:ro:x", "a/b:/c", "a:/", "/a:/b:rshared"] {
            assert!(parse_bind(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            ["10", "64k", "1mb", "2GiB"].map(|text| size(text).unwrap()),
            [10, 65_536, 1 << 20, 2 << 30]
        );
        assert!(["", "k", "x", "-1"].iter().all(|text| size(text).is_none()));
    }

    #[test]
    fn options_of_a_tmpfs_are_checked() {
        let options = |text: &str| tmpfs_options(vec![text.to_owned()]);
        assert_eq!(options("size=64m").unwrap().last().unwrap(), "size=64m");
        assert!(options("exec").is_ok() && options("mode=1777").is_ok());
        assert!(options("dev").is_err() && options("nodev").is_ok());
        assert!(options("lowerdir=/").is_err() && options("size=x").is_err());
    }
}
