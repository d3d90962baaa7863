//! `coffer image measure` and `coffer policy init`, as a user calls them: what an image's registers are, and a policy that asks for them.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use attestation_policy::Policy;
use coffer_image_builder::manifest::{Manifest, Source};
use coffer_image_builder::sample;
use coffer_image_builder::sbom::Sbom;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with an image and its manifest.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = sample::image(b"init").unwrap();
    let sbom = Sbom::new("version = 4\npackage = []\n", &Default::default()).unwrap();
    let source = Source { version: "1.2.3".to_owned(), revision: "unknown".to_owned(), sbom };
    let manifest = Manifest::new(source, &image, &[], &[("coffer.efi", &image.uki)]).unwrap();
    fs::write(folder.path().join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    fs::write(folder.path().join("coffer.raw"), &image.disk).unwrap();
    fs::write(folder.path().join("coffer.efi"), &image.uki).unwrap();
    folder
}

fn coffer(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coffer")).current_dir(folder).args(arguments).output().unwrap()
}

#[test]
fn registers_of_an_image_are_those_of_its_manifest() {
    let folder = folder();
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
    let output = coffer(folder.path(), &["image", "measure", "coffer.raw", "--json"]);
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(measured["registers"], manifest["registers"]);
    let rtmr1 = measured["registers"]["tdvf"]["rtmr1"].as_str().unwrap();
    let text = String::from_utf8(coffer(folder.path(), &["image", "measure", "coffer.raw"]).stdout).unwrap();
    assert!(text.contains(&format!("tdvf                    RTMR1  {rtmr1}\n")), "{text}");
    // Without a disk there is one way left.
    let output = coffer(folder.path(), &["image", "measure", "coffer.efi"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

#[test]
fn a_file_that_is_no_firmware_is_named() {
    let folder = folder();
    let output = coffer(folder.path(), &["image", "measure", "coffer.raw", "--firmware", "manifest.json"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("coffer: manifest.json: ") && text.contains("no TDX metadata"), "{text}");
}

#[test]
fn a_policy_of_a_manifest_is_a_policy() {
    let folder = folder();
    let mrtd = "ab".repeat(48);
    let output = coffer(folder.path(), &["policy", "init", "manifest.json", "--mrtd", &mrtd]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let policy = Policy::from_toml(&text).unwrap();
    assert!(policy.logs.runtime_log);
    let images: Vec<&str> = policy.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(
        images,
        [
            "coffer 1.2.3 (unknown), loaded as tdvf",
            "coffer 1.2.3 (unknown), loaded as tdvf-without-separator"
        ]
    );
    assert!(text.contains(&mrtd));
    // The tests' module is nobody's hardware, and only there if it is asked for.
    let of_tests =
        coffer(folder.path(), &["policy", "init", "manifest.json", "--mrtd", &mrtd, "--loading", "tdsim"]);
    assert!(String::from_utf8(of_tests.stdout).unwrap().contains("loaded as tdsim"));
}

#[test]
fn a_policy_takes_registers_and_manifests_only() {
    let folder = folder();
    let mrtd = "ab".repeat(48);
    for (arguments, word) in [
        (&["manifest.json"][..], "--firmware"),
        (&["manifest.json", "--mrtd", "00"], "not a register"),
        (&["manifest.json", "--mrtd", "\"]\nx"], "not a register"),
        (&["coffer.raw", "--mrtd", &mrtd], "not the manifest"),
    ] {
        let output = coffer(folder.path(), &[&["policy", "init"], arguments].concat());
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(word), "{word}: {text}");
    }
}
