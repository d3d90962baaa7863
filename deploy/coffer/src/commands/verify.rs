//! `coffer verify`: is this evidence genuine, and is it wanted? From files, at a given time, and without a network where collateral is one of
//! the files.
//!
//! The exit status is 0 if every check holds that applies, 1 if one does not, and 2 if there was nothing to judge: a file that cannot be
//! read, or an argument that makes no sense.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use attestation_evidence::report_data;
use attestation_policy::{Circumstances, Judgement, Policy, judge};
use attestation_verify::{
    Check, CheckName, Collateral, Established, Evidence, Platform, Tcb, TrustRoot, Verification,
    subject_public_key_info, verify,
};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::collateral;
use crate::output::Output;

/// The largest quote, policy or key; Linux gives quotes 16 KiB.
const SMALL_FILE_LIMIT: u64 = 1 << 20;
/// The largest log or bundle of collateral.
const FILE_LIMIT: u64 = 16 << 20;
/// The shortest nonce that nobody can guess or run into.
const NONCE_MINIMUM: usize = 16;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The quote.
    #[arg(long, value_name = "FILE")]
    quote: PathBuf,
    /// What Intel says about the platform: a bundle in JSON. Without it, Intel's service is asked, once a day.
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// A service to ask instead of Intel's: a PCCS.
    #[arg(long, value_name = "URL", conflicts_with = "collateral")]
    collateral_service: Option<String>,
    /// When to judge from (RFC 3339); now if it is not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<OffsetDateTime>,
    /// The firmware's event log (CCEL), which must explain RTMR0 to RTMR2.
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
    /// The runtime's log, which must explain RTMR3.
    #[arg(long, value_name = "FILE")]
    runtime_log: Option<PathBuf>,
    /// The nonce that the quote was asked for with: 16 to 64 bytes, or 32 with --tls-key.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Bytes>,
    /// When the nonce was made (RFC 3339), for policies that limit the quote's age.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "nonce")]
    nonce_made: Option<OffsetDateTime>,
    /// The TLS key that the quote must be bound to: a certificate or public key in PEM. Without a nonce, the quote is one that
    /// was made for the machine's certificate.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// What is wanted (TOML). Without it: an up-to-date platform, no debugging, and whatever runs there.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The certificate (PEM) to trust instead of Intel's root: a test PKI's. What hangs on it is about no hardware.
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
}

/// Bytes that came in hexadecimal.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

/// What a program gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    /// `accepted` or `refused`.
    verdict: &'static str,
    /// The same line that people get.
    reason: String,
    at: String,
    /// `intel`, or `other` for one that was given.
    trust_root: &'static str,
    policy: Option<&'a Path>,
    tcb: Option<&'a Tcb>,
    platform: Option<&'a Platform>,
    established: Option<&'a Established>,
    checks: &'a [Check],
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let quote = read(&arguments.quote, SMALL_FILE_LIMIT)?;
    let event_log = arguments.event_log.as_deref().map(|path| read(path, FILE_LIMIT)).transpose()?;
    let runtime_log = arguments.runtime_log.as_deref().map(|path| read(path, FILE_LIMIT)).transpose()?;
    let policy = arguments.policy.as_deref().map(read_policy).transpose()?.unwrap_or_default();
    let root = arguments.trust_root.as_deref().map(read_trust_root).transpose()?;
    let root = root.unwrap_or_else(TrustRoot::intel);
    let at = arguments.at.unwrap_or_else(OffsetDateTime::now_utc);
    let collateral = match &arguments.collateral {
        Some(path) => {
            Collateral::from_json(&read(path, FILE_LIMIT)?).with_context(|| path.display().to_string())?
        }
        None => collateral::fetch(&quote, arguments.collateral_service.as_deref(), at)
            .with_context(|| arguments.quote.display().to_string())?,
    };
    let expected = expected_report_data(arguments)?;
    let circumstances =
        Circumstances { has_nonce: arguments.nonce.is_some(), nonce_age: nonce_age(arguments, at)? };

    let evidence = Evidence {
        quote: &quote,
        event_log: event_log.as_deref(),
        runtime_log: runtime_log.as_deref(),
        report_data: expected.as_ref(),
    };
    let verification = verify(&evidence, &collateral, &root, at);
    let judgement = judge(&verification, &policy, &circumstances);
    let report = report(arguments, &verification, &judgement, &root, at);
    output.print(&text(arguments, &judgement, &root), &report)?;
    Ok(if judgement.is_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report<'a>(
    arguments: &'a Arguments,
    verification: &'a Verification,
    judgement: &'a Judgement,
    root: &TrustRoot,
    at: OffsetDateTime,
) -> Report<'a> {
    Report {
        verdict: if judgement.is_accepted() { "accepted" } else { "refused" },
        reason: judgement.verdict(),
        at: at.format(&Rfc3339).unwrap_or_default(),
        trust_root: if root.is_intel() { "intel" } else { "other" },
        policy: arguments.policy.as_deref(),
        tcb: verification.tcb.as_ref(),
        platform: verification.platform.as_ref(),
        established: verification.established.as_ref(),
        checks: &judgement.checks,
    }
}

/// One line a check and the verdict; of a file that is no quote, which leaves nothing to check, the verdict alone.
fn text(arguments: &Arguments, judgement: &Judgement, root: &TrustRoot) -> String {
    let verdict = judgement.verdict();
    if let Some(check) = judgement.first_failure().filter(|check| check.name == CheckName::QuoteFormat) {
        return format!("refused: {}: {}", arguments.quote.display(), check.reason);
    }
    let mut lines: Vec<String> = judgement.checks.iter().map(line).collect();
    if !root.is_intel() {
        lines.push("the trust root is not Intel's: this says nothing about hardware".to_owned());
    }
    lines.push(verdict);
    lines.join("\n")
}

fn line(check: &Check) -> String {
    let outcome = match check.outcome {
        attestation_verify::Outcome::Pass => "pass",
        attestation_verify::Outcome::Fail => "FAIL",
        attestation_verify::Outcome::NotApplicable => "-",
    };
    format!("{outcome:4} {:22} {}", check.name, check.reason)
}

/// What REPORTDATA must be, by nonce and key.
fn expected_report_data(arguments: &Arguments) -> anyhow::Result<Option<[u8; 64]>> {
    let key = arguments.tls_key.as_deref().map(read_key).transpose()?;
    Ok(match (&arguments.nonce, key) {
        (None, None) => None,
        (None, Some(key)) => Some(report_data::certificate(&key)),
        (Some(Bytes(nonce)), None) => Some(
            report_data::plain(nonce).context("a nonce of zeros is no nonce: it is what nobody asked for")?,
        ),
        (Some(Bytes(nonce)), Some(key)) => {
            let nonce = nonce.as_slice().try_into().ok();
            let nonce = nonce.context("with --tls-key, the nonce must be 32 bytes (64 digits)")?;
            Some(report_data::fresh(nonce, &key))
        }
    })
}

fn nonce_age(arguments: &Arguments, at: OffsetDateTime) -> anyhow::Result<Option<Duration>> {
    let age = arguments.nonce_made.map(|made| Duration::try_from(at - made));
    age.transpose().ok().context("--nonce-made is later than the time of the verification")
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
fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
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

fn nonce(text: &str) -> Result<Bytes, String> {
    let bytes = hex::decode(text).map_err(|_| "it is not hexadecimal".to_owned())?;
    if (NONCE_MINIMUM..=64).contains(&bytes.len()) {
        Ok(Bytes(bytes))
    } else {
        Err(format!("it has {} bytes, a nonce has 16 to 64", bytes.len()))
    }
}
