//! [`TcbStatus`]: how up to date something is, and how the statuses of platform, TDX module and quoting enclave come together in one
//! ([`Tcb`]), as Intel's quote verification library has it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How a platform stands; for Intel's own words see the PCS API, "TCB status".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TcbStatus {
    /// Nothing is known to be wrong.
    UpToDate,
    /// Software has to be built with mitigations.
    #[serde(rename = "SWHardeningNeeded")]
    SwHardeningNeeded,
    /// The platform has to be configured otherwise.
    ConfigurationNeeded,
    /// Both.
    #[serde(rename = "ConfigurationAndSWHardeningNeeded")]
    ConfigurationAndSwHardeningNeeded,
    /// The domain was started with something old that has been updated under it. Never in a document.
    #[serde(rename = "TDRelaunchAdvised", skip_deserializing)]
    TdRelaunchAdvised,
    /// The same, and the platform has to be configured otherwise.
    #[serde(rename = "TDRelaunchAdvisedConfigurationNeeded", skip_deserializing)]
    TdRelaunchAdvisedConfigurationNeeded,
    /// Something is old.
    OutOfDate,
    /// Something is old, and the platform has to be configured otherwise.
    OutOfDateConfigurationNeeded,
    /// Nothing that it says counts.
    Revoked,
}

/// How a TDX module or a quoting enclave stands, which are not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ComponentStatus {
    UpToDate,
    OutOfDate,
    Revoked,
}

impl TcbStatus {
    /// All that can be accepted, as they are written.
    pub const ACCEPTABLE: [Self; 8] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
    ];

    /// As Intel writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// With something that belongs to the platform and stands like this.
    pub(crate) const fn with(self, component: ComponentStatus) -> Self {
        match component {
            ComponentStatus::UpToDate => self,
            ComponentStatus::Revoked => Self::Revoked,
            ComponentStatus::OutOfDate => match self {
                Self::Revoked => Self::Revoked,
                _ if self.needs_configuration() => Self::OutOfDateConfigurationNeeded,
                _ => Self::OutOfDate,
            },
        }
    }

    /// Of a domain that was started with what stands like `self`, and runs with what stands like `now`.
    pub(crate) const fn relaunched(self, now: Self) -> Self {
        match (self, now) {
            (_, Self::Revoked) => Self::Revoked,
            (Self::OutOfDate | Self::OutOfDateConfigurationNeeded, now) if !now.is_out_of_date() => {
                if self.needs_configuration() || now.needs_configuration() {
                    Self::TdRelaunchAdvisedConfigurationNeeded
                } else {
                    Self::TdRelaunchAdvised
                }
            }
            // What runs now is never older than what it was started with, unless somebody cheats.
            (status, now) if now.is_out_of_date() && !status.is_out_of_date() => now,
            (status, _) => status,
        }
    }

    const fn is_out_of_date(self) -> bool {
        matches!(self, Self::OutOfDate | Self::OutOfDateConfigurationNeeded | Self::Revoked)
    }

    const fn needs_configuration(self) -> bool {
        matches!(
            self,
            Self::ConfigurationNeeded
                | Self::ConfigurationAndSwHardeningNeeded
                | Self::TdRelaunchAdvisedConfigurationNeeded
                | Self::OutOfDateConfigurationNeeded
        )
    }
}

impl From<ComponentStatus> for TcbStatus {
    fn from(status: ComponentStatus) -> Self {
        Self::UpToDate.with(status)
    }
}

/// How everything that a quote depends on stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tcb {
    /// All of it together.
    pub status: TcbStatus,
    /// The platform.
    pub platform: TcbStatus,
    /// The TDX module.
    pub module: TcbStatus,
    /// The quoting enclave.
    pub quoting_enclave: TcbStatus,
    /// Intel's advisories about what is wrong.
    pub advisories: BTreeSet<String>,
    /// As of when what runs is up to date (RFC 3339): the oldest of the three.
    pub date: String,
    /// Intel's count of evaluations, of the older one of the two documents.
    pub evaluation_data_number: u32,
    /// Until when all of the collateral holds (RFC 3339).
    pub collateral_expires: String,
}

#[cfg(test)]
mod tests {
    use super::{ComponentStatus, TcbStatus};

    #[test]
    fn statuses_converge_to_the_worst_of_both_kinds() {
        use TcbStatus::{
            ConfigurationAndSwHardeningNeeded, ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded,
            Revoked, SwHardeningNeeded, UpToDate,
        };
        for (status, with_old) in [
            (UpToDate, OutOfDate),
            (SwHardeningNeeded, OutOfDate),
            (ConfigurationNeeded, OutOfDateConfigurationNeeded),
            (ConfigurationAndSwHardeningNeeded, OutOfDateConfigurationNeeded),
            (OutOfDate, OutOfDate),
            (OutOfDateConfigurationNeeded, OutOfDateConfigurationNeeded),
            (Revoked, Revoked),
        ] {
            assert_eq!(status.with(ComponentStatus::UpToDate), status);
            assert_eq!(status.with(ComponentStatus::OutOfDate), with_old);
            assert_eq!(status.with(ComponentStatus::Revoked), Revoked);
        }
    }

    #[test]
    fn a_domain_that_outlived_its_module_is_to_be_relaunched() {
        use TcbStatus::{
            ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded, Revoked, TdRelaunchAdvised,
            TdRelaunchAdvisedConfigurationNeeded, UpToDate,
        };
        for (at_launch, now, together) in [
            (UpToDate, UpToDate, UpToDate),
            (OutOfDate, UpToDate, TdRelaunchAdvised),
            (OutOfDate, OutOfDate, OutOfDate),
            (OutOfDateConfigurationNeeded, ConfigurationNeeded, TdRelaunchAdvisedConfigurationNeeded),
            (UpToDate, OutOfDate, OutOfDate),
            (UpToDate, Revoked, Revoked),
            (Revoked, UpToDate, Revoked),
        ] {
            assert_eq!(at_launch.relaunched(now), together, "{at_launch:?} {now:?}");
        }
    }
}
