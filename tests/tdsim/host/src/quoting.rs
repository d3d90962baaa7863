//! The quoting enclave: turns reports into quotes that a PKI of this run certifies.
//!
//! The module asks by a serial port, which is a socket here: `Q` and a report; the answer is a length of four bytes and the quote.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use attestation_evidence::TdReport;
use attestation_test_pki::{BodyKind, Pki, Platform, Statement, TdFields};
use coffer_tdsim_rules::pack::TURN_HOSTILE;
use coffer_tdsim_rules::report::LEN;
use time::OffsetDateTime;

/// The version of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuoteVersion {
    /// Version 4.
    #[default]
    V4,
    /// Version 5, with a body of TDX 1.5.
    V5,
}

/// How long a machine may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A quoting enclave that serves one machine, in the background.
#[derive(Debug)]
pub struct Quoting {
    socket: PathBuf,
    server: JoinHandle<()>,
    module: Arc<Mutex<Option<UnixStream>>>,
    /// What `coffer verify --trust-root` takes.
    pub root: PathBuf,
    /// What `coffer verify --collateral` takes.
    pub collateral: PathBuf,
}

impl Quoting {
    /// Makes a PKI, writes its root and collateral into a folder, and begins to serve.
    ///
    /// # Errors
    /// If there is no randomness, or the folder cannot be written to.
    pub fn start(folder: &Path, version: QuoteVersion) -> anyhow::Result<Self> {
        let now = OffsetDateTime::now_utc();
        let pki = Pki::new(now)?;
        let platform = pki.platform(&Default::default())?;
        let bundle = pki.bundle(&Statement::new(now))?;
        let [root, collateral] = ["root.pem", "collateral.json"].map(|name| folder.join(name));
        fs::write(&root, pki.root_pem()).context("cannot write the root")?;
        fs::write(&collateral, bundle.to_json()).context("cannot write the collateral")?;
        // As it may be one day: the platform has fallen behind.
        let mut later = Statement::new(now);
        later.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] = u16::MAX.into();
        fs::write(folder.join("collateral-later.json"), pki.bundle(&later)?.to_json())
            .context("cannot write the later collateral")?;
        // A folder of its own: the address of a unix socket has at most 107 bytes.
        let place = tempfile::Builder::new()
            .prefix("coffer-")
            .tempdir()
            .context("cannot make a folder for the quoting enclave")?;
        let socket = place.path().join("quoting");
        let listener = UnixListener::bind(&socket).context("cannot listen for the module")?;
        let module = Arc::new(Mutex::new(None));
        let arrived = Arc::clone(&module);
        let server = thread::spawn(move || {
            let _place = place;
            // One machine; it ends when that does.
            if let Ok(mut stream) = accept(&listener) {
                *arrived.lock().unwrap_or_else(PoisonError::into_inner) = stream.try_clone().ok();
                while serve(&mut stream, &platform, version).is_some() {}
            }
        });
        Ok(Self { socket, server, module, root, collateral })
    }

    /// Tells a host that was to be friendly first (`Flags::FRIENDLY_FIRST` of the pack). No quote may be under way.
    ///
    /// # Errors
    /// If the machine is not there.
    pub fn turn_hostile(&self) -> io::Result<()> {
        match &mut *self.module.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(stream) => stream.write_all(&[TURN_HOSTILE]),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Returns once the machine has ended, or none has come.
    pub fn wait(self) {
        // A server that fell over serves no longer, either.
        let _ended = self.server.join();
    }

    /// The serial port by which the module asks.
    pub(crate) fn arguments(&self) -> anyhow::Result<Vec<String>> {
        let socket = self.socket.to_str().context("a path that is not text")?;
        let backend = format!("socket,id=quoting,path={}", socket.replace(',', ",,"));
        Ok(["-chardev", &backend, "-serial", "chardev:quoting"].map(str::to_owned).to_vec())
    }
}

/// Waits for the machine, but not for ever.
fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    let start = Instant::now();
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// One request; `None` at the end.
fn serve(stream: &mut UnixStream, platform: &Platform, version: QuoteVersion) -> Option<()> {
    let mut request = [0; 1 + LEN];
    stream.read_exact(&mut request).ok()?;
    let quote = TdReport::parse(&request[1..]).ok().and_then(|report| quote(platform, version, &report));
    let quote = quote.unwrap_or_default();
    stream.write_all(&u32::try_from(quote.len()).ok()?.to_le_bytes()).ok()?;
    stream.write_all(&quote).ok()
}

fn quote(platform: &Platform, version: QuoteVersion, report: &TdReport) -> Option<Vec<u8>> {
    let kind = match version {
        QuoteVersion::V4 => BodyKind::V4,
        QuoteVersion::V5 => BodyKind::V5Td15,
    };
    let fields = TdFields {
        tee_tcb_svn: *report.tee_tcb_svn,
        mr_seam: *report.mr_seam,
        mr_signer_seam: *report.mr_signer_seam,
        td_attributes: report.td_attributes,
        xfam: report.xfam,
        mr_td: *report.mr_td,
        mr_config_id: *report.mr_config_id,
        mr_owner: *report.mr_owner,
        mr_owner_config: *report.mr_owner_config,
        rtmr: report.registers(),
        report_data: *report.report_data,
        tee_tcb_svn_2: *report.tee_tcb_svn,
        mr_service_td: *report.service_td_hash,
        ..TdFields::default()
    };
    Some(platform.quote(kind, &fields).ok()?.to_bytes())
}
