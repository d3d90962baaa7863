//! `coffer verify`, as a user calls it, on evidence of a test PKI.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy cannot tell outside of a test function"
)]
#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Output};

use attestation_evidence::report_data;
use attestation_test_pki::{BodyKind, CollateralService, Pki, PlatformFields, Statement, TdFields};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

const NONCE: [u8; 32] = [0x42; 32];
const AT: &str = "2026-09-21T14:13:20Z";

/// A folder with everything that a verification takes.
struct Folder(TempDir);

impl Folder {
    fn new(td: &TdFields) -> Self {
        let folder = Self(TempDir::new().unwrap());
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let pki = Pki::new(now).unwrap();
        let platform = pki.platform(&PlatformFields::default()).unwrap();
        folder.write("quote", &platform.quote(BodyKind::V5Td15, td).unwrap().to_bytes());
        folder.write("collateral", pki.bundle(&Statement::new(now)).unwrap().to_json().as_bytes());
        folder.write("root", pki.root_pem().as_bytes());
        folder
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.0.path().join(name), contents).unwrap();
    }

    fn coffer(&self, more: &[&str]) -> Output {
        self.coffer_fetching(&[&["--collateral", "collateral"], more].concat())
    }

    /// Without a file of collateral; what is fetched is kept in this folder.
    fn coffer_fetching(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.current_dir(self.0.path()).env("XDG_CACHE_HOME", self.0.path().join("cache"));
        command.args(["verify", "--quote", "quote"]).args(more).output().unwrap()
    }

    /// With the right root and time.
    fn verify(&self, more: &[&str]) -> Output {
        self.coffer(&[&["--trust-root", "root", "--at", AT], more].concat())
    }
}

fn last_line(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap().lines().last().unwrap_or_default().to_owned()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(text.starts_with("coffer: ") && text.lines().count() == 1, "{text}");
    text
}

#[test]
fn what_is_genuine_is_accepted_with_a_line_a_check() {
    let output = Folder::new(&TdFields::default()).verify(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("pass quote-signature        the attestation key signed header and body\n"),
        "{text}"
    );
    assert!(text.contains("this says nothing about hardware\n"), "{text}");
    assert!(text.ends_with("\naccepted: genuine; no policy says which image it should run\n"), "{text}");
}

#[test]
fn collateral_is_fetched_once_and_kept() {
    let folder = Folder::new(&TdFields::default());
    let bundle = fs::read(folder.0.path().join("collateral")).unwrap();
    let service = CollateralService::start(serde_json::from_slice(&bundle).unwrap()).unwrap();
    let url = service.url();
    let verify =
        || folder.coffer_fetching(&["--trust-root", "root", "--at", AT, "--collateral-service", &url]);
    for _ in 0..2 {
        let output = verify();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(service.requests(), 4);
    }
    fs::remove_dir_all(folder.0.path().join("cache")).unwrap();
    service.break_down();
    let text = error(&verify());
    assert!(text.contains("no collateral for platforms of FMSPC") && text.contains(&url), "{text}");
}

#[test]
fn a_test_pki_is_nobody_without_the_flag() {
    let output = Folder::new(&TdFields::default()).coffer(&["--at", AT]);
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).starts_with("refused: root-crl: "), "{output:?}");
}

#[test]
fn the_json_names_checks_and_status() {
    let folder = Folder::new(&TdFields::default());
    let output = folder.verify(&["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "accepted");
    assert_eq!(report["at"], AT);
    assert_eq!(report["trustRoot"], "other");
    assert_eq!(report["tcb"]["status"], "UpToDate");
    assert_eq!(report["checks"].as_array().unwrap().len(), attestation_verify::CheckName::ALL.len());

    folder.write("quote", b"rubbish");
    let output = folder.verify(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "refused");
    assert_eq!(report["tcb"], Value::Null);
    assert_eq!(report["checks"][0]["outcome"], "fail");
}

#[test]
fn other_times_are_refused() {
    let folder = Folder::new(&TdFields::default());
    for at in ["2026-09-19T00:00:00Z", "2026-11-01T00:00:00Z"] {
        let output = folder.coffer(&["--trust-root", "root", "--at", at]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
}

#[test]
fn nonces_with_and_without_a_key() {
    let plain = report_data::plain(&NONCE).unwrap();
    let folder = Folder::new(&TdFields { report_data: plain, ..TdFields::default() });
    let nonce = hex::encode(NONCE);
    assert_eq!(folder.verify(&["--nonce", &nonce]).status.code(), Some(0));
    let output = folder.verify(&["--nonce", &"43".repeat(32)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(last_line(&output).starts_with("refused: report-data: "));

    let key = rcgen::KeyPair::generate().unwrap();
    let spki = pem::parse(key.public_key_pem()).unwrap().into_contents();
    for (report_data, arguments) in [
        (report_data::fresh(&NONCE, &spki), vec!["--nonce", &nonce, "--tls-key", "key"]),
        (report_data::certificate(&spki), vec!["--tls-key", "key"]),
    ] {
        let folder = Folder::new(&TdFields { report_data, ..TdFields::default() });
        folder.write("key", key.public_key_pem().as_bytes());
        assert_eq!(folder.verify(&arguments).status.code(), Some(0));
        // The same key in a certificate.
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        folder.write("key", certificate.pem().as_bytes());
        assert_eq!(folder.verify(&arguments).status.code(), Some(0));
        // Another key: a relayed connection.
        folder.write("key", rcgen::KeyPair::generate().unwrap().public_key_pem().as_bytes());
        assert_eq!(folder.verify(&arguments).status.code(), Some(1));
    }
}

#[test]
fn a_quote_of_nobody_asking_answers_no_nonce() {
    let folder = Folder::new(&TdFields::default());
    assert!(error(&folder.verify(&["--nonce", &"00".repeat(32)])).contains("a nonce of zeros"));
    assert_eq!(folder.verify(&["--nonce", "4242"]).status.code(), Some(2));
}

#[test]
fn policies_limit_the_quotes_age() {
    let plain = report_data::plain(&NONCE).unwrap();
    let folder = Folder::new(&TdFields { report_data: plain, ..TdFields::default() });
    folder.write("policy", b"freshness.max-quote-age-seconds = 60");
    let nonce = hex::encode(NONCE);
    let verify = |made: &str| {
        folder.verify(&["--policy", "policy", "--nonce", &nonce, "--nonce-made", made]).status.code()
    };
    assert_eq!(verify("2026-09-21T14:12:20Z"), Some(0));
    assert_eq!(verify("2026-09-21T14:12:19Z"), Some(1));
    assert_eq!(verify("2026-09-21T14:13:21Z"), Some(2));
}

#[test]
fn a_debug_domain_needs_a_policy_that_names_it() {
    let folder = Folder::new(&TdFields { td_attributes: 1 << 28 | 1, ..TdFields::default() });
    assert!(last_line(&folder.verify(&[])).starts_with("refused: policy-td-debug: "));
    folder.write("policy", b"td.debug = true");
    assert_eq!(folder.verify(&["--policy", "policy"]).status.code(), Some(0));
}

#[test]
fn a_bad_file_gets_one_clear_error() {
    let folder = Folder::new(&TdFields::default());
    folder.write("empty", b"");
    folder.write("policy", b"td.debgu = true");
    folder.write("bundle", b"{\"tcb_info\": 1}");
    assert!(error(&folder.verify(&["--event-log", "missing"])).contains("cannot open missing"));
    assert!(
        error(&folder.verify(&["--policy", "policy"]))
            .contains("line 1 is not of a policy: unknown field `debgu`")
    );
    assert!(error(&folder.coffer(&["--trust-root", "empty"])).contains("one certificate in PEM"));
    assert!(error(&folder.verify(&["--tls-key", "empty"])).contains("it is not PEM"));
    assert!(error(&folder.verify(&["--policy", "/dev/zero"])).contains("larger than"));
    fs::copy(folder.0.path().join("bundle"), folder.0.path().join("collateral")).unwrap();
    assert!(error(&folder.verify(&[])).contains("not a bundle of collateral"));
}

#[test]
fn what_is_no_quote_gets_one_line() {
    let folder = Folder::new(&TdFields::default());
    folder.write("quote", &[3, 0, 2, 0]);
    let output = folder.verify(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "refused: quote: this is not a TDX quote: the quote's header is cut short\n");
}

#[test]
fn logs_that_do_not_explain_the_registers_are_refused() {
    let folder = Folder::new(&TdFields { rtmr: [[0; 48], [0; 48], [0; 48], [1; 48]], ..TdFields::default() });
    folder.write("log", b"coffer-runtime/1");
    assert!(last_line(&folder.verify(&["--runtime-log", "log"])).starts_with("refused: rtmr3: "));
    assert!(last_line(&folder.verify(&["--event-log", "log"])).starts_with("refused: event-log: "));
}
