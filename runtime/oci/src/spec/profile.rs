//! Profiles of system calls in docker's form (<https://docs.docker.com/engine/security/seccomp/>): OCI's, with conditions on capabilities,
//! architecture and kernel around its rules.

use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompBuilder,
    LinuxSyscallBuilder,
};
use serde::Deserialize;

use crate::Error;

const ARCHITECTURE: &str = "amd64";

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    /// `null` is none, too.
    syscalls: Option<Vec<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    /// One name, of old, or several.
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Conditions,
    #[serde(default)]
    excludes: Conditions,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let broken = |error: String| Error::Seccomp(format!("the profile cannot be read: {error}"));
        let profile: Self = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        for rule in profile.syscalls.iter().flatten() {
            let has_name = rule.name.as_deref().is_some_and(|name| !name.is_empty());
            let has_names = rule.names.as_ref().is_some_and(|names| !names.is_empty());
            if has_name && has_names {
                return Err(broken("both 'name' and 'names' are specified".to_owned()));
            }
            if rule.action == LinuxSeccompAction::ScmpActNotify {
                return Err(broken("SCMP_ACT_NOTIFY has nobody to notify".to_owned()));
            }
            if rule.args.iter().flatten().any(|arg| arg.index() > 5) {
                return Err(broken("a system call has six arguments".to_owned()));
            }
        }
        Ok(profile)
    }

    /// What is left of it for a container that may gain `capabilities`.
    pub(super) fn filter(&self, capabilities: &Capabilities) -> Result<LinuxSeccomp, Error> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let rules = self.syscalls.iter().flatten();
        let applicable = rules.filter(|rule| rule.applies(capabilities, &release)).map(|rule| {
            let names = rule.name.iter().filter(|name| !name.is_empty()).chain(rule.names.iter().flatten());
            let mut syscall = LinuxSyscallBuilder::default()
                .names(names.cloned().collect::<Vec<_>>())
                .action(rule.action)
                .args(rule.args.clone().unwrap_or_default());
            if let Some(errno) = rule.errno_ret {
                syscall = syscall.errno_ret(errno);
            }
            syscall.build().map_err(|_| Error::Incomplete("linux.seccomp.syscalls"))
        });
        let mut filter = LinuxSeccompBuilder::default()
            .default_action(self.default_action)
            .architectures(vec![Arch::ScmpArchX86_64])
            .syscalls(applicable.collect::<Result<Vec<_>, _>>()?);
        if let Some(errno) = self.default_errno_ret {
            filter = filter.default_errno_ret(errno);
        }
        filter.build().map_err(|_| Error::Incomplete("linux.seccomp"))
    }
}

impl Rule {
    fn applies(&self, capabilities: &Capabilities, release: &str) -> bool {
        let has = |name: &String| {
            let bare = name.strip_prefix("CAP_").unwrap_or(name);
            bare.parse::<Capability>().is_ok_and(|capability| capabilities.contains(&capability))
        };
        let is_ours = |architecture: &String| architecture == ARCHITECTURE;
        let all = |conditions: &Conditions| {
            let architectures = conditions.arches.iter().flatten();
            (conditions.arches.as_ref().is_none_or(Vec::is_empty) || architectures.into_iter().any(is_ours))
                && conditions.caps.iter().flatten().all(has)
                && conditions.min_kernel.as_deref().is_none_or(|least| is_as_new(release, least))
        };
        let any = |conditions: &Conditions| {
            conditions.arches.iter().flatten().any(is_ours)
                || conditions.caps.iter().flatten().any(has)
                || conditions.min_kernel.as_deref().is_some_and(|least| is_as_new(release, least))
        };
        all(&self.includes) && !any(&self.excludes)
    }
}

/// Whether a kernel's release, such as `6.1.0-9-amd64`, is not older than a version such as `4.8`.
fn is_as_new(release: &str, version: &str) -> bool {
    let numbers = |text: &str| {
        let digits = text.split(|letter: char| !letter.is_ascii_digit());
        let mut numbers = digits.map(|digits| digits.parse::<u32>().unwrap_or_default());
        (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
    };
    numbers(release) >= numbers(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"archMap":[{"architecture":"SCMP_ARCH_X86_64",
        "subArchitectures":["SCMP_ARCH_X86"]}],"syscalls":[
        {"names":["read","write"],"action":"SCMP_ACT_ALLOW"},
        {"name":"mkdir","action":"SCMP_ACT_ERRNO","errnoRet":13,"args":null,"comment":"","includes":{},"excludes":{}},
        {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"op":"SCMP_CMP_MASKED_EQ"}],
            "excludes":{"caps":["CAP_SYS_ADMIN"],"arches":["s390"]}},
        {"names":["arch_prctl"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["amd64","x32"]}},
        {"names":["s390_pci_mmio_read"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390"]}},
        {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"1.8"}},
        {"names":["futile"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"999.0"}}]}"#;

    fn names(capabilities: &[Capability]) -> Vec<String> {
        let filter =
            Profile::parse(PROFILE).unwrap().filter(&capabilities.iter().copied().collect()).unwrap();
        assert_eq!(filter.default_errno_ret(), Some(1));
        filter.syscalls().iter().flatten().flat_map(|rule| rule.names().clone()).collect()
    }

    #[test]
    fn rules_apply_where_their_conditions_hold() {
        assert_eq!(names(&[]), ["read", "write", "mkdir", "clone", "arch_prctl", "ptrace"]);
        let admin = names(&[Capability::SysAdmin]);
        assert_eq!(admin, ["read", "write", "mkdir", "mount", "arch_prctl", "ptrace"]);
    }

    #[test]
    fn what_is_no_profile_is_told() {
        for text in [
            "",
            "{}",
            r#"{"defaultAction":"SCMP_ACT_NONE"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_KILL"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        ] {
            assert!(Profile::parse(text).unwrap_err().to_string().contains("profile"), "{text}");
        }
    }

    #[test]
    fn releases_are_compared_by_their_first_two_numbers() {
        assert!(is_as_new("6.1.0-9-amd64", "4.8") && is_as_new("4.8.0", "4.8") && is_as_new("5.10", "5.9"));
        assert!(!is_as_new("4.7.9", "4.8") && !is_as_new("4.8", "5.0"));
    }
}
