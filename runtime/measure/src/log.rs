//! [`Log`]: measures an event and writes it down.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use attestation_evidence::{RUNTIME_LOG_MAGIC, RuntimeEvent, RuntimeOrder};

use crate::Register;

/// The longest log, in bytes: some 37,000 starts of containers. What a machine shows of itself has it in base64, and must stay within what verifiers
/// read (16 MiB).
const LIMIT: usize = 8 << 20;

/// A machine's log, which is being written.
#[derive(Debug)]
pub struct Log {
    file: File,
    register: Box<dyn Register>,
    sequence: u64,
    /// How much is written.
    length: usize,
    order: RuntimeOrder,
    tls_key: Option<[u8; 48]>,
    /// Something went wrong between register and file: what comes after would explain nothing.
    is_broken: bool,
}

/// Why something was not measured. It must not happen, then.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log cannot be written.
    #[error("cannot write the runtime log")]
    File(#[source] io::Error),
    /// The register cannot be extended.
    #[error("cannot extend RTMR3")]
    Register(#[source] io::Error),
    /// The kernel does not let it start.
    #[error("cannot let the container start")]
    Leave(#[source] io::Error),
    /// Not now.
    #[error("the event comes at the wrong time: {0}")]
    Order(&'static str),
    /// There have been too many.
    #[error("the runtime log is full: this machine can start nothing more, and a new one can")]
    Full,
    /// An earlier one failed half-way.
    #[error("the runtime log is incomplete since an earlier failure")]
    Broken,
}

impl Log {
    /// Begins a log in a file of that name, which must not be there yet.
    ///
    /// # Errors
    ///
    /// When it is there, or cannot be written.
    pub fn create(path: &Path, register: Box<dyn Register>) -> Result<Self, LogError> {
        let create = || {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(RUNTIME_LOG_MAGIC)?;
            Ok(file)
        };
        let file = create().map_err(LogError::File)?;
        let order = RuntimeOrder::default();
        let length = RUNTIME_LOG_MAGIC.len();
        Ok(Self { file, register, sequence: 0, length, order, tls_key: None, is_broken: false })
    }

    /// Measures an event. Only when this has returned may what it tells of begin.
    ///
    /// A process that was started again may ask anew for what is in the log, and cannot be again: the TLS key, the end of the boot phase.
    ///
    /// # Errors
    ///
    /// When it cannot come now, or cannot be measured.
    pub fn append(&mut self, event: &RuntimeEvent) -> Result<(), LogError> {
        if self.is_broken {
            return Err(LogError::Broken);
        }
        let is_known = match event {
            RuntimeEvent::TlsKey(key) => self.tls_key.as_ref() == Some(key),
            RuntimeEvent::BootEnd => self.order.is_running(),
            _ => false,
        };
        if is_known {
            return Ok(());
        }
        let order = self.order.after(event).map_err(LogError::Order)?;
        let record = event.record(self.sequence);
        let length = self.length.saturating_add(record.as_bytes().len());
        if length > LIMIT {
            return Err(LogError::Full);
        }
        self.is_broken = true;
        // A register without its record is explained by no log, and accepted by no verifier; the other way round would be as bad.
        self.register.extend(&record.digest()).map_err(LogError::Register)?;
        self.file.write_all(record.as_bytes()).map_err(LogError::File)?;
        if matches!(event, RuntimeEvent::ContainerStart(_)) {
            self.register.allow_start().map_err(LogError::Leave)?;
        }
        self.is_broken = false;
        self.order = order;
        self.length = length;
        self.sequence += 1;
        if let RuntimeEvent::TlsKey(key) = event {
            self.tls_key = Some(*key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::io;
    use std::rc::Rc;

    use attestation_evidence::{Mode, RuntimeEvent, RuntimeLog, extend};

    use super::{LIMIT, Log, LogError};
    use crate::Register;

    /// A register that remembers, and fails if it is told to.
    #[derive(Debug, Default, Clone)]
    struct Remembering(Rc<RefCell<Option<[u8; 48]>>>, Rc<Cell<bool>>);

    impl Register for Remembering {
        fn extend(&mut self, digest: &[u8; 48]) -> io::Result<()> {
            if self.1.get() {
                return Err(io::ErrorKind::Other.into());
            }
            let mut value = self.0.borrow_mut();
            *value = Some(extend(&value.unwrap_or([0; 48]), digest));
            Ok(())
        }

        fn allow_start(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const BOOT: [RuntimeEvent; 5] = [
        RuntimeEvent::Configuration([1; 48]),
        RuntimeEvent::Mode(Mode::Open),
        RuntimeEvent::ClientAuthority([2; 48]),
        RuntimeEvent::TlsKey([3; 48]),
        RuntimeEvent::BootEnd,
    ];
    const EXEC: RuntimeEvent = RuntimeEvent::Exec { container: [4; 32], process: [5; 48] };

    #[test]
    fn the_log_explains_the_register() {
        let folder = tempfile::tempdir().unwrap();
        let (path, register) = (folder.path().join("a/runtime.log"), Remembering::default());
        let mut log = Log::create(&path, Box::new(register.clone())).unwrap();
        for event in BOOT.iter().chain([&EXEC, &EXEC]) {
            log.append(event).unwrap();
        }
        let bytes = fs::read(&path).unwrap();
        let read = RuntimeLog::parse(&bytes).unwrap();
        assert_eq!((read.len(), read.is_booted()), (7, true));
        assert_eq!(Some(read.replay()), *register.0.borrow());
        // What there can be once only is there once, whoever asks again; another key never.
        log.append(&BOOT[3]).unwrap();
        log.append(&BOOT[4]).unwrap();
        assert!(matches!(log.append(&RuntimeEvent::TlsKey([9; 48])), Err(LogError::Order(_))));
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert!(Log::create(&path, Box::new(register)).is_err());
    }

    #[test]
    fn nothing_is_started_before_the_end_of_the_boot_phase() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(&folder.path().join("log"), Box::new(Remembering::default())).unwrap();
        for event in &BOOT {
            assert!(matches!(log.append(&EXEC), Err(LogError::Order(_))));
            log.append(event).unwrap();
        }
        log.append(&EXEC).unwrap();
    }

    #[test]
    fn a_full_log_takes_nothing_more_and_still_explains_the_register() {
        let folder = tempfile::tempdir().unwrap();
        let (path, register) = (folder.path().join("log"), Remembering::default());
        let mut log = Log::create(&path, Box::new(register.clone())).unwrap();
        for event in &BOOT {
            log.append(event).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), u64::try_from(log.length).unwrap());
        // As if there had been many.
        log.length = LIMIT - EXEC.record(log.sequence).as_bytes().len();
        log.append(&EXEC).unwrap();
        assert_eq!(log.length, LIMIT);
        for _ in 0..2 {
            assert!(matches!(log.append(&EXEC), Err(LogError::Full)));
        }
        let bytes = fs::read(&path).unwrap();
        assert_eq!(Some(RuntimeLog::parse(&bytes).unwrap().replay()), *register.0.borrow());
    }

    #[test]
    fn after_a_failure_nothing_is_measured_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let register = Remembering::default();
        let mut log = Log::create(&folder.path().join("log"), Box::new(register.clone())).unwrap();
        log.append(&BOOT[0]).unwrap();
        register.1.set(true);
        assert!(matches!(log.append(&BOOT[1]), Err(LogError::Register(_))));
        register.1.set(false);
        assert!(matches!(log.append(&BOOT[1]), Err(LogError::Broken)));
    }
}
