//! [`Check`]: one step and what came of it. The names are an interface: programs read them.

use std::fmt;

use serde::{Serialize, Serializer};

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not hold, or could not be established.
    Fail,
    /// There is nothing that it could be about.
    NotApplicable,
}

/// One step and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, in a line.
    pub reason: String,
}

macro_rules! check_names {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// The steps, in the order in which they are reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum CheckName {
            $($(#[doc = $doc])* $name,)*
        }

        impl CheckName {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

check_names! {
    /// The bytes are a TDX quote of version 4 or 5, and nothing else.
    QuoteFormat = "quote-format",
    /// The quoting enclave's vendor is Intel.
    QuoteVendor = "quote-vendor",
    /// The root's revocation list is the root's and current.
    RootCrl = "root-crl",
    /// The platform's certificate hangs on the trusted root.
    PckChain = "pck-chain",
    /// Neither that certificate nor its authority's is revoked.
    PckRevocation = "pck-revocation",
    /// The certificate says which platform it is about.
    PckPlatform = "pck-platform",
    /// The key that signs TCB information hangs on the trusted root and is not revoked.
    TcbInfoChain = "tcb-info-chain",
    /// The TCB information is signed by it.
    TcbInfoSignature = "tcb-info-signature",
    /// It is TDX's, well-formed and current.
    TcbInfo = "tcb-info",
    /// The key that signs enclave identities hangs on the trusted root and is not revoked.
    QeIdentityChain = "qe-identity-chain",
    /// The quoting enclave's identity is signed by it.
    QeIdentitySignature = "qe-identity-signature",
    /// It is the TDX quoting enclave's, well-formed and current.
    QeIdentity = "qe-identity",
    /// The platform's key signed the quoting enclave's report.
    QeReportSignature = "qe-report-signature",
    /// The report vouches for the attestation key.
    QeReportData = "qe-report-data",
    /// The enclave that reports is Intel's quoting enclave.
    QeMeasurement = "qe-measurement",
    /// It is not a debug enclave.
    QeDebug = "qe-debug",
    /// Its version has a status.
    QeTcb = "qe-tcb",
    /// The TCB information is about this family of platforms.
    Fmspc = "fmspc",
    /// And about this provisioning certification enclave.
    PceId = "pce-id",
    /// The platform's versions have a status.
    PlatformTcb = "platform-tcb",
    /// The TDX module is Intel's, and its version has a status.
    TdxModule = "tdx-module",
    /// The attestation key signed header and body.
    QuoteSignature = "quote-signature",
    /// No reserved bit of the domain's attributes and features is set.
    TdReserved = "td-reserved",
    /// The firmware's event log is well-formed.
    EventLog = "event-log",
    /// The log explains RTMR0.
    Rtmr0 = "rtmr0",
    /// The log explains RTMR1.
    Rtmr1 = "rtmr1",
    /// The log explains RTMR2.
    Rtmr2 = "rtmr2",
    /// The runtime's log is well-formed.
    RuntimeLog = "runtime-log",
    /// It explains RTMR3.
    Rtmr3 = "rtmr3",
    /// REPORTDATA is what the asker expects.
    ReportData = "report-data",
    /// Policy: the converged TCB status is accepted.
    PolicyTcbStatus = "policy-tcb-status",
    /// Policy: the collateral is not older than the floor.
    PolicyTcbEvaluation = "policy-tcb-evaluation",
    /// Policy: the TDX module is listed.
    PolicyTdxModule = "policy-tdx-module",
    /// Policy: the domain cannot be debugged.
    PolicyTdDebug = "policy-td-debug",
    /// Policy: its attributes are accepted.
    PolicyTdAttributes = "policy-td-attributes",
    /// Policy: its features are accepted.
    PolicyXfam = "policy-xfam",
    /// Policy: no service domain is bound to it that is not listed.
    PolicyServiceTd = "policy-service-td",
    /// Policy: what the host declared is expected.
    PolicyHostDeclared = "policy-host-declared",
    /// Policy: what booted is listed.
    PolicyImage = "policy-image",
    /// Policy: what the runtime measured is listed.
    PolicyRuntime = "policy-runtime",
    /// Policy: the logs that it asks for are there.
    PolicyLogs = "policy-logs",
    /// Policy: the key or container that the quote is bound to is the one that the runtime measured.
    PolicyBinding = "policy-binding",
    /// Policy: the machine is listed.
    PolicyMachine = "policy-machine",
    /// Policy: the quote is fresh.
    PolicyFreshness = "policy-freshness",
    /// Policy: a machine that is no trust domain will do.
    PolicyPlainVm = "policy-plain-vm",
}

impl fmt::Display for CheckName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for CheckName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a step established, or the name of the one that failed to.
pub type Step<T> = Result<T, CheckName>;

/// A step that holds: what it establishes, and the line about it.
#[derive(Debug)]
pub struct Pass<T>(pub T, pub String);

/// A step that does not hold: the line about it.
pub type StepResult<T> = Result<Pass<T>, String>;

/// The steps so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// Takes a step for which `needs` were established.
    pub fn step<N, T>(
        &mut self,
        name: CheckName,
        needs: Step<N>,
        take: impl FnOnce(N) -> StepResult<T>,
    ) -> Step<T> {
        let (step, outcome, reason) = match needs.map(take) {
            Ok(Ok(Pass(value, reason))) => (Ok(value), Outcome::Pass, reason),
            Ok(Err(reason)) => (Err(name), Outcome::Fail, reason),
            Err(missing) => (Err(name), Outcome::Fail, format!("not checked: needs {missing}")),
        };
        self.0.push(Check { name, outcome, reason });
        step
    }

    /// Notes that there is nothing that a step could be about.
    pub fn not_applicable(&mut self, name: CheckName, reason: impl Into<String>) {
        self.0.push(Check { name, outcome: Outcome::NotApplicable, reason: reason.into() });
    }

    /// Whether any step did not hold.
    pub fn has_failed(&self) -> bool {
        self.0.iter().any(|check| check.outcome == Outcome::Fail)
    }

    pub fn into_inner(self) -> Vec<Check> {
        self.0
    }
}

/// Several steps at once.
pub fn both<A, B>(first: Step<A>, second: Step<B>) -> Step<(A, B)> {
    Ok((first?, second?))
}

/// What a step established, by reference.
pub fn of<T>(step: &Step<T>) -> Step<&T> {
    step.as_ref().map_err(|name| *name)
}
