//! What is refused, and by which check: evidence of a test PKI, changed in one way each. All of it is tried with quotes of version 4 and
//! of version 5 with both bodies.

use std::time::Duration as Age;

use crate::scene::{Scene, accepted, check, fails_first, has_outcome, refused};
use attestation_evidence::report_data;
use attestation_policy::{Circumstances, Policy};
use attestation_test_pki::{BodyKind, Pki, Statement};
use attestation_verify::{CheckName, Outcome, TcbStatus};
use serde_json::{Value, json};

fn change_quote(
    name: CheckName,
    change: impl Fn(&attestation_test_pki::Platform, &mut attestation_test_pki::Quote),
) {
    for kind in BodyKind::ALL {
        fails_first(&Scene::new(kind).judge_with(&change, |_| {}), name);
    }
}

fn change_bundle(name: CheckName, change: impl Fn(&Scene, &mut attestation_test_pki::Bundle)) {
    for kind in BodyKind::ALL {
        let scene = Scene::new(kind);
        fails_first(&scene.judge_with(|_, _| {}, |bundle| change(&scene, bundle)), name);
    }
}

/// Every level of the TCB information gets this status.
fn with_platform_status(scene: &mut Scene, status: &str, advisories: &[&str]) {
    scene.statement.tcb_info["tcbLevels"][0]["tcbStatus"] = json!(status);
    scene.statement.tcb_info["tcbLevels"][0]["advisoryIDs"] = json!(advisories);
}

fn outcome_status(scene: &Scene) -> Option<TcbStatus> {
    let quote = scene.platform().quote_by(scene.kind, &scene.td, &scene.enclave).unwrap().to_bytes();
    scene.verify(&quote, &scene.pki.bundle(&scene.statement).unwrap()).tcb.map(|tcb| tcb.status)
}

#[test]
fn what_is_as_it_should_be_is_accepted() {
    accepted(|_| {});
    let judgement = Scene::new(BodyKind::V4).judge();
    assert_eq!(judgement.verdict(), "accepted: genuine; no policy says which image it should run");
    let names: Vec<CheckName> = judgement.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, CheckName::ALL, "every check is reported, once and in order");
}

// The quote.

#[test]
fn invalid_quote_format() {
    change_quote(CheckName::QuoteFormat, |_, quote| quote.header[0] = 3);
    change_quote(CheckName::QuoteFormat, |_, quote| quote.header[2] = 3);
    change_quote(CheckName::QuoteFormat, |_, quote| quote.header[4] = 0);
    change_quote(CheckName::QuoteFormat, |_, quote| quote.qe_report.truncate(383));
    change_quote(CheckName::QuoteFormat, |_, quote| {
        quote.body.pop();
    });
}

#[test]
fn truncated_quote() {
    let scene = Scene::new(BodyKind::V5Td15);
    let quote = scene.platform().quote(scene.kind, &scene.td).unwrap().to_bytes();
    let bundle = scene.pki.bundle(&scene.statement).unwrap();
    for length in [0, 1, 47, 48, 53, 54, 631, 700, 702, 710, 1300, quote.len() - 1] {
        let verification = scene.verify(&quote[..length], &bundle);
        assert_eq!(verification.first_failure().unwrap().name, CheckName::QuoteFormat, "{length}");
    }
}

#[test]
fn zero_padding_is_taken_and_anything_else_is_not() {
    for kind in BodyKind::ALL {
        let scene = Scene::new(kind);
        assert!(scene.judge_with(|_, quote| quote.padding = vec![0; 3065], |_| {}).is_accepted());
    }
    change_quote(CheckName::QuoteFormat, |_, quote| quote.padding = [vec![0; 69], vec![1]].concat());
}

#[test]
fn another_vendors_enclave() {
    change_quote(CheckName::QuoteVendor, |platform, quote| {
        quote.header[12] ^= 1;
        platform.sign(quote).unwrap();
    });
}

#[test]
fn invalid_quote_signature() {
    change_quote(CheckName::QuoteSignature, |_, quote| quote.signature[63] ^= 1);
    change_quote(CheckName::QuoteSignature, |_, quote| quote.signature = [0; 64]);
    change_quote(CheckName::QuoteSignature, |_, quote| quote.signature = [0xff; 64]);
    change_quote(CheckName::QuoteSignature, |_, quote| quote.body[520] ^= 1);
}

/// P-256's order, added to s: the same number modulo the order, which only a lax verifier takes.
#[test]
fn signatures_with_numbers_beyond_the_curves_order() {
    change_quote(CheckName::QuoteSignature, |_, quote| {
        const ORDER: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
            0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let mut carry = 0;
        for (digit, order) in quote.signature[32..].iter_mut().zip(ORDER).rev() {
            let sum = u16::from(*digit) + u16::from(order) + carry;
            *digit = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
    });
}

// The platform's certificate.

#[test]
fn cert_type_without_pck_chain() {
    change_quote(CheckName::PckChain, |_, quote| quote.certificates.clear());
    change_quote(CheckName::PckChain, |_, quote| quote.certificates = b"rubbish".to_vec());
}

#[test]
fn a_chain_to_another_root() {
    refused(CheckName::RootCrl, |scene| scene.root = Some(Pki::new(scene.now).unwrap().root_pem()));
    let other = Pki::new(Scene::new(BodyKind::V4).now).unwrap();
    change_quote(CheckName::PckChain, |_, quote| {
        quote.certificates =
            other.platform(&attestation_test_pki::PlatformFields::default()).unwrap().chain.into_bytes();
    });
}

/// Names are the same in every test PKI: it is signatures that tell them apart.
#[test]
fn a_swapped_chain() {
    let other = Pki::new(Scene::new(BodyKind::V4).now).unwrap();
    let foreign = other.platform(&attestation_test_pki::PlatformFields::default()).unwrap().chain;
    let foreign: Vec<&str> = foreign.split_inclusive("-----END CERTIFICATE-----\n").collect();
    for place in 0..3 {
        change_quote(CheckName::PckChain, |platform, quote| {
            let mut chain: Vec<&str> =
                platform.chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
            chain[place] = foreign[place];
            quote.certificates = chain.concat().into_bytes();
        });
        change_quote(CheckName::PckChain, |platform, quote| {
            let mut chain: Vec<&str> =
                platform.chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
            chain.remove(place);
            quote.certificates = chain.concat().into_bytes();
        });
        change_quote(CheckName::PckChain, |platform, quote| {
            let mut chain: Vec<&str> =
                platform.chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
            chain.swap(place, (place + 1) % 3);
            quote.certificates = chain.concat().into_bytes();
        });
    }
}

#[test]
fn another_platforms_chain() {
    for kind in BodyKind::ALL {
        let scene = Scene::new(kind);
        let other = scene.platform().chain.into_bytes();
        fails_first(
            &scene.judge_with(|_, quote| quote.certificates = other, |_| {}),
            CheckName::QeReportSignature,
        );
    }
}

#[test]
fn a_platforms_certificate_of_another_time() {
    use time::Duration;
    refused(CheckName::PckChain, |scene| {
        scene.platform.validity = Some((scene.now - Duration::days(9), scene.now - Duration::days(1)));
    });
    refused(CheckName::PckChain, |scene| {
        scene.platform.validity = Some((scene.now + Duration::days(1), scene.now + Duration::days(9)));
    });
}

#[test]
fn a_revoked_platform() {
    refused(CheckName::PckRevocation, |scene| scene.statement.revoked_platforms = vec![7, 100]);
    accepted(|scene| scene.statement.revoked_platforms = vec![7, 101]);
}

#[test]
fn revoked_authorities() {
    refused(CheckName::PckRevocation, |scene| {
        scene.statement.revoked_by_root = vec![scene.pki.serials()[0].clone()];
    });
    refused(CheckName::TcbInfoChain, |scene| {
        scene.statement.revoked_by_root = vec![scene.pki.serials()[1].clone()];
    });
}

#[test]
fn revocation_lists_of_another_time_or_authority() {
    refused(CheckName::RootCrl, |scene| scene.statement.lists.1 = scene.now - time::Duration::hours(1));
    refused(CheckName::RootCrl, |scene| scene.statement.lists.0 = scene.now + time::Duration::hours(1));
    change_bundle(CheckName::RootCrl, |_, bundle| bundle.root_ca_crl.clone_from(&bundle.pck_crl));
    change_bundle(CheckName::PckRevocation, |_, bundle| bundle.pck_crl.clone_from(&bundle.root_ca_crl));
    change_bundle(CheckName::PckRevocation, |scene, bundle| {
        bundle.pck_crl = Pki::new(scene.now).unwrap().bundle(&scene.statement).unwrap().pck_crl;
    });
    change_bundle(CheckName::PckRevocation, |scene, bundle| {
        let other = Pki::new(scene.now).unwrap().bundle(&scene.statement).unwrap();
        bundle.pck_crl_issuer_chain = other.pck_crl_issuer_chain;
    });
    change_bundle(CheckName::RootCrl, |_, bundle| bundle.root_ca_crl.clear());
    change_bundle(CheckName::PckRevocation, |_, bundle| bundle.pck_crl.truncate(200));
}

// Intel's documents.

#[test]
fn short_tcb_chain() {
    change_bundle(CheckName::TcbInfoChain, |_, bundle| bundle.tcb_info_issuer_chain.clear());
    change_bundle(CheckName::QeIdentityChain, |_, bundle| {
        let end = bundle.qe_identity_issuer_chain.find("-----END").unwrap();
        bundle.qe_identity_issuer_chain.truncate(end + 26);
    });
}

#[test]
fn ca_used_as_end_entity() {
    change_bundle(CheckName::TcbInfoChain, |_, bundle| {
        bundle.tcb_info_issuer_chain.clone_from(&bundle.pck_crl_issuer_chain);
    });
    change_bundle(CheckName::QeIdentityChain, |_, bundle| {
        bundle.qe_identity_issuer_chain.clone_from(&bundle.pck_crl_issuer_chain);
    });
    change_bundle(CheckName::TcbInfoChain, |scene, bundle| {
        bundle.tcb_info_issuer_chain = scene.pki.misplaced_tcb_chain().unwrap();
    });
}

#[test]
fn invalid_tcb_signature() {
    change_bundle(CheckName::TcbInfoSignature, |_, bundle| bundle.tcb_info.push(' '));
    change_bundle(CheckName::QeIdentitySignature, |_, bundle| bundle.qe_identity.push(' '));
    change_bundle(CheckName::TcbInfoSignature, |_, bundle| {
        bundle.tcb_info_signature.clone_from(&bundle.qe_identity_signature);
    });
}

#[test]
fn documents_of_another_time() {
    refused(CheckName::TcbInfo, |scene| {
        scene.statement.tcb_info["nextUpdate"] = json!("2026-09-21T00:00:00Z");
    });
    refused(CheckName::TcbInfo, |scene| {
        scene.statement.tcb_info["issueDate"] = json!("2026-09-22T00:00:00Z");
    });
    refused(CheckName::QeIdentity, |scene| {
        scene.statement.qe_identity["nextUpdate"] = json!("2026-09-21T00:00:00Z");
    });
    refused(CheckName::QeIdentity, |scene| {
        scene.statement.qe_identity["issueDate"] = json!("2026-09-22T00:00:00Z");
    });
    refused(CheckName::TcbInfo, |scene| scene.statement.tcb_info["nextUpdate"] = json!("tomorrow"));
    refused(CheckName::RootCrl, |scene| scene.now += time::Duration::days(40));
    refused(CheckName::RootCrl, |scene| scene.now -= time::Duration::days(3));
}

#[test]
fn qe_identity_id_mismatch() {
    for (key, value) in [("id", json!("QE")), ("version", json!(3)), ("version", json!(1))] {
        refused(CheckName::QeIdentity, |scene| scene.statement.qe_identity[key] = value.clone());
    }
    for (key, value) in [("id", json!("SGX")), ("version", json!(2)), ("version", json!(4))] {
        refused(CheckName::TcbInfo, |scene| scene.statement.tcb_info[key] = value.clone());
    }
}

#[test]
fn unknown_tcb_status() {
    for status in ["Fine", "uptodate", "TDRelaunchAdvised", ""] {
        refused(CheckName::TcbInfo, |scene| with_platform_status(scene, status, &[]));
    }
    refused(CheckName::QeIdentity, |scene| {
        scene.statement.qe_identity["tcbLevels"][0]["tcbStatus"] = json!("ConfigurationNeeded");
    });
}

#[test]
fn tdx_missing_components() {
    let components =
        |scene: &mut Scene| scene.statement.tcb_info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"].take();
    refused(CheckName::TcbInfo, |scene| {
        components(scene);
    });
    refused(CheckName::TcbInfo, |scene| {
        let mut list = components(scene);
        list.as_array_mut().unwrap().pop();
        scene.statement.tcb_info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"] = list;
    });
    refused(CheckName::TcbInfo, |scene| {
        let mut list = components(scene);
        list.as_array_mut().unwrap().push(json!({ "svn": 0 }));
        scene.statement.tcb_info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"] = list;
    });
}

#[test]
fn duplicate_keys_of_documents() {
    for (key, again) in [
        ("\"id\":\"TDX\"", "\"id\":\"SGX\",\"id\":\"TDX\""),
        ("\"version\":3", "\"version\":3,\"version\":3"),
    ] {
        change_bundle(CheckName::TcbInfo, |scene, bundle| {
            assert!(bundle.tcb_info.contains(key));
            bundle.tcb_info = bundle.tcb_info.replacen(key, again, 1);
            bundle.sign(scene.pki.tcb_key()).unwrap();
        });
    }
}

// The quoting enclave.

#[test]
fn qe_report_hash_mismatch() {
    change_quote(CheckName::QeReportData, |platform, quote| {
        quote.authentication[0] ^= 1;
        platform.sign(quote).unwrap();
    });
    change_quote(CheckName::QeReportData, |platform, quote| {
        quote.qe_report[320] ^= 1;
        platform.sign_report(quote).unwrap();
    });
}

#[test]
fn qe_report_data_that_goes_on() {
    change_quote(CheckName::QeReportData, |platform, quote| {
        quote.qe_report[383] = 1;
        platform.sign_report(quote).unwrap();
    });
}

#[test]
fn invalid_qe_report_signature() {
    change_quote(CheckName::QeReportSignature, |_, quote| quote.qe_report_signature[0] ^= 1);
    change_quote(CheckName::QeReportSignature, |_, quote| quote.qe_report[100] ^= 1);
}

#[test]
fn an_enclave_that_is_not_intels() {
    refused(CheckName::QeMeasurement, |scene| scene.enclave.mr_signer[0] ^= 1);
    refused(CheckName::QeMeasurement, |scene| scene.enclave.isv_prod_id = 1);
    refused(CheckName::QeMeasurement, |scene| scene.enclave.misc_select[0] = 1);
    refused(CheckName::QeMeasurement, |scene| scene.enclave.attributes[0] = 5);
    // Bits that the identity masks out do not matter.
    accepted(|scene| scene.enclave.attributes[8] = 0xff);
}

/// The identity itself says that the debug bit is 0; should it ever not, the check stands by itself.
#[test]
fn qe_debug_enabled() {
    refused(CheckName::QeMeasurement, |scene| scene.enclave.attributes[0] |= 2);
    refused(CheckName::QeDebug, |scene| {
        scene.enclave.attributes[0] |= 2;
        scene.statement.qe_identity["attributesMask"] = json!("00".repeat(16));
    });
}

#[test]
fn versions_of_the_quoting_enclave() {
    accepted(|scene| scene.enclave.isv_svn = 9);
    refused(CheckName::QeTcb, |scene| scene.enclave.isv_svn = 0);
    refused(CheckName::PolicyTcbStatus, |scene| scene.enclave.isv_svn = 3);
}

#[test]
fn revoked_qe_tcb() {
    refused(CheckName::QeTcb, |scene| {
        scene.statement.qe_identity["tcbLevels"][0]["tcbStatus"] = json!("Revoked");
    });
}

// The platform and the TDX module.

#[test]
fn another_family_of_platforms() {
    refused(CheckName::Fmspc, |scene| scene.platform.fmspc[5] = 1);
}

#[test]
fn another_provisioning_certification_enclave() {
    refused(CheckName::PceId, |scene| scene.platform.pce_id = [0, 1]);
    refused(CheckName::PceId, |scene| scene.statement.tcb_info["pceId"] = json!("0100"));
}

#[test]
fn a_platform_that_reaches_no_level() {
    refused(CheckName::PlatformTcb, |scene| scene.platform.cpu_svn[3] = 1);
    refused(CheckName::PlatformTcb, |scene| scene.platform.pce_svn = 4);
    refused(CheckName::PlatformTcb, |scene| {
        scene.td.tee_tcb_svn[2] = 1;
        scene.td.tee_tcb_svn_2[2] = 1;
    });
}

#[test]
fn component_svn_all_higher() {
    accepted(|scene| {
        scene.platform.cpu_svn = [9; 16];
        scene.platform.pce_svn = 99;
        scene.td.tee_tcb_svn = [9, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
        scene.td.tee_tcb_svn_2 = scene.td.tee_tcb_svn;
    });
}

#[test]
fn levels_count_whatever_their_order() {
    accepted(|scene| scene.statement.tcb_info["tcbLevels"].as_array_mut().unwrap().reverse());
    accepted(|scene| scene.statement.qe_identity["tcbLevels"].as_array_mut().unwrap().reverse());
}

#[test]
fn an_old_platform() {
    refused(CheckName::PolicyTcbStatus, |scene| scene.platform.pce_svn = 5);
    refused(CheckName::PolicyTcbStatus, |scene| scene.platform.cpu_svn[0] = 2);
}

#[test]
fn an_old_platform_with_a_current_module() {
    for kind in BodyKind::ALL {
        let mut scene = Scene::new(kind);
        scene.platform.pce_svn = 5;
        let judgement = scene.judge();
        has_outcome(&judgement, CheckName::TdxModule, Outcome::Pass);
        fails_first(&judgement, CheckName::PolicyTcbStatus);
        assert_eq!(outcome_status(&scene), Some(TcbStatus::OutOfDate));
    }
}

#[test]
fn an_old_module_on_a_current_platform() {
    for kind in BodyKind::ALL {
        let mut scene = Scene::new(kind);
        scene.td.tee_tcb_svn[0] = 5;
        scene.td.tee_tcb_svn_2[0] = 5;
        assert_eq!(outcome_status(&scene), Some(TcbStatus::OutOfDate));
        with_platform_status(&mut scene, "ConfigurationNeeded", &[]);
        assert_eq!(outcome_status(&scene), Some(TcbStatus::OutOfDateConfigurationNeeded));
    }
}

#[test]
fn a_domain_that_runs_with_a_newer_module_than_it_was_made_with() {
    let mut scene = Scene::new(BodyKind::V5Td15);
    scene.td.tee_tcb_svn[0] = 5;
    assert_eq!(outcome_status(&scene), Some(TcbStatus::TdRelaunchAdvised));
    fails_first(&scene.judge(), CheckName::PolicyTcbStatus);
    scene.policy("tcb.accepted-statuses = ['UpToDate', 'TDRelaunchAdvised']");
    assert!(scene.judge().is_accepted());
}

#[test]
fn revoked_platform_tcb() {
    refused(CheckName::PlatformTcb, |scene| with_platform_status(scene, "Revoked", &[]));
    refused(CheckName::TdxModule, |scene| {
        scene.statement.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][0]["tcbStatus"] = json!("Revoked");
    });
}

#[test]
fn a_module_that_is_not_intels() {
    refused(CheckName::TdxModule, |scene| scene.td.mr_signer_seam[47] = 1);
    refused(CheckName::TdxModule, |scene| scene.td.seam_attributes[7] = 1);
    refused(CheckName::TdxModule, |scene| {
        scene.td.tee_tcb_svn[1] = 2;
        scene.td.tee_tcb_svn_2[1] = 2;
    });
    refused(CheckName::TdxModule, |scene| {
        scene.td.tee_tcb_svn[0] = 1;
        scene.td.tee_tcb_svn_2[0] = 1;
    });
    refused(CheckName::TdxModule, |scene| {
        let modules = scene.statement.tcb_info["tdxModuleIdentities"].as_array_mut().unwrap();
        modules.push(modules[0].clone());
    });
}

#[test]
fn a_module_of_before_there_were_major_versions() {
    accepted(|scene| {
        scene.td.tee_tcb_svn = [5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        scene.td.tee_tcb_svn_2 = scene.td.tee_tcb_svn;
    });
    // Its version counts as the platform's then.
    refused(CheckName::PlatformTcb, |scene| {
        scene.td.tee_tcb_svn = [4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        scene.td.tee_tcb_svn_2 = scene.td.tee_tcb_svn;
    });
}

// The trust domain.

#[test]
fn tdx_reserved_bits_set() {
    for bit in (1..27).chain(32..63) {
        refused(CheckName::TdReserved, |scene| scene.td.td_attributes |= 1 << bit);
    }
    refused(CheckName::TdReserved, |scene| scene.td.xfam |= 1 << 63);
    refused(CheckName::TdReserved, |scene| scene.td.xfam &= !1);
}

#[test]
fn tdx_debug_enabled() {
    refused(CheckName::PolicyTdDebug, |scene| scene.td.td_attributes |= 1);
    accepted(|scene| {
        scene.td.td_attributes |= 1;
        scene.policy("td.debug = true");
    });
}

#[test]
fn attributes_that_the_policy_does_not_name() {
    // The name says which: SEPT_VE_DISABLE is 0, the others are 1.
    refused(CheckName::PolicyTdAttributes, |scene| scene.td.td_attributes = 0);
    accepted(|scene| {
        scene.td.td_attributes = 0;
        scene.policy("td.sept-ve-disable-optional = true");
    });
    for (bit, name) in [(27, "lass"), (29, "migratable"), (30, "pks"), (31, "kl"), (63, "perfmon")] {
        refused(CheckName::PolicyTdAttributes, |scene| scene.td.td_attributes |= 1 << bit);
        accepted(|scene| {
            scene.td.td_attributes |= 1 << bit;
            scene.policy(&format!("td.attributes = ['{name}']"));
        });
    }
}

#[test]
fn a_bound_service_domain() {
    let mut scene = Scene::new(BodyKind::V5Td15);
    scene.td.mr_service_td[0] = 1;
    fails_first(&scene.judge(), CheckName::PolicyServiceTd);
    scene.policy(&format!("td.service-td = ['01{}']", "00".repeat(47)));
    assert!(scene.judge().is_accepted());
}

#[test]
fn what_the_host_declared() {
    refused(CheckName::PolicyHostDeclared, |scene| scene.td.mr_config_id[0] = 1);
    refused(CheckName::PolicyHostDeclared, |scene| scene.td.mr_owner[0] = 1);
    refused(CheckName::PolicyHostDeclared, |scene| scene.td.mr_owner_config[47] = 1);
    refused(CheckName::PolicyHostDeclared, |scene| {
        scene.policy(&format!("td.owner = ['{}']", "11".repeat(48)));
    });
    accepted(|scene| {
        scene.td.mr_owner = [0x11; 48];
        scene.policy(&format!("td.owner = ['{}']", "11".repeat(48)));
    });
}

// What the policy lists.

#[test]
fn statuses_need_their_advisories_accepted() {
    let name = CheckName::PolicyTcbStatus;
    refused(name, |scene| with_platform_status(scene, "SWHardeningNeeded", &["INTEL-SA-00001"]));
    refused(name, |scene| {
        with_platform_status(scene, "SWHardeningNeeded", &["INTEL-SA-00001", "INTEL-SA-00002"]);
        scene.policy(
            "tcb.accepted-statuses = ['SWHardeningNeeded']\ntcb.accepted-advisories = ['INTEL-SA-00001']",
        );
    });
    accepted(|scene| {
        with_platform_status(scene, "SWHardeningNeeded", &["INTEL-SA-00001", "INTEL-SA-00002"]);
        scene.policy(
            "[tcb]\naccepted-statuses = ['SWHardeningNeeded']\naccepted-advisories = ['INTEL-SA-00002', 'INTEL-SA-00001']",
        );
    });
}

#[test]
fn collateral_that_was_rolled_back() {
    let name = CheckName::PolicyTcbEvaluation;
    accepted(|scene| scene.policy("tcb.evaluation-data-number = 18"));
    refused(name, |scene| scene.policy("tcb.evaluation-data-number = 19"));
    // The older one of the two documents counts.
    refused(name, |scene| {
        scene.statement.qe_identity["tcbEvaluationDataNumber"] = json!(17);
        scene.policy("tcb.evaluation-data-number = 18");
    });
}

#[test]
fn lists_of_values() {
    accepted(|scene| scene.policy(&format!("tdx-module.mrseam = ['{}']", "5E".repeat(48))));
    refused(CheckName::PolicyTdxModule, |scene| {
        scene.policy(&format!("tdx-module.mrseam = ['{}']", "5f".repeat(48)));
    });
    accepted(|scene| scene.policy("td.xfam = ['00000000000602e7']"));
    refused(CheckName::PolicyXfam, |scene| scene.policy("td.xfam = ['00000000000002e7']"));
}

#[test]
fn relayed_from_a_machine_that_is_not_listed() {
    let listed = |ppid: &[u8], instance: &[u8]| {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("[machine]\nppid = ['{}']\nplatform-instance = ['{}']", hex(ppid), hex(instance))
    };
    let policy = listed(b"coffer-test-ppid", b"coffer-test-piid");
    accepted(|scene| scene.policy(&policy));
    let name = CheckName::PolicyMachine;
    refused(name, |scene| {
        scene.policy(&policy);
        scene.platform.ppid[0] ^= 1;
    });
    refused(name, |scene| {
        scene.policy(&policy);
        scene.platform.platform_instance.as_mut().unwrap()[0] ^= 1;
    });
    refused(name, |scene| {
        scene.policy(&policy);
        scene.platform.platform_instance = None;
    });
}

#[test]
fn images() {
    // What ran there is not these tests' affair: without this, there had to be a runtime log.
    let policy = format!(
        "[runtime]\nexposed-containers = true\nmodified-containers = true\n[[image]]\nname = 'one'\nmrtd = ['{0}']\nrtmr1 = ['{0}']\n\
         [[image]]\nname = 'two'\nmrtd = ['{1}']\nrtmr0 = ['{2}', '{3}']\nrtmr1 = ['{2}']\n",
        "aa".repeat(48),
        "d0".repeat(48),
        "01".repeat(48),
        "02".repeat(48),
    );
    let boot = |scene: &mut Scene| {
        scene.policy(&policy);
        scene.td.rtmr[0] = [2; 48];
        scene.td.rtmr[1] = [1; 48];
    };
    accepted(boot);
    let name = CheckName::PolicyImage;
    refused(name, |scene| {
        boot(scene);
        scene.td.mr_td[0] = 0;
    });
    refused(name, |scene| {
        boot(scene);
        scene.td.rtmr[0][0] = 0;
    });
    refused(name, |scene| {
        boot(scene);
        scene.td.rtmr[1][0] = 0;
    });
    let mut scene = Scene::new(BodyKind::V4);
    boot(&mut scene);
    assert_eq!(check(&scene.judge(), name).reason, "what booted is `two`");
    assert_eq!(scene.judge().verdict(), "accepted: genuine, and as the policy wants it");
}

// Freshness.

#[test]
fn nonces() {
    accepted(|scene| {
        scene.td.report_data = report_data::fresh(&[7; 32], b"key");
        scene.report_data = Some(report_data::fresh(&[7; 32], b"key"));
    });
    for (nonce, key) in [([8; 32], b"key"), ([7; 32], b"yek")] {
        refused(CheckName::ReportData, |scene| {
            scene.td.report_data = report_data::fresh(&nonce, key);
            scene.report_data = Some(report_data::fresh(&[7; 32], b"key"));
        });
    }
}

#[test]
fn quotes_that_are_too_old() {
    let name = CheckName::PolicyFreshness;
    let with = |scene: &mut Scene, policy: &str, has_nonce: bool, age: Option<u64>| {
        scene.policy(policy);
        scene.circumstances = Circumstances { has_nonce, nonce_age: age.map(Age::from_secs), bound_to: None };
    };
    refused(name, |scene| with(scene, "freshness.nonce = true", false, None));
    accepted(|scene| with(scene, "freshness.nonce = true", true, None));
    let limit = "freshness.max-quote-age-seconds = 60";
    refused(name, |scene| with(scene, limit, false, None));
    refused(name, |scene| with(scene, limit, true, None));
    refused(name, |scene| with(scene, limit, true, Some(61)));
    accepted(|scene| with(scene, limit, true, Some(60)));
}

// Nothing is passed over in silence.

#[test]
fn what_could_not_be_checked_has_failed() {
    let judgement = Scene::new(BodyKind::V4).judge_with(|_, quote| quote.header[0] = 3, |_| {});
    for name in
        [CheckName::QuoteVendor, CheckName::QuoteSignature, CheckName::PlatformTcb, CheckName::PolicyTdDebug]
    {
        let check = check(&judgement, name);
        assert_eq!(check.outcome, Outcome::Fail);
        assert!(check.reason.starts_with("not checked: "), "{check:?}");
    }
}

#[test]
fn what_is_not_genuine_establishes_nothing() {
    let scene = Scene::new(BodyKind::V4);
    let mut quote = scene.platform().quote(scene.kind, &scene.td).unwrap();
    quote.signature[0] ^= 1;
    let verification =
        scene.verify(&quote.to_bytes(), &scene.pki.bundle(&Statement::new(scene.now)).unwrap());
    assert!(verification.established.is_none());
    assert!(verification.tcb.is_none());
}

#[test]
fn a_policy_is_taken_as_a_whole_or_not_at_all() {
    for text in [
        "unknown = 1",
        "td.debgu = true",
        "td.attributes = ['debug']",
        "tcb.accepted-statuses = ['Revoked']",
        "tcb.accepted-statuses = ['uptodate']",
        "tdx-module.mrseam = ['00']",
        "tdx-module.mrseam = ['zz']",
        "machine.ppid = '00'",
        "[[image]]\nname = 'x'\nmrtd = []\nrtmr1 = []",
        "[[image]]\nname = 'x'\nmrtd = []",
        "runtime.container-images = ['sha256:00']",
        "runtime.modes = ['closed']",
        "runtime.modes = ['sealed']",
        "td.debug = true\ntd.debug = true",
        "not toml",
    ] {
        assert!(Policy::from_toml(text).is_err(), "{text}");
    }
    assert!(!Policy::from_toml("").unwrap().insecure_plain_vm);
    assert!(Policy::from_toml("insecure-plain-vm = true").unwrap().insecure_plain_vm);
}

#[test]
fn the_json_names_every_check() {
    let scene = Scene::new(BodyKind::V5Td15);
    let quote = scene.platform().quote(scene.kind, &scene.td).unwrap().to_bytes();
    let verification = scene.verify(&quote, &scene.pki.bundle(&scene.statement).unwrap());
    let json: Value = serde_json::to_value(&verification).unwrap();
    assert_eq!(json["checks"][0]["name"], "quote-format");
    assert_eq!(json["checks"][0]["outcome"], "pass");
    assert_eq!(json["tcb"]["status"], "UpToDate");
    assert_eq!(json["platform"]["fmspc"], "90c06f000000");
    assert_eq!(json["established"]["tdAttributes"], "0x0000000010000000");
}

// What the documents say.

const DOCUMENT: &str = include_str!("../../../../docs/attestation.md");

#[test]
fn the_document_has_every_step() {
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| step |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells: Vec<&str> = rows.map(|row| row.split('|').nth(1).unwrap()).collect();
    let mut documented: Vec<&str> =
        cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let mut reported: Vec<&str> = CheckName::ALL.iter().map(|name| name.as_str()).collect();
    // Two documents are checked in the same way, one after the other, and share rows.
    documented.sort_unstable();
    reported.sort_unstable();
    assert_eq!(documented, reported);
}

#[test]
fn the_documents_policy_is_one() {
    let (_, example) = DOCUMENT.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let policy = Policy::from_toml(&example.replace("[\"…\"]", &format!("['{}']", "00".repeat(48)))).unwrap();
    assert_eq!(policy.freshness.max_quote_age_seconds, Some(60));
}
