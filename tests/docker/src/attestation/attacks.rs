//! What must be refused, each with its own words. The last ones leave the machine exposed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use attestation_evidence::{RUNTIME_LOG_MAGIC, RuntimeEvent, RuntimeLog, report_data};
use attestation_verify::subject_public_key_info;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::relay::{Answer, Impostor, Switch, ask, forward};
use super::{Bench, Said, said, trusting};
use crate::Case;
use crate::cases::IMAGE;

/// The nonce of evidence that was recorded.
const NONCE: [u8; 32] = [0x42; 32];

/// All, in the order in which they run.
pub const CASES: &[Case<Bench>] = &[
    Case { name: "attack/other_uki", body: other_uki },
    Case { name: "attack/other_command_line", body: other_command_line },
    Case { name: "attack/other_configuration", body: other_configuration },
    Case { name: "attack/unlisted_image", body: unlisted_image },
    Case { name: "attack/debug_domain", body: debug_domain },
    Case { name: "attack/old_tcb", body: old_tcb },
    Case { name: "attack/stale_nonce", body: stale_nonce },
    Case { name: "attack/replayed_evidence", body: replayed_evidence },
    Case { name: "attack/relayed_evidence", body: relayed_evidence },
    Case { name: "attack/another_platform", body: another_platform },
    Case { name: "attack/swapped_tls_key", body: swapped_tls_key },
    Case { name: "attack/log_entry_removed", body: log_entry_removed },
    Case { name: "attack/log_entries_reordered", body: log_entries_reordered },
    Case { name: "attack/log_entry_added", body: log_entry_added },
    Case { name: "attack/no_log", body: no_log },
    Case { name: "attack/expired_collateral", body: expired_collateral },
    Case { name: "attack/test_pki_without_the_flag", body: test_pki_without_the_flag },
    Case { name: "attack/rtmr3_extended_by_a_container", body: rtmr3_extended_by_a_container },
    Case { name: "attack/exposed_container", body: exposed_container },
    Case { name: "attack/quote_for_another_key", body: quote_for_another_key },
];

fn refused(said: &Said, check: &str, why: &str) -> anyhow::Result<()> {
    ensure!(said.code == Some(1), "not refused: {said:?}");
    let expected = format!("refused: {check}: ");
    let verdict = said.text.lines().find(|line| line.contains("refused: ")).unwrap_or_default();
    ensure!(verdict.contains(&expected) && verdict.contains(why), "no `{expected}…{why}` in {}", said.text);
    Ok(())
}

impl Bench {
    /// Where the machine shows its evidence.
    pub(super) fn evidence(&self) -> anyhow::Result<String> {
        let evidence = self.machine.record["evidence"].as_str();
        Ok(evidence.context("coffer launch says nothing of evidence")?.to_owned())
    }

    /// A report on whoever is there.
    fn attest_at(&self, address: &str) -> anyhow::Result<Said> {
        self.coffer(&["attest", address], &self.policy)
    }

    /// The policy, with other registers for the image.
    fn with_other(&self, register: &str) -> anyhow::Result<String> {
        let line = |line: &str| match line.trim_start().strip_prefix(register) {
            Some(rest) if rest.trim_start().starts_with('=') => {
                format!("{register} = [\"{}\"]", "ab".repeat(48))
            }
            _ => line.to_owned(),
        };
        let changed: Vec<String> = self.policy.lines().map(line).collect();
        let changed = changed.join("\n");
        ensure!(changed != self.policy, "the policy has no {register}: {changed}");
        Ok(changed)
    }

    /// Evidence that was asked for with [`NONCE`].
    fn recorded(&self) -> anyhow::Result<Answer> {
        ask(&self.evidence()?, &NONCE)
    }

    /// A report on evidence in a file that was asked for with [`NONCE`], by this policy and with these words more.
    fn attest_file(&self, answer: &Answer, policy: &str, more: &[&str]) -> anyhow::Result<Said> {
        let (evidence, key) = (self.folder.join("evidence.json"), self.folder.join("key.pem"));
        fs::write(&evidence, &answer.body)?;
        fs::write(&key, &answer.certificate)?;
        let text =
            |path: PathBuf| path.into_os_string().into_string().ok().context("a path that is not text");
        let (evidence, key, nonce) = (text(evidence)?, text(key)?, "42".repeat(32));
        let words = ["attest", &evidence, "--tls-key", &key, "--nonce", &nonce];
        self.coffer(&[&words[..], more].concat(), policy)
    }

    /// The same, with another runtime log.
    fn attest_log(&self, change: impl FnOnce(&mut Vec<RuntimeEvent>)) -> anyhow::Result<Said> {
        let answer = self.recorded()?;
        let mut document: Value = serde_json::from_slice(&answer.body)?;
        let log = STANDARD.decode(document["runtime-log"].as_str().context("no runtime log")?)?;
        let log = RuntimeLog::parse(&log).map_err(anyhow::Error::msg)?;
        let mut events: Vec<RuntimeEvent> = log.records().map(|(event, _)| event).collect();
        change(&mut events);
        let records = (0..).zip(&events).map(|(sequence, event)| event.record(sequence).as_bytes().to_vec());
        let log = [RUNTIME_LOG_MAGIC.to_vec(), records.collect::<Vec<_>>().concat()].concat();
        document["runtime-log"] = STANDARD.encode(log).into();
        let answer = Answer { body: document.to_string().into_bytes(), ..answer };
        self.attest_file(&answer, &self.policy, &[])
    }
}

fn other_uki(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.coffer(&["attest", "test"], &bench.with_other("rtmr1")?)?;
    refused(&said, "policy-image", "RTMR1 is not that of")
}

fn other_command_line(bench: &Bench) -> anyhow::Result<()> {
    let path = bench.folder.join("lenient.toml");
    fs::write(&path, format!("{}\n[td]\ndebug = true\n", bench.policy))?;
    let mut command = bench.other.coffer(&["attest", "test", "--policy"]);
    command.arg(path);
    trusting(&mut command, &bench.other)?;
    refused(&said(&mut command)?, "policy-image", "RTMR2 is not that of")
}

fn other_configuration(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.attest(&format!("configurations = [\"{}\"]", "ab".repeat(48)))?;
    refused(&said, "policy-runtime", "configuration is")
}

fn unlisted_image(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.attest(&format!("container-images = [\"sha256:{}\"]", "ab".repeat(32)))?;
    refused(&said, "policy-runtime", "has run, which is not listed")
}

fn debug_domain(bench: &Bench) -> anyhow::Result<()> {
    let mut command = bench.other.coffer(&["attest", "test"]);
    trusting(&mut command, &bench.other)?;
    refused(&said(&mut command)?, "policy-td-debug", "")
}

fn old_tcb(bench: &Bench) -> anyhow::Result<()> {
    let mut command = bench.judging(&["attest", "test"], &bench.policy)?;
    let root = bench.machine.record["simulator"]["trust_root"].as_str().context("no root")?.to_owned();
    command.arg("--collateral").arg(bench.machine.certificates().join("collateral-later.json"));
    command.arg("--trust-root").arg(root);
    refused(&said(&mut command)?, "policy-tcb-status", "OutOfDate")
}

fn stale_nonce(bench: &Bench) -> anyhow::Result<()> {
    let answer = bench.recorded()?;
    let policy = format!("{}\n[freshness]\nmax-quote-age-seconds = 60\n", bench.policy);
    let fresh = bench.attest_file(&answer, &bench.policy, &[])?;
    ensure!(fresh.code == Some(0), "{fresh:?}");
    let said = bench.attest_file(&answer, &policy, &["--nonce-made", "2026-01-01T00:00:00Z"])?;
    refused(&said, "policy-freshness", "")
}

fn replayed_evidence(bench: &Bench) -> anyhow::Result<()> {
    let answer = bench.recorded()?;
    let replay = Impostor::start(move |_| Ok(answer.body.clone()))?;
    refused(&bench.attest_at(&replay.address)?, "report-data", "")
}

fn relayed_evidence(bench: &Bench) -> anyhow::Result<()> {
    let address = bench.evidence()?;
    let relay = Impostor::start(move |target| forward(&address, target))?;
    refused(&bench.attest_at(&relay.address)?, "report-data", "")
}

fn another_platform(bench: &Bench) -> anyhow::Result<()> {
    let policy = bench.policy.replace("[machine]", &format!("[machine]\nppid = [\"{}\"]", "ab".repeat(16)));
    refused(&bench.coffer(&["attest", "test"], &policy)?, "policy-machine", "PPID")
}

/// The evidence is the machine's, and the API that follows is another's.
fn swapped_tls_key(bench: &Bench) -> anyhow::Result<()> {
    let api = |machine: &crate::Machine| {
        let api = machine.record["api"].as_str().context("no API")?;
        Ok::<_, anyhow::Error>(api.trim_start_matches("tcp://").to_owned())
    };
    let switch = Switch::start(&api(&bench.machine)?)?;
    let said =
        bench.coffer(&["connect", "test", "--name", "switched", "--api", &switch.address], &bench.policy)?;
    ensure!(said.code == Some(0), "{said:?}");
    let mut docker = std::process::Command::new(bench.docker.command::<&str>(&[]).get_program());
    docker
        .args(["--context", "coffer-switched", "version"])
        .env("DOCKER_CONFIG", bench.machine.docker_config());
    ensure!(docker.output()?.status.success(), "docker cannot get there");
    switch.lead(&api(&bench.other)?);
    let output = docker.output()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && words.contains("with the key that was verified"), "{words}");
    let said = super::said(&mut bench.machine.coffer(&["disconnect", "switched"]))?;
    ensure!(said.code == Some(0), "{said:?}");
    Ok(())
}

fn log_entry_removed(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.attest_log(|events| {
        events.remove(events.len() - 2);
    })?;
    refused(&said, "rtmr3", "")
}

fn log_entries_reordered(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.attest_log(|events| events.swap(0, 1))?;
    refused(&said, "runtime-log", "not what comes next")
}

fn log_entry_added(bench: &Bench) -> anyhow::Result<()> {
    let exec = RuntimeEvent::Exec { container: [1; 32], process: [2; 48] };
    refused(&bench.attest_log(|events| events.push(exec))?, "rtmr3", "")
}

fn no_log(bench: &Bench) -> anyhow::Result<()> {
    let answer = bench.recorded()?;
    let mut document: Value = serde_json::from_slice(&answer.body)?;
    document.as_object_mut().context("no object")?.remove("runtime-log");
    let answer = Answer { body: document.to_string().into_bytes(), ..answer };
    refused(&bench.attest_file(&answer, &bench.policy, &[])?, "policy-runtime", "no runtime log")
}

fn expired_collateral(bench: &Bench) -> anyhow::Result<()> {
    let said = bench.coffer(&["attest", "test", "--at", "2099-01-01T00:00:00Z"], &bench.policy)?;
    refused(&said, "root-crl", "")
}

fn test_pki_without_the_flag(bench: &Bench) -> anyhow::Result<()> {
    let mut command = bench.judging(&["attest", "test"], &bench.policy)?;
    let collateral = bench.machine.record["simulator"]["collateral"].as_str().context("no collateral")?;
    command.arg("--collateral").arg(collateral);
    refused(&said(&mut command)?, "root-crl", "")
}

/// A container that was given the registers cannot extend RTMR3; and that it was given them is seen.
fn rtmr3_extended_by_a_container(bench: &Bench) -> anyhow::Result<()> {
    let output = bench.docker.run(&[
        "run",
        "--rm",
        "-v",
        "/sys/devices/virtual/misc/tdx_guest/measurements:/registers",
        IMAGE,
        "sh",
        "-c",
        "head -c 48 /dev/zero > /registers/rtmr3:sha384",
    ])?;
    let words = format!("{}{}", output.stdout, output.stderr);
    let is_refused = words.contains("ermission denied") || words.contains("not permitted");
    ensure!(is_refused, "{output:?}");
    Ok(())
}

/// The one before it was given something of the machine: from then on the policy does not hold, and docker does not get there any more.
fn exposed_container(bench: &Bench) -> anyhow::Result<()> {
    const WHY: &str = "was given something of the machine";
    refused(&bench.attest("")?, "policy-runtime", WHY)?;
    let output = bench.docker.run(&["version"])?;
    ensure!(output.code != Some(0) && output.stderr.contains(WHY), "{output:?}");
    let lenient = format!("{}\nexposed-containers = true", bench.policy);
    let said = bench.coffer(&["connect", "test"], &lenient)?;
    ensure!(said.code == Some(0), "{said:?}");
    bench.docker.ok(&["version"]).map(drop)
}

/// A container with the files that quotes come from can have one for any key. It cannot have the key in the log.
fn quote_for_another_key(bench: &Bench) -> anyhow::Result<()> {
    let forger = Impostor::start(|_| anyhow::bail!("it is not asked"))?;
    let key = pem::parse(&forger.certificate)?.into_contents();
    let key = subject_public_key_info(&key).map_err(anyhow::Error::msg)?;
    let data = STANDARD.encode(report_data::fresh(&NONCE, &key));
    let script = format!(
        "mkdir /reports/forged && echo {data} | base64 -d > /reports/forged/inblob && base64 /reports/forged/outblob && rmdir /reports/forged"
    );
    let quote = bench.docker.ok(&[
        "run",
        "--rm",
        "-v",
        "/sys/kernel/config/tsm/report:/reports",
        IMAGE,
        "sh",
        "-c",
        &script,
    ])?;
    let mut document: Value = serde_json::from_slice(&bench.recorded()?.body)?;
    document["quote"] = quote.split_whitespace().collect::<String>().into();
    let lenient = format!("{}\nexposed-containers = true", bench.policy);
    let answer = Answer { certificate: forger.certificate, body: document.to_string().into_bytes() };
    refused(
        &bench.attest_file(&answer, &lenient, &[])?,
        "policy-binding",
        "the TLS key is not the one that the machine made",
    )
}
