//! [`Established`]: what a genuine quote says, and whether the logs explain its registers.

use attestation_evidence::{EventLog, Quote, RuntimeEvent, RuntimeLog};
use serde::Serialize;

use crate::check::{CheckName, Checks, Pass, Step, StepResult, of};

/// What a genuine quote says, in lower-case hexadecimal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Established {
    /// Version of the quote.
    pub quote_version: u16,
    /// The TDX module.
    pub mr_seam: String,
    /// What the domain's memory held at the start: its firmware.
    pub mr_td: String,
    /// RTMR0 to RTMR3.
    pub rtmr: [String; 4],
    /// What the host declared.
    pub mr_config_id: String,
    /// What the host declared.
    pub mr_owner: String,
    /// What the host declared.
    pub mr_owner_config: String,
    /// Service domains that are bound; none with TDX 1.0, which has none.
    pub mr_service_td: Option<String>,
    /// The domain's attributes, bit by bit.
    #[serde(serialize_with = "bits")]
    pub td_attributes: u64,
    /// Features of the processor that it may use, bit by bit.
    #[serde(serialize_with = "bits")]
    pub xfam: u64,
    /// What the asker had put in.
    pub report_data: String,
    /// Whether the event log was there and explains RTMR0 to RTMR2.
    pub has_event_log: bool,
    /// Events of the runtime's log, if it was there and explains RTMR3.
    #[serde(skip)]
    pub runtime: Option<RuntimeState>,
}

/// What the runtime has measured.
#[derive(Clone, Debug)]
pub struct RuntimeState {
    /// All events, in their order.
    pub events: Vec<RuntimeEvent>,
    /// Whether the boot phase has ended.
    pub is_booted: bool,
}

fn bits<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{value:#018x}"))
}

impl Established {
    pub fn of(quote: &Quote<'_>, has_event_log: bool, runtime: Option<RuntimeState>) -> Self {
        let body = &quote.body;
        Self {
            quote_version: quote.version,
            mr_seam: hex::encode(body.mr_seam),
            mr_td: hex::encode(body.mr_td),
            rtmr: body.rtmr.map(hex::encode),
            mr_config_id: hex::encode(body.mr_config_id),
            mr_owner: hex::encode(body.mr_owner),
            mr_owner_config: hex::encode(body.mr_owner_config),
            mr_service_td: body.mr_service_td.map(hex::encode),
            td_attributes: body.td_attributes,
            xfam: body.xfam,
            report_data: hex::encode(body.report_data),
            has_event_log,
            runtime,
        }
    }
}

/// Attributes of a domain that are defined: DEBUG, LASS, `SEPT_VE_DISABLE`, MIGRATABLE, PKS, KL and PERFMON. All others must be zero.
const TD_ATTRIBUTES: u64 = 1 | 1 << 27 | 1 << 28 | 1 << 29 | 1 << 30 | 1 << 31 | 1 << 63;
/// Features that a domain can have, and the two (x87 and SSE) that it cannot do without.
const XFAM_POSSIBLE: u64 = 0x0006_dbe7;
const XFAM_FIXED: u64 = 0b11;

/// The TDX module sets no reserved bits; a quote that has some is about something that this verifier does not know.
pub fn reserved(quote: &Quote<'_>) -> StepResult<()> {
    let (attributes, xfam) = (quote.body.td_attributes, quote.body.xfam);
    if attributes & !TD_ATTRIBUTES != 0 {
        Err(format!("reserved attributes of the domain are set: {:#x}", attributes & !TD_ATTRIBUTES))
    } else if xfam & !XFAM_POSSIBLE != 0 {
        Err(format!("reserved features of the domain are set: {:#x}", xfam & !XFAM_POSSIBLE))
    } else if xfam & XFAM_FIXED != XFAM_FIXED {
        Err("features that every domain has are missing".to_owned())
    } else {
        Ok(Pass((), "no reserved bit is set".to_owned()))
    }
}

/// Replays the firmware's log into RTMR0 to RTMR2. Tells whether it was there and explains all three.
pub fn event_log(checks: &mut Checks, quote: &Step<Quote<'_>>, bytes: Option<&[u8]>) -> bool {
    const REGISTERS: [(CheckName, u32); 3] =
        [(CheckName::Rtmr0, 0), (CheckName::Rtmr1, 1), (CheckName::Rtmr2, 2)];
    let Some(bytes) = bytes else {
        checks.not_applicable(CheckName::EventLog, "no event log was given");
        for (name, index) in REGISTERS {
            checks.not_applicable(
                name,
                format!("no event log was given: RTMR{index} is a value without history"),
            );
        }
        return false;
    };
    let log = checks.step(CheckName::EventLog, Ok(()), |()| {
        let log =
            EventLog::parse(bytes).map_err(|error| format!("the event log is not acceptable: {error}"))?;
        Ok(Pass(log, format!("{} events", log.len())))
    });
    let replay = of(&log).map(EventLog::replay);
    let mut is_explained = true;
    for (name, index) in REGISTERS {
        let needs = log.as_ref().map_err(|name| *name).and_then(|log| Ok((log, of(&replay)?, of(quote)?)));
        is_explained &= checks
            .step(name, needs, |(log, replay, quote)| {
                let at = usize::try_from(index).unwrap_or(usize::MAX);
                let (replayed, quoted) = (replay.get(at), quote.body.rtmr.get(at).copied());
                register(index, replayed, quoted, log.has_events_of(index))
            })
            .is_ok();
    }
    is_explained
}

/// Replays the runtime's log into RTMR3.
pub fn runtime_log(
    checks: &mut Checks,
    quote: &Step<Quote<'_>>,
    bytes: Option<&[u8]>,
) -> Option<RuntimeState> {
    let Some(bytes) = bytes else {
        checks.not_applicable(CheckName::RuntimeLog, "no runtime log was given");
        let reason = "no runtime log was given: RTMR3 is a value without history";
        checks.not_applicable(CheckName::Rtmr3, reason);
        return None;
    };
    let log = checks.step(CheckName::RuntimeLog, Ok(()), |()| {
        let log = RuntimeLog::parse(bytes)
            .map_err(|error| format!("the runtime log is not acceptable: {error}"))?;
        let state = if log.is_booted() { "up" } else { "still booting" };
        Ok(Pass(log, format!("{} events; the machine is {state}", log.len())))
    });
    let needs = of(&log).and_then(|log| Ok((log, of(quote)?)));
    let explained = checks.step(CheckName::Rtmr3, needs, |(log, quote)| {
        register(3, Some(&log.replay()), quote.body.rtmr.last().copied(), !log.is_empty())
    });
    explained.and(log).ok().map(|log| RuntimeState {
        events: log.records().map(|(event, _)| event).collect(),
        is_booted: log.is_booted(),
    })
}

fn register(
    index: u32,
    replayed: Option<&[u8; 48]>,
    quoted: Option<&[u8; 48]>,
    has_events: bool,
) -> StepResult<()> {
    if replayed.is_some() && replayed == quoted {
        Ok(Pass((), format!("the log comes to RTMR{index} of the quote")))
    } else if has_events {
        Err(format!("the log comes to another value than RTMR{index} of the quote"))
    } else {
        Err(format!("RTMR{index} of the quote is not zero, and the log has no event for it"))
    }
}
