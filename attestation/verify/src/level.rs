//! How versions stand: which level of Intel's documents a platform, a TDX module and a quoting enclave reach.
//!
//! A level is reached when every version is at least the level's, and the highest level that is reached counts. Levels are put in order
//! here, as Intel's quote verification library does, so that nothing depends on the order of a document.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use attestation_evidence::{EnclaveReport, TdBody};
use time::OffsetDateTime;

use crate::Platform;
use crate::check::{Pass, StepResult};
use crate::collateral::{Hex, QeIdentity, SvnLevel, TcbInfo, TcbInfoLevel};
use crate::tcb::{ComponentStatus, TcbStatus};

/// How something stands.
#[derive(Clone, Debug)]
pub struct Grade<S> {
    pub status: S,
    pub date: OffsetDateTime,
    pub advisories: BTreeSet<String>,
}

/// How something stood when the domain was made, and stands now if that can be another thing (TDX 1.5).
#[derive(Clone, Debug)]
pub struct Grades<S> {
    pub at_launch: Grade<S>,
    pub now: Option<Grade<S>>,
}

impl<S> Grades<S> {
    /// Grades both versions of a domain.
    fn of(body: &TdBody<'_>, grade: impl Fn(&[u8; 16]) -> Result<Grade<S>, String>) -> Result<Self, String> {
        let at_launch = grade(body.tee_tcb_svn)?;
        let now = body.tee_tcb_svn_2.filter(|now| *now != body.tee_tcb_svn).map(grade).transpose();
        let now = now.map_err(|error| format!("as the platform is now (TEE_TCB_SVN_2): {error}"))?;
        Ok(Self { at_launch, now })
    }

    /// All that there is.
    pub fn iter(&self) -> impl Iterator<Item = &Grade<S>> {
        std::iter::once(&self.at_launch).chain(&self.now)
    }
}

/// The quoting enclave's, by its ISVSVN.
pub fn quoting_enclave(
    report: &EnclaveReport<'_>,
    identity: &QeIdentity<'_>,
) -> StepResult<Grade<ComponentStatus>> {
    let grade = by_svn(report.isv_svn, &identity.tcb_levels, "the quoting enclave")?;
    let line = format!("version {} of the quoting enclave is {:?}", report.isv_svn, grade.status);
    Ok(Pass(grade, line))
}

/// The platform's, by the versions in its certificate and in the quote.
pub fn platform(platform: &Platform, body: &TdBody<'_>, info: &TcbInfo<'_>) -> StepResult<Grades<TcbStatus>> {
    // Type 0 is the comparison below, component by component, and the only one that is defined.
    if info.tcb_type != 0 {
        return Err(format!(
            "the TCB information's levels are compared in a way that is not known ({})",
            info.tcb_type
        ));
    }
    let mut levels: Vec<&TcbInfoLevel<'_>> = info.tcb_levels.iter().collect();
    levels.sort_by_key(|level| Reverse(level.tcb));
    let grades = Grades::of(body, |tee_tcb_svn| {
        let level = levels.iter().find(|level| is_reached(level, platform, tee_tcb_svn));
        let level = level.ok_or("the platform's versions reach no TCB level that Intel knows")?;
        if level.tcb_status == TcbStatus::Revoked {
            return Err("the platform's TCB level is revoked".to_owned());
        }
        Ok(Grade { status: level.tcb_status, date: level.tcb_date, advisories: owned(&level.advisories) })
    })?;
    let line = format!("the platform is {}", grades.at_launch.status.as_str());
    Ok(Pass(grades, line))
}

fn is_reached(level: &TcbInfoLevel<'_>, platform: &Platform, tee_tcb_svn: &[u8; 16]) -> bool {
    // The first two are the module's, which has levels of its own since it has a major version.
    let skipped = if tee_tcb_svn[1] > 0 { 2 } else { 0 };
    let sgx = platform.cpu_svn.iter().zip(&level.tcb.sgx).all(|(version, wanted)| *version >= wanted.svn);
    let tdx =
        tee_tcb_svn.iter().zip(&level.tcb.tdx).skip(skipped).all(|(version, wanted)| *version >= wanted.svn);
    sgx && tdx && platform.pce_svn >= level.tcb.pcesvn
}

/// The TDX module's, which must also be signed by whom Intel says.
pub fn tdx_module(body: &TdBody<'_>, info: &TcbInfo<'_>) -> StepResult<Grades<ComponentStatus>> {
    let grades = Grades::of(body, |tee_tcb_svn| {
        let [minor, major] = [tee_tcb_svn[0], tee_tcb_svn[1]];
        if major == 0 {
            // A module of before there were major versions stands as its platform does.
            let module = &info.tdx_module;
            signed_by(body, &module.mrsigner, &module.attributes, &module.attributes_mask)?;
            let date = info.tcb_levels.iter().map(|level| level.tcb_date).max().unwrap_or(info.issue_date);
            return Ok(Grade { status: ComponentStatus::UpToDate, date, advisories: BTreeSet::new() });
        }
        let id = format!("TDX_{major:02X}");
        let mut modules =
            info.tdx_module_identities.iter().filter(|module| module.id.eq_ignore_ascii_case(&id));
        let (Some(module), None) = (modules.next(), modules.next()) else {
            return Err(format!("Intel does not know of exactly one TDX module `{id}`"));
        };
        signed_by(body, &module.mrsigner, &module.attributes, &module.attributes_mask)?;
        by_svn(minor.into(), &module.tcb_levels, "the TDX module")
    })?;
    let [minor, major] = [body.tee_tcb_svn[0], body.tee_tcb_svn[1]];
    let line = match major {
        0 => "the TDX module is Intel's, and its version is part of the platform's TCB level".to_owned(),
        _ => format!("TDX module {major}, version {minor}, is {:?}", grades.at_launch.status),
    };
    Ok(Pass(grades, line))
}

fn signed_by(body: &TdBody<'_>, signer: &Hex<48>, attributes: &Hex<8>, mask: &Hex<8>) -> Result<(), String> {
    if signer.0 != *body.mr_signer_seam {
        Err("the TDX module's signer (MRSIGNERSEAM) is not Intel".to_owned())
    } else if !attributes.is_masked(body.seam_attributes, mask) {
        Err("the TDX module's attributes (SEAMATTRIBUTES) are not those that Intel states".to_owned())
    } else {
        Ok(())
    }
}

fn by_svn(svn: u16, levels: &[SvnLevel<'_>], what: &str) -> Result<Grade<ComponentStatus>, String> {
    let level = levels.iter().filter(|level| level.tcb.isvsvn <= svn).max_by_key(|level| level.tcb.isvsvn);
    let level =
        level.ok_or_else(|| format!("{what}'s version {svn} reaches no TCB level that Intel knows"))?;
    if level.tcb_status == ComponentStatus::Revoked {
        return Err(format!("{what}'s TCB level is revoked"));
    }
    Ok(Grade { status: level.tcb_status, date: level.tcb_date, advisories: owned(&level.advisories) })
}

fn owned(advisories: &[Cow<'_, str>]) -> BTreeSet<String> {
    advisories.iter().map(|advisory| advisory.as_ref().to_owned()).collect()
}
