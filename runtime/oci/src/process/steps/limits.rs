//! Resource limits.

use oci_spec::runtime::{PosixRlimitType, Process};
use rustix::process::{Resource, Rlimit};

use crate::Error;

/// Linux's RLIM_INFINITY.
const INFINITY: u64 = u64::MAX;

pub fn set(process: &Process) -> Result<(), Error> {
    for limit in process.rlimits().iter().flatten() {
        let value = |value| (value != INFINITY).then_some(value);
        let wanted = Rlimit { current: value(limit.soft()), maximum: value(limit.hard()) };
        rustix::process::setrlimit(resource(limit.typ()), wanted)
            .map_err(Error::system(format!("set {}", limit.typ())))?;
    }
    if let Some(adjustment) = process.oom_score_adj() {
        std::fs::write("/proc/self/oom_score_adj", adjustment.to_string())
            .map_err(Error::io("set the priority among those that memory is taken from"))?;
    }
    Ok(())
}

fn resource(kind: PosixRlimitType) -> Resource {
    match kind {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}
