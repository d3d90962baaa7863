//! `coffer attest`, as a user calls it: a machine of a test PKI that boots an image and runs a container, from its evidence in one file.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Output};

use attestation_evidence::{ContainerStart, ImageDigest, Isolation, Mode, RuntimeEvent, RuntimeLog, extend};
use attestation_test_pki::{BodyKind, EventLogWriter, Pki, PlatformFields, SHA384, Statement, TdFields};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_image_builder::manifest::{Manifest, Source};
use coffer_image_builder::measure::{Event, Loading, events, kind};
use coffer_image_builder::sample;
use coffer_image_builder::sbom::Sbom;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

const AT: &str = "2026-09-21T14:13:20Z";
const MRTD: [u8; 48] = [0xfd; 48];

/// A folder with a manifest, and with the evidence of a machine that boots the manifest's image.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let image = sample::image(b"init").unwrap();
        let sbom = Sbom::new("version = 4\npackage = []\n", &Default::default()).unwrap();
        let source = Source { version: "1.2.3".to_owned(), revision: "unknown".to_owned(), sbom };
        let manifest = Manifest::new(source, &image, &[], &[("coffer.efi", &image.uki)]).unwrap();
        folder.write("manifest.json", manifest.to_json().unwrap().as_bytes());
        folder.boot(&image.disk);
        folder
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.0.path().join(name), contents).unwrap();
    }

    /// Writes the evidence of a machine that boots `disk`.
    fn boot(&self, disk: &[u8]) {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let pki = Pki::new(now).unwrap();
        let measured = events(disk, Loading::Tdvf).unwrap();
        let runtime_log = runtime_log();
        let mut rtmr = [[0; 48]; 4];
        for event in &measured {
            rtmr[event.register] = extend(&rtmr[event.register], &event.digest);
        }
        rtmr[3] = RuntimeLog::parse(&runtime_log).unwrap().replay();
        let td = TdFields { mr_td: MRTD, rtmr, ..TdFields::default() };
        let platform = pki.platform(&PlatformFields::default()).unwrap();
        let quote = platform.quote(BodyKind::V5Td15, &td).unwrap().to_bytes();
        let evidence = json!({
            "version": 1,
            "quote": STANDARD.encode(quote),
            "event-log": STANDARD.encode(event_log(&measured)),
            "runtime-log": STANDARD.encode(runtime_log),
        });
        self.write("evidence.json", evidence.to_string().as_bytes());
        self.write("collateral", pki.bundle(&Statement::new(now)).unwrap().to_json().as_bytes());
        self.write("root", pki.root_pem().as_bytes());
    }

    fn coffer(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn attest(&self, more: &[&str]) -> Output {
        let usual =
            ["attest", "evidence.json", "--collateral", "collateral", "--trust-root", "root", "--at", AT];
        self.coffer(&[&usual[..], more].concat())
    }

    /// Writes the policy that `coffer policy init` makes of the manifest.
    fn make_policy(&self) {
        let output = self.coffer(&["policy", "init", "manifest.json", "--mrtd", &hex::encode(MRTD)]);
        assert!(output.status.success(), "{output:?}");
        self.write("policy.toml", &output.stdout);
    }
}

fn runtime_log() -> Vec<u8> {
    let container = [0xc0; 32];
    let mut log = b"coffer-runtime/1".to_vec();
    for (sequence, event) in (0..).zip([
        RuntimeEvent::Configuration([1; 48]),
        RuntimeEvent::Mode(Mode::Open),
        RuntimeEvent::ClientAuthority([0; 48]),
        RuntimeEvent::TlsKey([3; 48]),
        RuntimeEvent::BootEnd,
        RuntimeEvent::ContainerStart(ContainerStart {
            container,
            image: ImageDigest::Sha256([4; 32]),
            manifest: None,
            isolation: Isolation::Confined,
            configuration: [5; 48],
        }),
        RuntimeEvent::Exec { container, process: [6; 48] },
    ]) {
        log.extend_from_slice(event.record(sequence).as_bytes());
    }
    log
}

/// A log with what the events are known to have for data; the table's and the application's are left out.
fn event_log(measured: &[Event]) -> Vec<u8> {
    let mut log = EventLogWriter::new(0, &[SHA384]);
    let words = ["Calling EFI Application from Boot Option", "Exit Boot Services Invocation"];
    let mut actions = words.into_iter().chain(["Exit Boot Services Returned with Success"]);
    for event in measured {
        let (kind, data) = match event.kind {
            kind::ACTION => (event.kind, actions.next().unwrap_or_default().as_bytes().to_vec()),
            kind::SEPARATOR => (event.kind, vec![0; 4]),
            // Whose data are not bound; so that its name is not believed either.
            _ => (kind::BOOT_SERVICES_APPLICATION, b"\x1b[2J".to_vec()),
        };
        let register = u32::try_from(event.register + 1).unwrap();
        log = log.event(register, kind, &event.digest, &data);
    }
    log.finish()
}

#[test]
fn a_report_says_what_booted_and_what_runs() {
    let folder = Folder::new();
    folder.make_policy();
    let output = folder.attest(&["--policy", "policy.toml", "--html", "report.html"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "accepted: genuine, and as the policy wants it\n",
        "  MRTD                     fdfdfd",
        "  RTMR1 EV_EFI_ACTION      \"Calling EFI Application from Boot Option\"\n",
        "  RTMR3 mode               open",
        "  RTMR3 container start    c0c0c0c0c0c0 image sha256:0404",
        "  pass policy-image",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\x1b'), "{text}");
    let page = fs::read_to_string(folder.0.path().join("report.html")).unwrap();
    for words in ["<h1 class=\"accepted\">", "container start", "&quot;Calling EFI", "policy-image"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http"), "{page}");
}

#[test]
fn programs_get_the_same() {
    let output = Folder::new().attest(&["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "accepted");
    assert_eq!(report["trustRoot"], "other");
    assert_eq!(report["events"].as_array().unwrap().len(), 6);
    assert_eq!(report["runtime"][5]["what"], "container start");
}

#[test]
fn the_policy_of_a_manifest_accepts_no_other_image() {
    let folder = Folder::new();
    folder.make_policy();
    folder.boot(&sample::image(b"another").unwrap().disk);
    let output = folder.attest(&["--policy", "policy.toml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("refused: ") && text.contains("FAIL policy-image"), "{text}");
}

#[test]
fn of_evidence_that_is_not_genuine_nothing_is_shown() {
    let folder = Folder::new();
    // Another PKI's.
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    folder.write("root", Pki::new(now).unwrap().root_pem().as_bytes());
    let output = folder.attest(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("RTMR1 EV_EFI_ACTION") && !text.contains("container start"), "{text}");
}

#[test]
fn a_file_that_is_no_evidence_is_named() {
    let folder = Folder::new();
    for (contents, words) in [
        (&b"rubbish"[..], "is not evidence"),
        (br#"{"version":2,"quote":""}"#, "is of version 2"),
        (br#"{"version":1,"quote":"*"}"#, "not base64"),
        (br#"{"version":1,"quote":"","more":1}"#, "unknown field"),
    ] {
        folder.write("evidence.json", contents);
        let output = folder.attest(&[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("coffer: ") && text.contains(words), "{words}: {text}");
    }
}
