//! [`judge`]: a verification against a policy. Its checks come after those of the verification, and one [`Judgement::verdict`] comes of all.

use std::time::Duration;

use attestation_evidence::{
    ContainerStart, ImageDigest, Isolation, Measurement, Mode as MeasuredMode, RuntimeEvent,
};
use attestation_verify::{
    Check, CheckName, Established, Outcome, Platform, RuntimeState, Tcb, TcbStatus, Verification,
};

use crate::Policy;
use crate::file::{Attribute, Hex, Image, MachinePolicy, Mode, RuntimePolicy, TcbPolicy, TdPolicy};

/// What a policy asks for besides the evidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances {
    /// How old the nonce is that REPORTDATA was checked for, if there is one and its maker knows.
    pub nonce_age: Option<Duration>,
    /// Whether there was a nonce.
    pub has_nonce: bool,
    /// Whose the quote must be, besides the machine's.
    pub bound_to: Option<BoundTo>,
}

/// What REPORTDATA was checked to have in it. Whoever can ask for any quote can have anything there; the runtime's log knows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundTo {
    /// The TLS key of the connection: SHA-384 of its SubjectPublicKeyInfo.
    TlsKey(Measurement),
    /// The id of a container.
    Container([u8; 32]),
}

/// A verification and what a policy makes of it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// All checks: the verification's, then the policy's.
    pub checks: Vec<Check>,
    /// Whether the policy says which images may have booted.
    pub lists_images: bool,
    /// Whether it is about a machine that is no trust domain.
    pub is_plain: bool,
}

impl Judgement {
    /// Whether every check that applies holds.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first check that does not hold.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.outcome == Outcome::Fail)
    }

    /// One line for people.
    #[must_use]
    pub fn verdict(&self) -> String {
        match self.first_failure() {
            Some(check) => format!("refused: {}: {}", check.name, check.reason),
            None if self.is_plain => {
                "accepted: a plain virtual machine, without any hardware evidence".to_owned()
            }
            None if self.lists_images => "accepted: genuine, and as the policy wants it".to_owned(),
            None => "accepted: genuine; no policy says which image it should run".to_owned(),
        }
    }
}

/// Holds `verification` against `policy`.
#[must_use]
pub fn judge(verification: &Verification, policy: &Policy, circumstances: &Circumstances) -> Judgement {
    let mut judge = Judge { checks: verification.checks.clone(), verification };
    judge.tcb(CheckName::PolicyTcbStatus, |tcb| status(tcb, &policy.tcb));
    judge.tcb(CheckName::PolicyTcbEvaluation, |tcb| evaluation(tcb, policy.tcb.evaluation_data_number));
    judge.quote(CheckName::PolicyTdxModule, |quote| {
        listed(&policy.tdx_module.mrseam, &quote.mr_seam, "the TDX module (MRSEAM)")
    });
    judge.quote(CheckName::PolicyTdDebug, |quote| debug(quote, &policy.td));
    judge.quote(CheckName::PolicyTdAttributes, |quote| attributes(quote, &policy.td));
    judge.quote(CheckName::PolicyXfam, |quote| {
        listed(&policy.td.xfam, &hex::encode(quote.xfam.to_be_bytes()), "XFAM")
    });
    judge.quote(CheckName::PolicyServiceTd, |quote| service_td(quote, &policy.td));
    judge.quote(CheckName::PolicyHostDeclared, |quote| host_declared(quote, &policy.td));
    judge.quote(CheckName::PolicyImage, |quote| image(quote, &policy.images));
    judge.quote(CheckName::PolicyRuntime, |quote| runtime(quote, policy));
    judge.quote(CheckName::PolicyLogs, |quote| logs(quote, policy));
    judge.quote(CheckName::PolicyBinding, |quote| binding(quote, policy, circumstances.bound_to.as_ref()));
    judge.platform(CheckName::PolicyMachine, |platform| machine(platform, &policy.machine));
    judge.quote(CheckName::PolicyFreshness, |_| freshness(policy, circumstances));
    judge.note(CheckName::PolicyPlainVm, Some(Nothing("the machine shows a quote")));
    Judgement { checks: judge.checks, lists_images: !policy.images.is_empty(), is_plain: false }
}

/// Holds a machine against `policy` that says itself that it has no hardware evidence.
#[must_use]
pub fn judge_plain(policy: &Policy) -> Judgement {
    let (outcome, reason) = if policy.insecure_plain_vm {
        (Outcome::Pass, "it has no hardware evidence, and the policy accepts a plain virtual machine")
    } else {
        (Outcome::Fail, "it is not a trust domain: a plain virtual machine has no hardware evidence")
    };
    let check = Check { name: CheckName::PolicyPlainVm, outcome, reason: reason.to_owned() };
    Judgement { checks: vec![check], lists_images: false, is_plain: true }
}

/// A check that holds, one that has nothing to be about, or one that does not hold; each with its line.
enum Finding {
    Holds(String),
    Nothing(&'static str),
    Fails(String),
}

use Finding::{Fails, Holds, Nothing};

struct Judge<'a> {
    verification: &'a Verification,
    checks: Vec<Check>,
}

impl Judge<'_> {
    fn tcb(&mut self, name: CheckName, find: impl FnOnce(&Tcb) -> Finding) {
        let finding = self.verification.tcb.as_ref().map(find);
        self.note(name, finding);
    }

    fn quote(&mut self, name: CheckName, find: impl FnOnce(&Established) -> Finding) {
        let finding = self.verification.established.as_ref().map(find);
        self.note(name, finding);
    }

    fn platform(&mut self, name: CheckName, find: impl FnOnce(&Platform) -> Finding) {
        let finding =
            self.verification.established.as_ref().and(self.verification.platform.as_ref()).map(find);
        self.note(name, finding);
    }

    fn note(&mut self, name: CheckName, finding: Option<Finding>) {
        let (outcome, reason) = match finding {
            Some(Holds(reason)) => (Outcome::Pass, reason),
            Some(Nothing(reason)) => (Outcome::NotApplicable, reason.to_owned()),
            Some(Fails(reason)) => (Outcome::Fail, reason),
            None => (Outcome::Fail, "not checked: the quote is not established to be genuine".to_owned()),
        };
        self.checks.push(Check { name, outcome, reason });
    }
}

fn status(tcb: &Tcb, policy: &TcbPolicy) -> Finding {
    let name = tcb.status.as_str();
    if !policy.accepted_statuses.iter().any(|accepted| accepted.0 == tcb.status) {
        let advisories: Vec<&str> = tcb.advisories.iter().map(String::as_str).collect();
        let why = if advisories.is_empty() { String::new() } else { format!(" ({})", advisories.join(", ")) };
        return Fails(format!("the platform's TCB is {name}{why}, which is not accepted"));
    }
    if tcb.status == TcbStatus::UpToDate {
        return Holds("the platform's TCB is UpToDate".to_owned());
    }
    let unknown: Vec<&str> = tcb
        .advisories
        .iter()
        .filter(|advisory| !policy.accepted_advisories.contains(advisory))
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        Holds(format!("the platform's TCB is {name}, which is accepted with all of its advisories"))
    } else {
        Fails(format!(
            "the platform's TCB is {name}, with advisories that are not accepted: {}",
            unknown.join(", ")
        ))
    }
}

fn evaluation(tcb: &Tcb, floor: u32) -> Finding {
    let number = tcb.evaluation_data_number;
    if number < floor {
        Fails(format!("the collateral is of evaluation {number}, older than {floor}"))
    } else if floor == 0 {
        Nothing("the policy has no floor for the collateral's evaluation")
    } else {
        Holds(format!("the collateral is of evaluation {number}, at least {floor}"))
    }
}

/// A value against a list, where an empty list takes any.
fn listed<const N: usize>(list: &[Hex<N>], value: &str, what: &str) -> Finding {
    if list.is_empty() {
        Nothing("the policy has no list for it")
    } else if contains(list, value) {
        Holds(format!("{what} is listed"))
    } else {
        Fails(format!("{what} is {value}, which is not listed"))
    }
}

fn contains<const N: usize>(list: &[Hex<N>], value: &str) -> bool {
    list.iter().any(|listed| hex::encode(listed.0) == value)
}

const DEBUG: u64 = 1;
const SEPT_VE_DISABLE: u64 = 1 << 28;

fn debug(quote: &Established, policy: &TdPolicy) -> Finding {
    match (quote.td_attributes & DEBUG != 0, policy.debug) {
        (false, _) => Holds("the trust domain cannot be debugged".to_owned()),
        (true, true) => Holds("the trust domain can be debugged, which the policy names".to_owned()),
        (true, false) => Fails("the trust domain can be debugged: its host can read its memory".to_owned()),
    }
}

fn attributes(quote: &Established, policy: &TdPolicy) -> Finding {
    if quote.td_attributes & SEPT_VE_DISABLE == 0 && !policy.sept_ve_disable_optional {
        return Fails(
            "the trust domain lacks SEPT_VE_DISABLE: its host can interrupt it at any access".to_owned(),
        );
    }
    let unwanted: Vec<&str> = Attribute::ALL
        .into_iter()
        .filter(|attribute| !policy.attributes.contains(attribute))
        .map(Attribute::bit)
        .filter(|(bit, _)| quote.td_attributes & bit != 0)
        .map(|(_, name)| name)
        .collect();
    if unwanted.is_empty() {
        Holds("the trust domain has no attribute that is not accepted".to_owned())
    } else {
        Fails(format!("the trust domain has attributes that are not accepted: {}", unwanted.join(", ")))
    }
}

fn service_td(quote: &Established, policy: &TdPolicy) -> Finding {
    match &quote.mr_service_td {
        None => Nothing("TDX 1.0 has no service domains"),
        Some(value) if is_zero(value) => Holds("no service domain is bound".to_owned()),
        Some(value) if contains(&policy.service_td, value) => {
            Holds("the bound service domain is listed".to_owned())
        }
        Some(value) => Fails(format!("a service domain is bound (MRSERVICETD {value}), which is not listed")),
    }
}

fn host_declared(quote: &Established, policy: &TdPolicy) -> Finding {
    for (name, value, list) in [
        ("MRCONFIGID", &quote.mr_config_id, &policy.config_id),
        ("MROWNER", &quote.mr_owner, &policy.owner),
        ("MROWNERCONFIG", &quote.mr_owner_config, &policy.owner_config),
    ] {
        let is_expected = if list.is_empty() { is_zero(value) } else { contains(list, value) };
        if !is_expected {
            return Fails(format!("{name} is {value}, which is not expected"));
        }
    }
    Holds("what the host declared (MRCONFIGID, MROWNER, MROWNERCONFIG) is as expected".to_owned())
}

fn is_zero(value: &str) -> bool {
    value.bytes().all(|digit| digit == b'0')
}

fn image(quote: &Established, images: &[Image]) -> Finding {
    if images.is_empty() {
        return Nothing("the policy lists no images: what booted is not checked");
    }
    let differences: Vec<String> = images
        .iter()
        .map(|image| match difference(quote, image) {
            None => Ok(&image.name),
            Some(register) => Err(format!("{register} is not that of `{}`", image.name)),
        })
        .map(|result| match result {
            Ok(name) => format!("={name}"),
            Err(difference) => difference,
        })
        .collect();
    match differences.iter().find_map(|difference| difference.strip_prefix('=')) {
        Some(name) => Holds(format!("what booted is `{name}`")),
        None => Fails(format!("what booted is not listed: {}", differences.join("; "))),
    }
}

/// The first register that is not the image's.
fn difference(quote: &Established, image: &Image) -> Option<&'static str> {
    let [rtmr0, rtmr1, rtmr2, _] = &quote.rtmr;
    [
        ("MRTD", &quote.mr_td, &image.mrtd),
        ("RTMR0", rtmr0, &image.rtmr0),
        ("RTMR1", rtmr1, &image.rtmr1),
        ("RTMR2", rtmr2, &image.rtmr2),
    ]
    .into_iter()
    .find(|(_, value, list)| !list.is_empty() && !contains(list, value))
    .map(|(name, ..)| name)
}

/// A policy that lists images says something of what ran on them, even if it has no word of the runtime: no container was exposed or modified. Whoever keeps the log
/// back, or boots the image to do something else than to be a machine of containers, has nothing that says so.
fn runtime(quote: &Established, policy: &Policy) -> Finding {
    let is_bound = !policy.images.is_empty();
    let policy = &policy.runtime;
    let must_be_known =
        !policy.is_silent() || (is_bound && !(policy.exposed_containers && policy.modified_containers));
    let Some(runtime) = &quote.runtime else {
        return match must_be_known {
            false => Nothing("the policy says nothing of what the runtime measured"),
            true => Fails("there is no runtime log that explains RTMR3".to_owned()),
        };
    };
    if !runtime.is_booted && must_be_known {
        return Fails("the machine was still booting when the quote was made".to_owned());
    }
    let unwanted = runtime.events.iter().find_map(|event| unwanted(event, policy));
    match unwanted.or_else(|| missing(runtime, policy)) {
        Some(what) => Fails(what),
        None if policy.is_silent() => Nothing("the policy lists nothing of what the runtime measured"),
        None => Holds(format!("all {} events of the runtime are listed", count(runtime))),
    }
}

/// What the policy lists and the machine's mode has not measured at all. A machine has either a workload or an authority for its clients, so a policy that lists
/// both takes either.
fn missing(runtime: &RuntimeState, policy: &RuntimePolicy) -> Option<String> {
    let (workloads, authorities) = (!policy.workloads.is_empty(), !policy.client_authorities.is_empty());
    let is_open = runtime.events.iter().any(|event| matches!(event, RuntimeEvent::ClientAuthority(_)));
    let is_sealed = runtime.events.iter().any(|event| matches!(event, RuntimeEvent::Workload(_)));
    if workloads && !is_sealed && !(authorities && is_open) {
        Some("the machine has no workload of its own, and the policy lists workloads".to_owned())
    } else if authorities && !is_open && !(workloads && is_sealed) {
        Some("the machine has no authority for clients, and the policy lists authorities".to_owned())
    } else {
        None
    }
}

fn count(runtime: &RuntimeState) -> usize {
    runtime.events.len()
}

/// Why the policy does not accept an event.
fn unwanted(event: &RuntimeEvent, policy: &RuntimePolicy) -> Option<String> {
    let (what, list, digest) = match event {
        RuntimeEvent::Configuration(digest) => ("configuration", &policy.configurations, digest),
        RuntimeEvent::ClientAuthority(digest) => ("clients' authority", &policy.client_authorities, digest),
        RuntimeEvent::Workload(digest) => ("workload", &policy.workloads, digest),
        RuntimeEvent::Mode(mode) => {
            let (mode, name) = match mode {
                MeasuredMode::Open => (Mode::Open, "open"),
                MeasuredMode::Sealed => (Mode::Sealed, "sealed"),
            };
            let is_wanted = policy.modes.is_empty() || policy.modes.contains(&mode);
            return (!is_wanted).then(|| format!("the machine's mode is {name}, which is not listed"));
        }
        RuntimeEvent::ContainerStart(start) => return unwanted_container(policy, start),
        RuntimeEvent::ContentsChange { container, .. } => {
            let name = hex::encode(container);
            let why = format!("files were put into container {name} (modified-containers)");
            return (!policy.modified_containers).then_some(why);
        }
        RuntimeEvent::TlsKey(_) | RuntimeEvent::BootEnd | RuntimeEvent::Exec { .. } => return None,
    };
    let is_wanted = list.is_empty() || list.iter().any(|listed| listed.0 == *digest);
    (!is_wanted).then(|| format!("the machine's {what} is {}, which is not listed", hex::encode(digest)))
}

/// What is wrong with a container, if something is.
fn unwanted_container(policy: &RuntimePolicy, start: &ContainerStart) -> Option<String> {
    let image = digest_text(&start.image);
    if start.isolation == Isolation::Exposed && !policy.exposed_containers {
        return Some(format!(
            "a container of image {image} was given something of the machine (exposed-containers)"
        ));
    }
    let manifest = start.manifest.as_ref().map(digest_text);
    let is_listed = |digest: &String| policy.container_images.contains(digest);
    let is_wanted =
        policy.container_images.is_empty() || is_listed(&image) || manifest.as_ref().is_some_and(is_listed);
    (!is_wanted).then(|| format!("a container of image {image} has run, which is not listed"))
}

fn digest_text(digest: &ImageDigest) -> String {
    match digest {
        ImageDigest::Sha256(digest) => format!("sha256:{}", hex::encode(digest)),
        ImageDigest::Sha512(digest) => format!("sha512:{}", hex::encode(digest)),
    }
}

fn logs(quote: &Established, policy: &Policy) -> Finding {
    let logs = &policy.logs;
    if logs.event_log && !quote.has_event_log {
        Fails("the policy asks for an event log that explains RTMR0 to RTMR2".to_owned())
    } else if logs.runtime_log && quote.runtime.is_none() {
        Fails("the policy asks for a runtime log that explains RTMR3".to_owned())
    } else if logs.runtime_log && quote.runtime.as_ref().is_some_and(|runtime| !runtime.is_booted) {
        Fails("the policy asks for a runtime log, and this one ends before the machine was up".to_owned())
    } else if logs.event_log || logs.runtime_log {
        Holds("the logs that the policy asks for are there".to_owned())
    } else {
        Nothing("the policy asks for no logs")
    }
}

/// A container that was given what quotes come from can have any REPORTDATA, with a key of its own or another container's id. It cannot have them in
/// the log.
fn binding(quote: &Established, policy: &Policy, bound_to: Option<&BoundTo>) -> Finding {
    let Some(bound_to) = bound_to else {
        return Nothing("nobody said which key or container the quote is bound to");
    };
    let Some(runtime) = &quote.runtime else {
        let is_unused = quote.rtmr.last().is_none_or(|rtmr3| is_zero(rtmr3));
        return match is_unused && policy.images.is_empty() {
            true => Nothing("RTMR3 is zero: no runtime has measured a key or container"),
            false => Fails("no runtime log says whose key or container it is".to_owned()),
        };
    };
    match bound_to {
        BoundTo::TlsKey(key) => match runtime.events.contains(&RuntimeEvent::TlsKey(*key)) {
            true => Holds("the TLS key is the one that the machine made".to_owned()),
            false => Fails("the TLS key is not the one that the machine made".to_owned()),
        },
        BoundTo::Container(id) => {
            let starts = runtime.events.iter().filter_map(|event| match event {
                RuntimeEvent::ContainerStart(start) => Some(start),
                _ => None,
            });
            let name = hex::encode(id);
            if starts.clone().any(|start| start.isolation == Isolation::Exposed) {
                // It may be the one that asked, under this one's name.
                return Fails(
                    "a container was given something of the machine, and may have asked in another's name"
                        .to_owned(),
                );
            }
            let is_change = |event: &RuntimeEvent| matches!(event, RuntimeEvent::ContentsChange { container, .. } if container == id);
            if runtime.events.iter().any(is_change) {
                return Fails(format!("files were put into container {name}: what runs is not its image"));
            }
            match starts.rev().find(|start| start.container == *id) {
                Some(start) => Holds(format!("container {name} runs image {}", digest_text(&start.image))),
                None => Fails(format!("no container {name} was ever started")),
            }
        }
    }
}

fn machine(platform: &Platform, policy: &MachinePolicy) -> Finding {
    if policy.ppid.is_empty() && policy.platform_instance.is_empty() {
        return Nothing("the policy lists no machines: evidence may be relayed from another");
    }
    if !policy.ppid.is_empty() && !contains(&policy.ppid, &hex::encode(platform.ppid)) {
        return Fails(format!("the machine's PPID is {}, which is not listed", hex::encode(platform.ppid)));
    }
    if policy.platform_instance.is_empty() {
        return Holds("the machine's PPID is listed".to_owned());
    }
    match platform.platform_instance.map(hex::encode) {
        Some(instance) if contains(&policy.platform_instance, &instance) => {
            Holds("the machine's platform instance is listed".to_owned())
        }
        Some(instance) => {
            Fails(format!("the machine's platform instance is {instance}, which is not listed"))
        }
        None => Fails("the machine's certificate names no platform instance".to_owned()),
    }
}

fn freshness(policy: &Policy, circumstances: &Circumstances) -> Finding {
    let freshness = &policy.freshness;
    let limit = freshness.max_quote_age_seconds;
    if !circumstances.has_nonce && (freshness.nonce || limit.is_some()) {
        return Fails("the policy asks for a fresh quote, and no nonce was given".to_owned());
    }
    match (limit, circumstances.nonce_age) {
        (None, _) if freshness.nonce => Holds("the quote is for the nonce that was given".to_owned()),
        (None, _) => Nothing("the policy does not ask how old the quote is"),
        (Some(_), None) => {
            Fails("the policy limits the quote's age, and nobody said when the nonce was made".to_owned())
        }
        (Some(limit), Some(age)) if age.as_secs() > limit => {
            Fails(format!("the quote may be {} seconds old, the policy accepts {limit}", age.as_secs()))
        }
        (Some(_), Some(age)) => Holds(format!("the quote is at most {} seconds old", age.as_secs())),
    }
}
