//! Judging evidence: what `verify`, `attest` and `connect` have in common. [`Judging`] are the options that say by what to judge, [`Held`] is the
//! evidence, [`Asked`] what it was asked for with, which [`Asking`] are the options for, and [`Verdict`] is what came of it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use attestation_evidence::report_data;
use attestation_policy::{BoundTo, Circumstances, Judgement, Policy, judge, judge_plain};
use attestation_verify::{
    Check, CheckName, Collateral, Established, Evidence, Outcome, Platform, Tcb, TrustRoot, Verification,
    subject_public_key_info, verify,
};
use serde::Serialize;
use sha2::{Digest as _, Sha384};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::collateral;
use crate::connection::Connection;

/// The largest quote, policy or key; Linux gives quotes 16 KiB.
pub const SMALL_FILE_LIMIT: u64 = 1 << 20;
/// The largest log, bundle of collateral or file of evidence.
pub const FILE_LIMIT: u64 = 16 << 20;
/// The shortest nonce that nobody can guess or run into.
const NONCE_MINIMUM: usize = 16;

/// By what to judge.
#[derive(Clone, Debug, clap::Args)]
pub struct Judging {
    /// What Intel says about the platform: a bundle in JSON. Without it, Intel's service is asked, once a day.
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// A service to ask instead of Intel's: a PCCS.
    #[arg(long, value_name = "URL", conflicts_with = "collateral")]
    collateral_service: Option<String>,
    /// When to judge from (RFC 3339); now if it is not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<OffsetDateTime>,
    /// What is wanted (TOML). Without it: an up-to-date platform, no debugging, and whatever runs there.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The certificate (PEM) to trust instead of Intel's root: a test PKI's. What hangs on it is about no hardware.
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
}

/// What a quote in a file was asked for with.
#[derive(Debug, clap::Args)]
pub struct Asking {
    /// The nonce that the quote was asked for with: 16 to 64 bytes, 32 with --tls-key, at most 64 with --container.
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    nonce: Option<Bytes>,
    /// When the nonce was made (RFC 3339), for policies that limit the quote's age.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "nonce")]
    nonce_made: Option<OffsetDateTime>,
    /// The TLS key that the quote must be bound to: a certificate or public key in PEM. Without a nonce, the quote is one that
    /// was made for the machine's certificate.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The id of the container that asked for the quote, with the nonce for its data: 64 digits.
    #[arg(long, value_name = "ID", value_parser = container, requires = "nonce", conflicts_with = "tls_key")]
    container: Option<[u8; 32]>,
}

/// What REPORTDATA must be, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub report_data: Option<[u8; 64]>,
    pub circumstances: Circumstances,
    /// Whether the machine is one of Coffer's, whose runtime has a log.
    pub needs_runtime_log: bool,
}

/// What a machine has shown.
#[derive(Debug)]
pub struct Held {
    /// Where it is from, for messages.
    pub source: String,
    /// None if the machine says that it is no trust domain.
    pub quote: Option<Vec<u8>>,
    pub event_log: Option<Vec<u8>>,
    pub runtime_log: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Verdict {
    pub at: OffsetDateTime,
    pub verification: Verification,
    pub judgement: Judgement,
    is_intel: bool,
    source: String,
    policy: Option<PathBuf>,
}

/// Bytes that came in hexadecimal.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

/// What a program gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// `accepted` or `refused`.
    pub verdict: &'static str,
    /// The same line that people get.
    pub reason: String,
    pub at: String,
    /// `intel`, or `other` for one that was given.
    pub trust_root: &'static str,
    pub policy: Option<&'a Path>,
    pub tcb: Option<&'a Tcb>,
    pub platform: Option<&'a Platform>,
    pub established: Option<&'a Established>,
    pub checks: &'a [Check],
}

impl Judging {
    /// Since when it is.
    pub fn now(&self) -> OffsetDateTime {
        self.at.unwrap_or_else(OffsetDateTime::now_utc)
    }

    /// Judges.
    pub fn judge(&self, held: &Held, asked: &Asked) -> anyhow::Result<Verdict> {
        let mut policy = self.policy.as_deref().map(read_policy).transpose()?.unwrap_or_default();
        policy.logs.runtime_log |= asked.needs_runtime_log;
        let root = self.trust_root.as_deref().map(read_trust_root).transpose()?;
        let root = root.unwrap_or_else(TrustRoot::intel);
        let at = self.now();
        let (verification, judgement) = match &held.quote {
            None => {
                let nothing =
                    Verification { checks: Vec::new(), tcb: None, platform: None, established: None };
                (nothing, judge_plain(&policy))
            }
            Some(quote) => {
                let evidence = Evidence {
                    quote,
                    event_log: held.event_log.as_deref(),
                    runtime_log: held.runtime_log.as_deref(),
                    report_data: asked.report_data.as_ref(),
                };
                let collateral = self.collateral(quote, at).with_context(|| held.source.clone())?;
                let verification = verify(&evidence, &collateral, &root, at);
                let judgement = judge(&verification, &policy, &asked.circumstances);
                (verification, judgement)
            }
        };
        Ok(Verdict {
            at,
            verification,
            judgement,
            is_intel: root.is_intel(),
            source: held.source.clone(),
            policy: self.policy.clone(),
        })
    }

    /// The same as options, with copies of the files in a connection's folder: whatever becomes of those that were given.
    pub fn copied(&self, connection: &Connection) -> anyhow::Result<Vec<String>> {
        let mut options = Vec::new();
        let files = [
            ("--policy", "policy.toml", &self.policy),
            ("--trust-root", "trust-root.pem", &self.trust_root),
            ("--collateral", "collateral.json", &self.collateral),
        ];
        for (option, name, path) in files {
            if let Some(path) = path {
                connection.write(name, &read(path, FILE_LIMIT)?)?;
                options.extend([option.to_owned(), connection.path(name).display().to_string()]);
            }
        }
        if let Some(address) = &self.collateral_service {
            options.extend(["--collateral-service".to_owned(), address.clone()]);
        }
        if let Some(at) = self.at {
            options.extend(["--at".to_owned(), at.format(&Rfc3339)?]);
        }
        Ok(options)
    }

    fn collateral(&self, quote: &[u8], at: OffsetDateTime) -> anyhow::Result<Collateral> {
        match &self.collateral {
            Some(path) => {
                Collateral::from_json(&read(path, FILE_LIMIT)?).with_context(|| path.display().to_string())
            }
            None => collateral::fetch(quote, self.collateral_service.as_deref(), at),
        }
    }
}

impl Asking {
    /// What REPORTDATA must be, by nonce, key and container.
    pub fn asked(&self, at: OffsetDateTime) -> anyhow::Result<Asked> {
        let key = self.tls_key.as_deref().map(read_key).transpose()?;
        let nonce = self.nonce.as_ref().map(|Bytes(nonce)| nonce.as_slice());
        let report_data = match (nonce, &key, &self.container) {
            (None, None, _) => None,
            (None, Some(key), _) => Some(report_data::certificate(key)),
            (Some(data), _, Some(id)) => {
                Some(report_data::container(id, data).context("a container's data is at most 64 bytes")?)
            }
            (Some(nonce), None, None) => {
                ensure!((NONCE_MINIMUM..=64).contains(&nonce.len()), "a nonce has 16 to 64 bytes");
                let plain = report_data::plain(nonce);
                Some(plain.context("a nonce of zeros is no nonce: it is what nobody asked for")?)
            }
            (Some(nonce), Some(key), None) => {
                let nonce = nonce.try_into().ok();
                let nonce = nonce.context("with --tls-key, the nonce must be 32 bytes (64 digits)")?;
                Some(report_data::fresh(nonce, key))
            }
        };
        let bound_to = match (self.container, &key) {
            (Some(id), _) => Some(BoundTo::Container(id)),
            (None, Some(key)) => Some(BoundTo::TlsKey(Sha384::digest(key).into())),
            (None, None) => None,
        };
        let has_nonce = nonce.is_some();
        let circumstances = Circumstances { has_nonce, nonce_age: self.nonce_age(at)?, bound_to };
        Ok(Asked { report_data, circumstances, needs_runtime_log: self.container.is_some() })
    }

    /// Whether any was given.
    pub fn is_any(&self) -> bool {
        self.nonce.is_some() || self.tls_key.is_some() || self.container.is_some()
    }

    fn nonce_age(&self, at: OffsetDateTime) -> anyhow::Result<Option<Duration>> {
        let age = self.nonce_made.map(|made| Duration::try_from(at - made));
        age.transpose().ok().context("--nonce-made is later than the time of the verification")
    }
}

impl Verdict {
    /// What a program gets.
    pub fn report(&self) -> Report<'_> {
        Report {
            verdict: if self.judgement.is_accepted() { "accepted" } else { "refused" },
            reason: self.judgement.verdict(),
            at: self.at.format(&Rfc3339).unwrap_or_default(),
            trust_root: if self.is_intel { "intel" } else { "other" },
            policy: self.policy.as_deref(),
            tcb: self.verification.tcb.as_ref(),
            platform: self.verification.platform.as_ref(),
            established: self.verification.established.as_ref(),
            checks: &self.judgement.checks,
        }
    }

    /// Of a file that is no quote, which leaves nothing to check, all that there is to say.
    pub fn is_no_quote(&self) -> Option<String> {
        let check = self.judgement.first_failure().filter(|check| check.name == CheckName::QuoteFormat)?;
        Some(format!("refused: {}: {}", self.source, check.reason))
    }

    /// A line a check.
    pub fn lines(&self) -> Vec<String> {
        self.judgement.checks.iter().map(line).collect()
    }

    /// What everybody must know who reads further.
    pub fn warning(&self) -> Option<&'static str> {
        if self.judgement.is_plain {
            return Some("it is not a trust domain: what it says of itself is proven by nothing");
        }
        (!self.is_intel).then_some("the trust root is not Intel's: this says nothing about hardware")
    }

    pub fn exit_code(&self) -> ExitCode {
        if self.judgement.is_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn line(check: &Check) -> String {
    format!("{:4} {:22} {}", outcome(check), check.name, check.reason)
}

/// In a word.
pub fn outcome(check: &Check) -> &'static str {
    match check.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::NotApplicable => "-",
    }
}

fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let text = String::from_utf8(read(path, SMALL_FILE_LIMIT)?);
    let text = text.with_context(|| format!("{}: it is not text", path.display()))?;
    Policy::from_toml(&text).with_context(|| path.display().to_string())
}

fn read_trust_root(path: &Path) -> anyhow::Result<TrustRoot> {
    TrustRoot::from_pem(&read(path, SMALL_FILE_LIMIT)?).with_context(|| path.display().to_string())
}

/// A SubjectPublicKeyInfo, out of a certificate or by itself.
fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let pem = pem::parse(read(path, SMALL_FILE_LIMIT)?);
    let pem = pem.with_context(|| format!("{}: it is not PEM", path.display()))?;
    match pem.tag() {
        "PUBLIC KEY" => Ok(pem.into_contents()),
        "CERTIFICATE" => match subject_public_key_info(pem.contents()) {
            Ok(key) => Ok(key),
            Err(error) => bail!("{}: it is not a certificate: {error}", path.display()),
        },
        other => bail!("{}: it is a {other}, not a certificate or public key", path.display()),
    }
}

/// All of a file, unless it is larger than anything that it can be.
pub fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        u64::try_from(bytes.len()).is_ok_and(|length| length <= limit),
        "{} is larger than {limit} bytes",
        path.display()
    );
    Ok(bytes)
}

fn time(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("it is not a time as of RFC 3339: {error}"))
}

fn bytes(text: &str) -> Result<Bytes, String> {
    hex::decode(text).map(Bytes).map_err(|_| "it is not hexadecimal".to_owned())
}

fn container(text: &str) -> Result<[u8; 32], String> {
    let id = hex::decode(text).ok().and_then(|id| id.try_into().ok());
    id.ok_or_else(|| "a container's id has 64 hexadecimal digits (docker ps --no-trunc)".to_owned())
}
