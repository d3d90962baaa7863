//! `cargo xtask fuzz`: libFuzzer on everything that reads foreign bytes in `attestation/` (its `fuzz/`), with overflow checks.
//!
//! Coverage is what rustc's own LLVM counts, so the pinned stable compiler will do: the flags are those of cargo-fuzz, but for the address
//! sanitizer, which needs a nightly one and has nothing to find in code without `unsafe`. What is found on the way is kept from run to run in
//! `target/fuzz/corpus`; `--keep` puts a selection in the place of the one in the repository, `attestation/fuzz/corpus`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io, thread};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::progress::Step;
use crate::{packages, setup, workspace};

/// Options of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How long, all targets together.
    #[arg(long, default_value_t = MINUTES, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Choose anew which inputs are in the repository: of those that together cover everything, the smallest.
    #[arg(long)]
    keep: bool,
    /// Only targets whose name contains this.
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
}

/// How long the tests fuzz.
pub const MINUTES: u64 = 10;

const PACKAGE: &str = "attestation-fuzz";
const TARGET: &str = "x86_64-unknown-linux-gnu";

const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// The release profile, without what takes long to compile and with what makes mistakes seen.
const PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];

/// The longest input; a quote has 5 KB, and a bundle 9.
const LENGTH_LIMIT: u32 = 16 << 10;
/// An input that takes so long is a finding: they take milliseconds, but the machine may be busy.
const SECONDS_LIMIT: u32 = 10;
/// And one that takes this much memory.
const MEMORY_LIMIT_MIB: u32 = 512;

/// How many inputs of a target are in the repository: it is no place for thousands.
const KEPT: usize = 48;

/// Fuzzes; fails on a finding.
pub fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let fuzzer = Fuzzer::build()?;
    let targets = targets(arguments.filter.as_deref())?;
    let findings = fuzzer.run(&targets, arguments.minutes)?;
    if arguments.keep {
        targets.iter().try_for_each(|target| fuzzer.keep(target))?;
    }
    println!("{} targets, {findings} findings", targets.len());
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fuzzes every target for the usual time.
pub fn check() -> anyhow::Result<()> {
    let findings = Fuzzer::build()?.run(&targets(None)?, MINUTES)?;
    ensure!(findings == 0, "{findings} findings");
    Ok(())
}

/// The folders with inputs, one for each target.
fn corpus() -> PathBuf {
    workspace::root().join("attestation/fuzz/corpus")
}

/// The names of targets.
fn targets(filter: Option<&str>) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(corpus()).context("cannot list the targets")?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.contains(filter.unwrap_or_default())).collect();
    names.sort();
    if names.is_empty() {
        bail!("no target's name contains `{}`", filter.unwrap_or_default());
    }
    Ok(names)
}

/// Puts the smallest files of `from` in the place of all that is in `kept`.
fn replace(kept: &Path, from: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        files.push((entry.metadata()?.len(), entry.file_name()));
    }
    files.sort();
    fs::remove_dir_all(kept)?;
    fs::create_dir(kept)?;
    for (_, name) in files.iter().take(KEPT) {
        fs::copy(from.join(name), kept.join(name))?;
    }
    Ok(())
}

/// The built program, and where it works.
struct Fuzzer {
    program: PathBuf,
    folder: PathBuf,
}

impl Fuzzer {
    fn build() -> anyhow::Result<Self> {
        setup::ensure_met(&[packages::FUZZ])?;
        let step = Step::begin("building the fuzzer");
        let folder = workspace::target_folder("fuzz")?;
        let output = Command::new("cargo")
            .args(["build", "--locked", "--release", "--package", PACKAGE, "--features", "libfuzzer"])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&folder)
            .current_dir(workspace::root())
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
            .envs(PROFILE)
            .stdin(Stdio::null())
            .output()
            .context("cannot start cargo")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the fuzzer does not build:\n{}", words.trim_end());
        step.done();
        Ok(Self { program: folder.join(TARGET).join("release").join(PACKAGE), folder })
    }

    /// Runs as many targets at a time as there are processors; the number of those with a finding.
    fn run(&self, targets: &[String], minutes: u64) -> anyhow::Result<usize> {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
        let rounds = u64::try_from(targets.len().div_ceil(workers)).context("too many targets")?;
        let seconds = (minutes.saturating_mul(60) / rounds).max(1);
        let step = Step::begin("fuzzing");
        let (next, findings) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|_| {
                    scope.spawn(|| -> anyhow::Result<()> {
                        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                            if let Some(finding) = self.fuzz(target, seconds)? {
                                findings.lock().expect("no worker panics").push(finding);
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
        step.done();
        let findings = findings.into_inner().expect("no worker panics");
        findings.iter().for_each(|finding| eprintln!("{finding}"));
        Ok(findings.len())
    }

    /// Runs one target; what it says if it has found something.
    fn fuzz(&self, target: &str, seconds: u64) -> anyhow::Result<Option<String>> {
        let (own, findings) = (self.own_corpus(target)?, self.folder.join("findings"));
        fs::create_dir_all(&findings).context("cannot make a folder for findings")?;
        let output = self
            .command(target, &[&own, &corpus().join(target)])
            .env("ATTESTATION_FUZZ_SEEDS", &own)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/{target}-", findings.display()))
            .output()
            .context("cannot start the fuzzer")?;
        if output.status.success() {
            return Ok(None);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = words.lines().collect();
        let last = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
        Ok(Some(format!("{target}:\n{}", last.join("\n"))))
    }

    /// Puts a selection of all inputs in the place of the repository's.
    fn keep(&self, target: &str) -> anyhow::Result<()> {
        let (kept, cover) = (corpus().join(target), self.folder.join("cover").join(target));
        if cover.exists() {
            fs::remove_dir_all(&cover).with_context(|| format!("cannot remove {}", cover.display()))?;
        }
        fs::create_dir_all(&cover).with_context(|| format!("cannot make {}", cover.display()))?;
        let output = self
            .command(target, &[&cover, &kept, &self.own_corpus(target)?])
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .output()
            .context("cannot start the fuzzer")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cannot merge the inputs of {target}:\n{}", words.trim_end());
        replace(&kept, &cover).with_context(|| format!("cannot write {}", kept.display()))
    }

    fn own_corpus(&self, target: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("corpus").join(target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    fn command(&self, target: &str, folders: &[&Path]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(folders).env("ATTESTATION_FUZZ_TARGET", target).stdin(Stdio::null());
        command.arg(format!("-max_len={LENGTH_LIMIT}"));
        command.arg(format!("-timeout={SECONDS_LIMIT}"));
        command.arg(format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"));
        command
    }
}
