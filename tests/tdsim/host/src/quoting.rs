//! The quoting enclave: turns reports into quotes that a PKI of this run certifies.
//!
//! The module asks by a serial port, which is a socket here: `Q` and a report; the answer is a length of four bytes and the quote.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context as _;
use attestation_evidence::TdReport;
use attestation_test_pki::{BodyKind, Pki, Platform, Statement, TdFields};
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

/// A quoting enclave that serves one machine.
#[derive(Debug)]
pub struct Quoting {
    socket: PathBuf,
    /// What `coffer verify --trust-root` takes.
    pub root: PathBuf,
    /// What `coffer verify --collateral` takes.
    pub collateral: PathBuf,
}

impl Quoting {
    /// Makes a PKI, writes its root and collateral into a folder, and serves in the background.
    ///
    /// # Errors
    /// If there is no randomness, or the folder cannot be written to.
    pub fn start(folder: &Path, version: QuoteVersion) -> anyhow::Result<Self> {
        let now = OffsetDateTime::now_utc();
        let pki = Pki::new(now)?;
        let platform = pki.platform(&Default::default())?;
        let bundle = pki.bundle(&Statement::new(now))?;
        let quoting = Self {
            socket: folder.join("quoting.socket"),
            root: folder.join("root.pem"),
            collateral: folder.join("collateral.json"),
        };
        fs::write(&quoting.root, pki.root_pem()).context("cannot write the root")?;
        fs::write(&quoting.collateral, bundle.to_json()).context("cannot write the collateral")?;
        let listener = UnixListener::bind(&quoting.socket).context("cannot listen for the module")?;
        thread::spawn(move || {
            // One machine; it ends when that does.
            if let Ok((mut stream, _)) = listener.accept() {
                while serve(&mut stream, &platform, version).is_some() {}
            }
        });
        Ok(quoting)
    }

    /// The serial port by which the module asks.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut backend = OsString::from("socket,id=quoting,path=");
        backend.push(&self.socket);
        ["-chardev".into(), backend, "-serial".into(), "chardev:quoting".into()].to_vec()
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
