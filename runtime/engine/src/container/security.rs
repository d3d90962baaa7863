//! `--security-opt` and `--privileged`: what a container may do beyond the usual, or less.

use runtime_oci::spec::{Filter, Profile};

use crate::Error;
use crate::models::HostConfig;

/// Fails for what is not there, and for what a sealed machine gives to nobody.
pub fn check(host: &HostConfig, is_sealed: bool) -> Result<(), Error> {
    if host.privileged == Some(true) {
        privileged(is_sealed)?;
    }
    for option in host.security_opt.iter().flatten() {
        match split(option) {
            ("no-new-privileges", "" | "true" | "false")
            | ("seccomp", _)
            | ("apparmor", "unconfined")
            | ("label", "disable")
            | ("systempaths", "unconfined") => {}
            _ => return Err(Error::Unsupported(format!("the security option `{option}`"))),
        }
    }
    filter(host).map(drop)
}

/// Fails on a sealed machine: whoever has every device and capability could change what the machine has vouched for.
pub fn privileged(is_sealed: bool) -> Result<(), Error> {
    if is_sealed {
        return Err(Error::Forbidden("privileged containers are not allowed on a sealed machine".to_owned()));
    }
    Ok(())
}

/// The filter of system calls: the last that is named. The client sends a profile's text in the place of its file.
pub fn filter(host: &HostConfig) -> Result<Filter, Error> {
    let options = host.security_opt.iter().flatten().map(|option| split(option));
    let mut named = options.filter(|(name, _)| *name == "seccomp").map(|(_, value)| value);
    match named.next_back() {
        None | Some("builtin") => Ok(Filter::Usual),
        Some("unconfined") => Ok(Filter::None),
        Some(text) => {
            let profile = Profile::parse(text);
            profile.map(Filter::Profile).map_err(|error| Error::Invalid(error.to_string()))
        }
    }
}

/// `name=value`, `name:value` of old, or a name alone.
fn split(option: &str) -> (&str, &str) {
    option.split_once(['=', ':']).unwrap_or((option, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(option: &str) -> HostConfig {
        HostConfig { security_opt: Some(vec![option.to_owned()]), ..HostConfig::default() }
    }

    #[test]
    fn options_are_taken_or_named() {
        for option in
            ["no-new-privileges", "no-new-privileges:true", "seccomp=unconfined", "apparmor:unconfined"]
        {
            check(&host(option), true).unwrap();
        }
        for option in ["apparmor=mine", "seccomp=/a/file", "label=level:s0", "what"] {
            assert!(check(&host(option), false).is_err(), "{option}");
        }
        let profile = host(r#"seccomp={"defaultAction":"SCMP_ACT_ALLOW"}"#);
        assert!(matches!(filter(&profile).unwrap(), Filter::Profile(_)));
        assert_eq!(filter(&HostConfig::default()).unwrap(), Filter::Usual);
    }

    #[test]
    fn a_sealed_machine_has_no_privileged_containers() {
        let privileged = HostConfig { privileged: Some(true), ..HostConfig::default() };
        check(&privileged, false).unwrap();
        assert_eq!(check(&privileged, true).unwrap_err().status(), 403);
    }
}
