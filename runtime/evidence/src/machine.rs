//! [`Machine`]: where the kernel has its quotes and logs.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use attestation_evidence::{Quote, RUNTIME_LOG_MAGIC, RuntimeLog, extend};

use crate::document::{Bytes, Document, Hardware, VERSION};

/// configfs-tsm's reports.
const REPORTS: &str = "/sys/kernel/config/tsm/report";
/// The firmware's log.
const EVENT_LOG: &str = "/sys/firmware/acpi/tables/data/CCEL";
/// The registers.
const MEASUREMENTS: &str = "/sys/devices/virtual/misc/tdx_guest/measurements";

/// How often the runtime's log is read until it explains a quote, and the pause between: PID 1 extends the register first.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Tells requests at the same time apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The machine that this process is on.
#[derive(Clone, Debug)]
pub struct Machine {
    reports: PathBuf,
    measurements: PathBuf,
    event_log: PathBuf,
    runtime_log: PathBuf,
    /// See [`Document::manifest`].
    manifest: Option<String>,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the host gave no quote.
    #[error("cannot get a quote")]
    Quote(#[source] io::Error),
    /// The kernel's answer is none.
    #[error("the quote makes no sense: {0}")]
    Malformed(String),
    /// A log cannot be read.
    #[error("cannot read `{path}`")]
    Log {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Machine {
    /// This machine, whose runtime log is there.
    #[must_use]
    pub fn new(runtime_log: &Path, manifest: Option<String>) -> Self {
        Self {
            reports: REPORTS.into(),
            measurements: MEASUREMENTS.into(),
            event_log: EVENT_LOG.into(),
            runtime_log: runtime_log.to_owned(),
            manifest,
        }
    }

    /// What vouches for it.
    #[must_use]
    pub fn hardware(&self) -> Hardware {
        if self.measurements.is_dir() { Hardware::Tdx } else { Hardware::None }
    }

    /// A quote with that REPORTDATA. The host may take its time.
    ///
    /// # Errors
    ///
    /// When the kernel has none, or the host makes none.
    pub fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        let name = format!("coffer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let report = Report::make(self.reports.join(name)).map_err(Error::Quote)?;
        fs::write(report.0.join("inblob"), report_data)
            .and_then(|()| fs::read(report.0.join("outblob")))
            .map_err(Error::Quote)
    }

    /// All that the machine shows, in a quote with that REPORTDATA and logs that explain it. Without hardware, the logs.
    ///
    /// # Errors
    ///
    /// When a part that should be there is not.
    pub fn evidence(&self, report_data: &[u8; 64]) -> Result<Document, Error> {
        let hardware = self.hardware();
        let quote = match hardware {
            Hardware::Tdx => Some(self.quote(report_data)?),
            Hardware::None => None,
        };
        let runtime_log = match &quote {
            Some(quote) => self.explain(quote)?,
            None => self.read(&self.runtime_log)?,
        };
        let event_log = match fs::read(&self.event_log) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            result => Some(result.map_err(|source| Error::Log { path: self.event_log.clone(), source })?),
        };
        Ok(Document {
            version: VERSION,
            hardware,
            quote: quote.map(Bytes),
            event_log: event_log.map(Bytes),
            runtime_log: Some(Bytes(runtime_log)),
            manifest: self.manifest.clone(),
        })
    }

    /// The runtime's log as it was when the quote was made. What was measured since is left out, and what PID 1 was about to write is waited for.
    fn explain(&self, quote: &[u8]) -> Result<Vec<u8>, Error> {
        let quote = Quote::parse(quote).map_err(|error| Error::Malformed(error.to_string()))?;
        let [.., register] = quote.body.rtmr;
        for _ in 0..TRIES {
            let log = self.read(&self.runtime_log)?;
            if let Some(length) = explaining(&log, register) {
                return Ok(log.get(..length).unwrap_or(&log).to_vec());
            }
            sleep(PAUSE);
        }
        // Somebody else has extended it, then: a verifier is to see both.
        self.read(&self.runtime_log)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        fs::read(path).map_err(|source| Error::Log { path: path.to_owned(), source })
    }
}

/// How much of a log comes to that value of the register.
fn explaining(log: &[u8], register: &[u8; 48]) -> Option<usize> {
    let parsed = RuntimeLog::parse(log).ok()?;
    let (mut value, mut length) = ([0; 48], RUNTIME_LOG_MAGIC.len());
    if value == *register {
        return Some(length);
    }
    for (sequence, (event, _)) in (0..).zip(parsed.records()) {
        let record = event.record(sequence);
        value = extend(&value, &record.digest());
        length += record.as_bytes().len();
        if value == *register {
            return Some(length);
        }
    }
    None
}

/// A folder of configfs-tsm, which goes with this.
struct Report(PathBuf);

impl Report {
    fn make(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // There is nobody to tell; the folder is empty for rmdir(2), whatever it shows.
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use attestation_evidence::{Mode, RUNTIME_LOG_MAGIC, RuntimeEvent, RuntimeLog};

    use super::{Machine, explaining};
    use crate::Hardware;

    fn log(events: &[RuntimeEvent]) -> Vec<u8> {
        let records = (0..).zip(events).map(|(sequence, event)| event.record(sequence).as_bytes().to_vec());
        [RUNTIME_LOG_MAGIC.to_vec(), records.collect::<Vec<_>>().concat()].concat()
    }

    #[test]
    fn what_was_measured_since_a_quote_is_left_out() {
        let events = [RuntimeEvent::Configuration([1; 48]), RuntimeEvent::Mode(Mode::Open)];
        let (whole, part) = (log(&events), log(&events[..1]));
        let register = |log: &[u8]| RuntimeLog::parse(log).unwrap().replay();
        assert_eq!(explaining(&whole, &register(&part)), Some(part.len()));
        assert_eq!(explaining(&whole, &register(&whole)), Some(whole.len()));
        assert_eq!(explaining(&whole, &[0; 48]), Some(RUNTIME_LOG_MAGIC.len()));
        assert_eq!(explaining(&part, &register(&whole)), None);
    }

    #[test]
    fn a_plain_machine_says_that_it_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runtime.log");
        fs::write(&path, log(&[])).unwrap();
        let document = Machine::new(&path, None).evidence(&[0; 64]).unwrap();
        assert_eq!((document.hardware, document.quote.is_none()), (Hardware::None, true));
        let json = serde_json::to_string(&document).unwrap();
        assert!(json.contains(r#""hardware":"none""#) && json.contains("runtime-log"), "{json}");
        assert_eq!(serde_json::from_str::<crate::Document>(&json).unwrap(), document);
    }
}
