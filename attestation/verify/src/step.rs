//! [`verify`]: the steps, in their order. What each of them does is in the module of its subject; this file says what needs what.

use attestation_evidence::{INTEL_QE_VENDOR, Quote};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::check::{CheckName, Checks, Pass, Step, StepResult, both, of};
use crate::collateral::{Collateral, Document, QeIdentity, TcbInfo};
use crate::level::{Grade, Grades};
use crate::measurements::{self, Established};
use crate::tcb::{ComponentStatus, Tcb, TcbStatus};
use crate::x509::{Certificate, Path, Paths, PublicKey, RevocationList, TrustRoot};
use crate::{Evidence, Platform, Verification, enclave, level};

/// Takes every step of the verification of `evidence` at the time `at`.
#[must_use]
pub fn verify(
    evidence: &Evidence<'_>,
    collateral: &Collateral,
    root: &TrustRoot,
    at: OffsetDateTime,
) -> Verification {
    let mut checks = Checks::default();
    let checks = &mut checks;
    let paths = Paths::new(root, u64::try_from(at.unix_timestamp()).unwrap_or(0));

    let quote = checks.step(CheckName::QuoteFormat, Ok(()), |()| format(evidence.quote));
    let _ = checks.step(CheckName::QuoteVendor, of(&quote), vendor);
    let root_crl = checks.step(CheckName::RootCrl, Ok(()), |()| root_crl(collateral, &paths));
    let chain = of(&quote).map(|quote| Path::from_pem(quote.signature.certificates));
    let (platform, pck_crl) = platform(checks, &chain, &root_crl, collateral, &paths);

    let signers = Signers { paths: &paths, root_crl: of(&root_crl), at };
    let tcb_info: Step<TcbInfo<'_>> = signers.document(
        checks,
        [CheckName::TcbInfoChain, CheckName::TcbInfoSignature, CheckName::TcbInfo],
        (&collateral.tcb_info_issuers, &collateral.tcb_info, &collateral.tcb_info_signature),
    );
    let identity: Step<QeIdentity<'_>> = signers.document(
        checks,
        [CheckName::QeIdentityChain, CheckName::QeIdentitySignature, CheckName::QeIdentity],
        (&collateral.qe_identity_issuers, &collateral.qe_identity, &collateral.qe_identity_signature),
    );

    let grades = Standing {
        qe: quoting_enclave(checks, &quote, &platform, &identity),
        platform: platform_standing(checks, &quote, &platform, &tcb_info),
        module: checks.step(CheckName::TdxModule, both(of(&quote), of(&tcb_info)), |(quote, info)| {
            level::tdx_module(&quote.body, info)
        }),
    };
    let _ = checks.step(CheckName::QuoteSignature, of(&quote), quote_signature);
    let _ = checks.step(CheckName::TdReserved, of(&quote), measurements::reserved);
    let is_genuine = !checks.has_failed();

    let has_event_log = measurements::event_log(checks, &quote, evidence.event_log);
    let runtime = measurements::runtime_log(checks, &quote, evidence.runtime_log);
    report_data(checks, &quote, evidence.report_data);

    let tcb = both(both(root_crl, pck_crl), both(tcb_info, identity))
        .ok()
        .filter(|_| is_genuine)
        .and_then(|(lists, (info, identity))| grades.converge([lists.0, lists.1], &info, &identity));
    let established = quote.ok().filter(|_| is_genuine);
    Verification {
        tcb,
        platform: platform.ok().map(|(_, platform)| platform),
        established: established.map(|quote| Established::of(&quote, has_event_log, runtime)),
        checks: std::mem::take(checks).into_inner(),
    }
}

fn format(bytes: &[u8]) -> StepResult<Quote<'_>> {
    let quote = Quote::parse(bytes).map_err(|error| format!("this is not a TDX quote: {error}"))?;
    let line = format!("a TDX quote of version {}, with {} bytes of padding", quote.version, quote.padding);
    Ok(Pass(quote, line))
}

fn vendor(quote: &Quote<'_>) -> StepResult<()> {
    if *quote.vendor == INTEL_QE_VENDOR {
        Ok(Pass((), "the quoting enclave's vendor is Intel".to_owned()))
    } else {
        Err(format!("the quoting enclave's vendor is {}, which is not Intel", hex::encode(quote.vendor)))
    }
}

fn root_crl<'a>(collateral: &'a Collateral, paths: &Paths<'_>) -> StepResult<RevocationList<'a>> {
    let list = RevocationList::parse(&collateral.root_crl)?;
    list.is_current(paths.root(), paths.at())?;
    Ok(Pass(list, "the root's revocation list is genuine and current".to_owned()))
}

/// The platform's certificate: its chain, its revocation and what it says; and the list on which it is not.
fn platform<'a>(
    checks: &mut Checks,
    chain: &'a Step<Result<Path, String>>,
    root_crl: &Step<RevocationList<'_>>,
    collateral: &'a Collateral,
    paths: &Paths<'_>,
) -> (Step<(Certificate<'a>, Platform)>, Step<RevocationList<'a>>) {
    let pck = checks.step(CheckName::PckChain, of(chain), |chain| {
        let chain = chain.as_ref().map_err(Clone::clone)?;
        if collateral.pck_chain.as_ref().is_some_and(|other| other != chain) {
            return Err("the bundle is about another platform's certificate than the quote's".to_owned());
        }
        let (leaf, authority) = paths.pck(chain)?;
        let name = authority.common_name().unwrap_or_default();
        Ok(Pass(
            (leaf, authority),
            format!("the platform's certificate hangs on the trusted root, by `{name}`"),
        ))
    });
    let revocation = both(of(&pck), of(root_crl));
    let pck_crl = checks.step(CheckName::PckRevocation, revocation, |((leaf, authority), root_crl)| {
        root_crl.check(authority).map_err(|error| format!("the platform's authority: {error}"))?;
        let issuers = collateral.pck_crl_issuers.as_ref().map_err(Clone::clone)?;
        if paths.pck_authority(issuers)?.der != authority.der {
            return Err(
                "the platforms' revocation list comes with another authority than the quote's".to_owned()
            );
        }
        let list = RevocationList::parse(&collateral.pck_crl)?;
        list.is_current(authority, paths.at())?;
        list.check(leaf).map_err(|error| format!("the platform's certificate: {error}"))?;
        Ok(Pass(list, "neither the platform's certificate nor its authority's is revoked".to_owned()))
    });
    let platform = checks.step(CheckName::PckPlatform, of(&pck), |(leaf, _)| {
        let extension =
            leaf.sgx_extensions.ok_or("the platform's certificate does not say which platform it is")?;
        let platform = Platform::parse(extension)?;
        let line = format!("PPID {}, FMSPC {}", hex::encode(platform.ppid), hex::encode(platform.fmspc));
        Ok(Pass((leaf.clone(), platform), line))
    });
    (platform, pck_crl)
}

/// What documents are checked against.
#[derive(Clone, Copy)]
struct Signers<'a> {
    paths: &'a Paths<'a>,
    root_crl: Step<&'a RevocationList<'a>>,
    at: OffsetDateTime,
}

impl Signers<'_> {
    /// A document: its signer, its signature over the very bytes, and only then what it says.
    fn document<'d, D: Document<'d>>(
        self,
        checks: &mut Checks,
        [chain, signed, read]: [CheckName; 3],
        (issuers, text, signature): (&Result<Path, String>, &'d str, &[u8; 64]),
    ) -> Step<D> {
        let signer = checks.step(chain, self.root_crl, |root_crl| {
            let issuers = issuers.as_ref().map_err(Clone::clone)?;
            let signer = self.paths.tcb_signing(issuers)?;
            root_crl.check(&signer).map_err(|error| format!("the signer's certificate: {error}"))?;
            Ok(Pass(signer.key, format!("the signer of the {} hangs on the trusted root", D::NAME)))
        });
        let is_signed = checks.step(signed, signer, |key| {
            key.verify_fixed(text.as_bytes(), signature)
                .map_err(|error| format!("the {} is not genuine: {error}", D::NAME))?;
            Ok(Pass((), format!("the {} is signed", D::NAME)))
        });
        checks.step(read, is_signed, |()| {
            let document = D::read(text, self.at)?;
            let line = format!("the {} holds until {}", D::NAME, rfc3339(document.dates().1));
            Ok(Pass(document, line))
        })
    }
}

/// The quoting enclave: its report, and how it stands.
fn quoting_enclave(
    checks: &mut Checks,
    quote: &Step<Quote<'_>>,
    platform: &Step<(Certificate<'_>, Platform)>,
    identity: &Step<QeIdentity<'_>>,
) -> Step<Grade<ComponentStatus>> {
    let _ = checks.step(CheckName::QeReportSignature, both(of(quote), of(platform)), |(quote, (leaf, _))| {
        let signature = &quote.signature;
        leaf.key
            .verify_fixed(signature.qe_report.bytes, signature.qe_report_signature)
            .map_err(|error| format!("the quoting enclave's report is not genuine: {error}"))?;
        Ok(Pass((), "the platform's key signed the quoting enclave's report".to_owned()))
    });
    let _ = checks.step(CheckName::QeReportData, of(quote), |quote| enclave::report_data(&quote.signature));
    let _ = checks.step(CheckName::QeMeasurement, both(of(quote), of(identity)), |(quote, identity)| {
        enclave::measurement(&quote.signature.qe_report, identity)
    });
    let _ = checks.step(CheckName::QeDebug, of(quote), |quote| enclave::debug(&quote.signature.qe_report));
    checks.step(CheckName::QeTcb, both(of(quote), of(identity)), |(quote, identity)| {
        level::quoting_enclave(&quote.signature.qe_report, identity)
    })
}

/// Whether the TCB information is about this platform, and how the platform stands.
fn platform_standing(
    checks: &mut Checks,
    quote: &Step<Quote<'_>>,
    platform: &Step<(Certificate<'_>, Platform)>,
    tcb_info: &Step<TcbInfo<'_>>,
) -> Step<Grades<TcbStatus>> {
    let fmspc = checks.step(CheckName::Fmspc, both(of(platform), of(tcb_info)), |((_, platform), info)| {
        same(&platform.fmspc, &info.fmspc.0, "family of platforms (FMSPC)")
    });
    let _ = checks.step(CheckName::PceId, both(of(platform), of(tcb_info)), |((_, platform), info)| {
        same(&platform.pce_id, &info.pce_id.0, "provisioning certification enclave (PCEID)")
    });
    // Levels of another family mean nothing.
    let needs = fmspc.and_then(|()| both(both(of(quote), of(platform)), of(tcb_info)));
    checks.step(CheckName::PlatformTcb, needs, |((quote, (_, platform)), info)| {
        level::platform(platform, &quote.body, info)
    })
}

fn same(platform: &[u8], info: &[u8], what: &str) -> StepResult<()> {
    let (platform, info) = (hex::encode(platform), hex::encode(info));
    if platform == info {
        Ok(Pass((), format!("the TCB information is about the platform's {what}, {info}")))
    } else {
        Err(format!("the TCB information is about the {what} {info}, the platform's is {platform}"))
    }
}

fn quote_signature(quote: &Quote<'_>) -> StepResult<()> {
    PublicKey::from_coordinates(quote.signature.attestation_key)
        .verify_fixed(quote.signed, quote.signature.signature)
        .map_err(|error| format!("the quote is not genuine: {error}"))?;
    Ok(Pass((), "the attestation key signed header and body".to_owned()))
}

fn report_data(checks: &mut Checks, quote: &Step<Quote<'_>>, expected: Option<&[u8; 64]>) {
    let Some(expected) = expected else {
        checks.not_applicable(CheckName::ReportData, "no nonce was given: the quote may be of any time");
        return;
    };
    let _ = checks.step(CheckName::ReportData, of(quote), |quote| {
        if quote.body.report_data == expected {
            Ok(Pass((), "REPORTDATA is what the nonce comes to".to_owned()))
        } else {
            Err("REPORTDATA is not what the nonce comes to: the quote was made for someone else".to_owned())
        }
    });
}

/// How everything stands.
struct Standing {
    qe: Step<Grade<ComponentStatus>>,
    platform: Step<Grades<TcbStatus>>,
    module: Step<Grades<ComponentStatus>>,
}

impl Standing {
    fn converge(
        self,
        lists: [RevocationList<'_>; 2],
        info: &TcbInfo<'_>,
        identity: &QeIdentity<'_>,
    ) -> Option<Tcb> {
        let (qe, platform, module) = (self.qe.ok()?, self.platform.ok()?, self.module.ok()?);
        let at_launch = platform.at_launch.status.with(module.at_launch.status).with(qe.status);
        let now = platform.now.as_ref().zip(module.now.as_ref());
        let now = now.map(|(platform, module)| platform.status.with(module.status).with(qe.status));

        let lists = lists.iter().map(|list| i64::try_from(list.next_update()).unwrap_or(i64::MAX));
        let lists = lists.filter_map(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let expires = lists.chain([info.next_update, identity.next_update]).min()?;
        let dates = platform.iter().map(|grade| grade.date).chain(module.iter().map(|grade| grade.date));
        let advisories = platform
            .iter()
            .map(|grade| &grade.advisories)
            .chain(module.iter().map(|grade| &grade.advisories));
        Some(Tcb {
            status: now.map_or(at_launch, |now| at_launch.relaunched(now)),
            platform: platform.at_launch.status,
            module: module.at_launch.status.into(),
            quoting_enclave: qe.status.into(),
            date: rfc3339(dates.chain([qe.date]).min()?),
            advisories: advisories.chain([&qe.advisories]).flatten().cloned().collect(),
            evaluation_data_number: info.tcb_evaluation_data_number.min(identity.tcb_evaluation_data_number),
            collateral_expires: rfc3339(expires),
        })
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
