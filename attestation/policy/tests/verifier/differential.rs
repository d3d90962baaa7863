//! Against dcap-qvl, another verifier: the same verdict and status on the same evidence, or a difference that is known and why.
//!
//! dcap-qvl reports statuses and leaves it to its caller to refuse them, so the status of the platform is compared, and everything else
//! that this verifier and its default policy refuse.

use crate::scene::Scene;
use attestation_policy::judge;
use attestation_test_pki::{BodyKind, Bundle, Platform, PlatformFields, Quote};
use attestation_verify::{CheckName, Outcome};
use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::verify::QuoteVerifier;
use serde_json::json;

type ChangeScene = fn(&mut Scene);
type ChangeQuote = fn(&Platform, &mut Quote);
type ChangeBundle = fn(&Scene, &mut Bundle);

/// The status that each side comes to, or that it refuses.
#[derive(Debug, PartialEq, Eq)]
struct Verdicts {
    ours: Option<String>,
    oracle: Option<String>,
}

fn verdicts(scene: &Scene, change_quote: ChangeQuote, change_bundle: ChangeBundle) -> Verdicts {
    let platform = scene.platform();
    let mut quote = platform.quote_by(scene.kind, &scene.td, &scene.enclave).unwrap();
    change_quote(&platform, &mut quote);
    let mut bundle = scene.pki.bundle(&scene.statement).unwrap();
    change_bundle(scene, &mut bundle);
    let quote = quote.to_bytes();

    let verification = scene.verify(&quote, &bundle);
    let judgement = judge(&verification, &scene.policy, &scene.circumstances);
    let is_refused = judgement
        .checks
        .iter()
        .any(|check| check.outcome == Outcome::Fail && check.name != CheckName::PolicyTcbStatus);
    let ours = verification.tcb.filter(|_| !is_refused).map(|tcb| tcb.status.as_str().to_owned());

    let collateral: QuoteCollateralV3 = serde_json::from_str(&bundle.to_json()).unwrap();
    let seconds = u64::try_from(scene.now.unix_timestamp()).unwrap();
    let oracle = QuoteVerifier::new(scene.pki.root_der().to_vec()).verify(&quote, &collateral, seconds);
    Verdicts { ours, oracle: oracle.ok().map(|report| report.status) }
}

fn keep_quote(_: &Platform, _: &mut Quote) {}

fn keep_bundle(_: &Scene, _: &mut Bundle) {}

fn of_scene(kind: BodyKind, change: ChangeScene) -> Verdicts {
    let mut scene = Scene::new(kind);
    change(&mut scene);
    verdicts(&scene, keep_quote, keep_bundle)
}

#[track_caller]
fn agree(verdicts: &Verdicts, what: &str) {
    assert_eq!(verdicts.ours, verdicts.oracle, "{what}");
}

#[track_caller]
fn differ(verdicts: Verdicts, ours: Option<&str>, oracle: Option<&str>) {
    assert_eq!(verdicts, Verdicts { ours: ours.map(str::to_owned), oracle: oracle.map(str::to_owned) });
}

const UP_TO_DATE: Option<&str> = Some("UpToDate");

#[test]
fn scenes_on_which_both_agree() {
    let scenes: &[(&str, ChangeScene)] = &[
        ("all as it should be", |_| {}),
        ("old platform", |scene| scene.platform.pce_svn = 5),
        ("old module", |scene| {
            scene.td.tee_tcb_svn[0] = 5;
            scene.td.tee_tcb_svn_2[0] = 5;
        }),
        ("old quoting enclave", |scene| scene.enclave.isv_svn = 3),
        ("no level", |scene| scene.platform.pce_svn = 4),
        ("no level of the enclave", |scene| scene.enclave.isv_svn = 0),
        ("hardening", |scene| {
            scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("SWHardeningNeeded");
        }),
        ("configuration", |scene| {
            scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("ConfigurationNeeded");
        }),
        ("hardening of an old module", |scene| {
            scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("SWHardeningNeeded");
            scene.td.tee_tcb_svn[0] = 5;
            scene.td.tee_tcb_svn_2[0] = 5;
        }),
        ("revoked level", |scene| scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("Revoked")),
        ("unknown status", |scene| scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("Fine")),
        ("other family", |scene| scene.platform.fmspc[0] = 1),
        ("debug", |scene| scene.td.td_attributes |= 1),
        ("no SEPT_VE_DISABLE", |scene| scene.td.td_attributes = 0),
        ("reserved attribute", |scene| scene.td.td_attributes |= 1 << 5),
        ("foreign module", |scene| scene.td.mr_signer_seam[0] = 1),
        ("module attributes", |scene| scene.td.seam_attributes[0] = 1),
        ("unknown module", |scene| {
            scene.td.tee_tcb_svn[1] = 9;
            scene.td.tee_tcb_svn_2[1] = 9;
        }),
        ("foreign enclave", |scene| scene.enclave.mr_signer[0] ^= 1),
        ("other product", |scene| scene.enclave.isv_prod_id = 1),
        ("debug enclave", |scene| scene.enclave.attributes[0] |= 2),
        ("identity of SGX", |scene| scene.statement.qe_identity["id"] = json!("QE")),
        ("information of SGX", |scene| scene.statement.tcb_info["id"] = json!("SGX")),
        ("revoked platform", |scene| scene.statement.revoked_platforms = vec![100]),
        ("revoked authority", |scene| scene.statement.revoked_by_root = vec![scene.pki.serials()[0].clone()]),
        ("revoked signer", |scene| scene.statement.revoked_by_root = vec![scene.pki.serials()[1].clone()]),
        ("too late", |scene| scene.now += time::Duration::days(40)),
        ("too early", |scene| scene.now -= time::Duration::days(3)),
        ("levels upside down", |scene| {
            scene.statement.tcb_info["tcbLevels"].as_array_mut().unwrap().reverse();
        }),
    ];
    for kind in BodyKind::ALL {
        for (what, change) in scenes {
            agree(&of_scene(kind, *change), what);
        }
    }
}

#[test]
fn changes_on_which_both_agree() {
    let changes: &[(&str, ChangeQuote, ChangeBundle)] = &[
        ("quote signature", |_, quote| quote.signature[0] ^= 1, keep_bundle),
        ("body", |_, quote| quote.body[300] ^= 1, keep_bundle),
        ("report signature", |_, quote| quote.qe_report_signature[5] ^= 1, keep_bundle),
        ("authentication", |_, quote| quote.authentication[5] ^= 1, keep_bundle),
        ("no certificates", |_, quote| quote.certificates.clear(), keep_bundle),
        ("version", |_, quote| quote.header[0] = 9, keep_bundle),
        (
            "vendor",
            |platform, quote| {
                quote.header[13] ^= 1;
                platform.sign(quote).unwrap();
            },
            keep_bundle,
        ),
        ("information", keep_quote, |_, bundle| bundle.tcb_info.push(' ')),
        ("identity", keep_quote, |_, bundle| bundle.qe_identity.push(' ')),
        ("other root list", keep_quote, |_, bundle| bundle.root_ca_crl.clone_from(&bundle.pck_crl)),
        ("short chain", keep_quote, |_, bundle| bundle.tcb_info_issuer_chain.clear()),
        ("authority as signer", keep_quote, |_, bundle| {
            bundle.tcb_info_issuer_chain.clone_from(&bundle.pck_crl_issuer_chain);
        }),
        ("signer below another authority", keep_quote, |scene, bundle| {
            bundle.tcb_info_issuer_chain = scene.pki.misplaced_tcb_chain().unwrap();
        }),
        ("padding", |_, quote| quote.padding = vec![0; 70], keep_bundle),
    ];
    for kind in BodyKind::ALL {
        for (what, change_quote, change_bundle) in changes {
            agree(&verdicts(&Scene::new(kind), *change_quote, *change_bundle), what);
        }
    }
}

/// Where versions are anything that they can be, both come to the same level.
#[test]
fn levels_on_which_both_agree() {
    for pce_svn in [4, 5, 12, 13, 14] {
        for first in [1, 2, 3] {
            for tdx in [1, 2, 3, 4] {
                for module in [5, 6, 7] {
                    let mut scene = Scene::new(BodyKind::V4);
                    scene.platform = PlatformFields { pce_svn, ..PlatformFields::default() };
                    scene.platform.cpu_svn[0] = first;
                    scene.td.tee_tcb_svn[0] = module;
                    scene.td.tee_tcb_svn[2] = tdx;
                    let what = format!("{pce_svn} {first} {tdx} {module}");
                    agree(&verdicts(&scene, keep_quote, keep_bundle), &what);
                }
            }
        }
    }
}

// Differences, each with its reason.

/// dcap-qvl reads PCEID and does not compare it; Intel's library does, and so do we.
#[test]
fn another_provisioning_certification_enclave() {
    for kind in BodyKind::ALL {
        differ(of_scene(kind, |scene| scene.platform.pce_id = [0, 1]), None, UP_TO_DATE);
    }
}

/// dcap-qvl compares the first 32 bytes of the report data; what is after them must be zero, by Intel's specification.
#[test]
fn report_data_that_go_on() {
    let change: ChangeQuote = |platform, quote| {
        quote.qe_report[383] = 1;
        platform.sign_report(quote).unwrap();
    };
    differ(verdicts(&Scene::new(BodyKind::V4), change, keep_bundle), None, UP_TO_DATE);
}

/// dcap-qvl ignores what comes after the quote; we take zeros only, so that no byte of a file goes unexplained.
#[test]
fn padding_that_is_not_zero() {
    let change: ChangeQuote = |_, quote| quote.padding = vec![1];
    differ(verdicts(&Scene::new(BodyKind::V4), change, keep_bundle), None, UP_TO_DATE);
}

/// dcap-qvl wants exactly 32 bytes of authentication data; the format has a length for them, and they are vouched for as a whole.
#[test]
fn authentication_data_of_another_length() {
    let change: ChangeQuote = |platform, quote| {
        quote.authentication.push(7);
        let mut message = quote.attestation_key.to_vec();
        message.extend(&quote.authentication);
        quote.qe_report[320..352]
            .copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &message).as_ref());
        platform.sign_report(quote).unwrap();
    };
    differ(verdicts(&Scene::new(BodyKind::V4), change, keep_bundle), UP_TO_DATE, None);
}

/// dcap-qvl compares all components; Intel leaves the first two out when the module has a major version, whose levels are its own.
#[test]
fn module_components_of_the_platforms_level() {
    let change: ChangeScene = |scene| {
        scene.statement.tcb_info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"][0]["svn"] = json!(7);
    };
    differ(of_scene(BodyKind::V4, change), UP_TO_DATE, Some("OutOfDate"));
}

/// dcap-qvl takes the worse of two statuses; Intel has one that says both.
#[test]
fn an_old_module_on_a_platform_that_needs_configuration() {
    let change: ChangeScene = |scene| {
        scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!("ConfigurationNeeded");
        scene.td.tee_tcb_svn[0] = 5;
    };
    differ(of_scene(BodyKind::V4, change), Some("OutOfDateConfigurationNeeded"), Some("OutOfDate"));
}

/// dcap-qvl does not look at the versions that a domain runs with now; Intel advises to relaunch a domain that outlived its module.
#[test]
fn a_domain_that_outlived_its_module() {
    let change: ChangeScene = |scene| scene.td.tee_tcb_svn[0] = 5;
    differ(of_scene(BodyKind::V5Td15, change), Some("TDRelaunchAdvised"), Some("OutOfDate"));
}

/// dcap-qvl does not look at XFAM; a bit that the TDX module never lets be set is refused here.
#[test]
fn features_that_no_domain_has() {
    differ(of_scene(BodyKind::V4, |scene| scene.td.xfam |= 1 << 63), None, UP_TO_DATE);
}

/// dcap-qvl leaves what the host declared to its caller; so do we, but without a policy it must be zero.
#[test]
fn what_the_host_declared() {
    differ(of_scene(BodyKind::V4, |scene| scene.td.mr_owner[0] = 1), None, UP_TO_DATE);
}

/// dcap-qvl takes any attribute that is not reserved; without a policy that names them, these are refused.
#[test]
fn attributes_that_are_not_for_everybody() {
    for kind in BodyKind::ALL {
        differ(of_scene(kind, |scene| scene.td.td_attributes |= 1 << 30), None, UP_TO_DATE);
        differ(of_scene(kind, |scene| scene.td.td_attributes |= 1 << 31), None, UP_TO_DATE);
    }
}
