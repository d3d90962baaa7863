//! What a report shows besides the checks: facts about a machine, out of a genuine quote and of logs that explain its registers.

use attestation_evidence::{
    ContainerStart, EventLog, ImageDigest, Isolation, Mode, RuntimeEvent, event_type_name,
};
use serde::Serialize;

use crate::judging::{Held, Verdict};

/// Some facts.
#[derive(Debug)]
pub struct Section {
    pub title: &'static str,
    /// Name and value.
    pub rows: Vec<(String, String)>,
}

/// Something that was measured.
#[derive(Debug, Serialize)]
pub struct Event {
    /// Where.
    register: String,
    /// What happened.
    what: String,
    /// Of what: text that is bound to the register, or the digest.
    value: String,
}

/// All sections that there is something for.
pub fn sections(verdict: &Verdict, events: &[Event], runtime: &[Event]) -> Vec<Section> {
    let rows = |events: &[Event]| {
        events
            .iter()
            .map(|event| (format!("{} {}", event.register, event.what), event.value.clone()))
            .collect()
    };
    let all = [
        Section { title: "machine", rows: machine(verdict) },
        Section { title: "registers", rows: registers(verdict) },
        Section { title: "what the firmware measured", rows: rows(events) },
        Section { title: "what runs", rows: rows(runtime) },
    ];
    all.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

fn machine(verdict: &Verdict) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if let Some(platform) = &verdict.verification.platform {
        row("PPID", hex::encode(platform.ppid));
        if let Some(instance) = platform.platform_instance {
            row("platform instance", hex::encode(instance));
        }
        row("FMSPC", hex::encode(platform.fmspc));
    }
    if let Some(tcb) = &verdict.verification.tcb {
        row("TCB status", tcb.status.as_str().to_owned());
        if !tcb.advisories.is_empty() {
            row("advisories", tcb.advisories.iter().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    rows
}

fn registers(verdict: &Verdict) -> Vec<(String, String)> {
    let Some(established) = &verdict.verification.established else { return Vec::new() };
    let mut rows = vec![
        ("MRSEAM".to_owned(), established.mr_seam.clone()),
        ("MRTD".to_owned(), established.mr_td.clone()),
    ];
    let rtmr = established.rtmr.iter().enumerate();
    rows.extend(rtmr.map(|(number, value)| (format!("RTMR{number}"), value.clone())));
    rows.push(("REPORTDATA".to_owned(), established.report_data.clone()));
    rows.push(("TD attributes".to_owned(), format!("{:#018x}", established.td_attributes)));
    rows.push(("XFAM".to_owned(), format!("{:#018x}", established.xfam)));
    rows
}

/// Events of a log that explains the registers; nothing of one that does not.
pub fn events(verdict: &Verdict, held: &Held) -> Vec<Event> {
    let established = verdict.verification.established.as_ref();
    if !established.is_some_and(|established| established.has_event_log) {
        return Vec::new();
    }
    let log = held.event_log.as_deref().and_then(|bytes| EventLog::parse(bytes).ok());
    let measured = log.iter().flat_map(EventLog::events).filter(|event| event.is_measured());
    measured
        .map(|event| Event {
            register: format!("RTMR{}", event.register.saturating_sub(1)),
            // Of an event whose digest is not that of its data, the type is anybody's claim as well.
            what: match event_type_name(event.kind) {
                Some(name) if event.is_bound() => name.to_owned(),
                _ => "measured".to_owned(),
            },
            value: match str::from_utf8(event.data) {
                Ok(text) if event.is_bound() && is_words(text) => format!("\"{text}\""),
                _ => hex::encode(event.digest),
            },
        })
        .collect()
}

/// Whether a person can read it, and it does nothing to a terminal.
fn is_words(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_graphic() || character == ' ')
}

/// What the runtime has measured, if its log explains RTMR3.
pub fn runtime(verdict: &Verdict) -> Vec<Event> {
    let established = verdict.verification.established.as_ref();
    let state = established.and_then(|established| established.runtime.as_ref());
    state.iter().flat_map(|state| &state.events).map(of_runtime).collect()
}

fn of_runtime(event: &RuntimeEvent) -> Event {
    let (what, value) = match event {
        RuntimeEvent::Configuration(digest) => ("configuration", hex::encode(digest)),
        RuntimeEvent::Mode(Mode::Open) => {
            ("mode", "open: who has a certificate of the owner's says what runs".to_owned())
        }
        RuntimeEvent::Mode(Mode::Sealed) => {
            ("mode", "sealed: it runs the workload that it was given".to_owned())
        }
        RuntimeEvent::ClientAuthority(digest) if digest.iter().all(|byte| *byte == 0) => {
            ("client authority", "none: nobody".to_owned())
        }
        RuntimeEvent::ClientAuthority(digest) => ("client authority", hex::encode(digest)),
        RuntimeEvent::Workload(digest) => ("workload", hex::encode(digest)),
        RuntimeEvent::TlsKey(digest) => ("TLS key", hex::encode(digest)),
        RuntimeEvent::BootEnd => ("end of boot", String::new()),
        RuntimeEvent::ContainerStart(start) => ("container start", of_start(start)),
        RuntimeEvent::Exec { container, process } => {
            ("exec", format!("{} process {}", short(container), hex::encode(process)))
        }
        RuntimeEvent::ContentsChange { container, path } => {
            ("contents change", format!("{} path {}", short(container), hex::encode(path)))
        }
    };
    Event { register: "RTMR3".to_owned(), what: what.to_owned(), value }
}

fn of_start(start: &ContainerStart) -> String {
    let mut text = format!("{} image {}", short(&start.container), of_image(&start.image));
    if let Some(manifest) = &start.manifest {
        text.push_str(&format!(" manifest {}", of_image(manifest)));
    }
    let isolation = match start.isolation {
        Isolation::Confined => "confined",
        Isolation::Exposed => "given something of the machine",
    };
    format!("{text}, {isolation}, configuration {}", hex::encode(start.configuration))
}

/// A container's id as docker shows it.
fn short(container: &[u8; 32]) -> String {
    hex::encode(container.get(..6).unwrap_or_default())
}

fn of_image(image: &ImageDigest) -> String {
    match image {
        ImageDigest::Sha256(digest) => format!("sha256:{}", hex::encode(digest)),
        ImageDigest::Sha512(digest) => format!("sha512:{}", hex::encode(digest)),
    }
}
