//! `coffer attest`: a report on a machine, for somebody who wants to know what it is and what runs on it, from the machine itself or its evidence in one
//! file. Nobody's leave is needed for it: it is what a third party does.
//!
//! The verdict is that of `coffer verify`, and so is the exit status. What is shown besides it ([`facts`]) is only what the verification has
//! established: of evidence that is not genuine, nothing.

mod facts;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::evidence;
use crate::judging::{Asking, Judging, Report, Verdict};
use crate::output::Output;
use crate::target::Target;
use facts::Section;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machine: its name, if it was launched here, or HOST or HOST:PORT; or a file with its evidence.
    #[arg(value_name = "HOST|FILE")]
    machine: String,
    /// Write the report as a page for a browser, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    judging: Judging,
}

/// What a program gets.
#[derive(Debug, Serialize)]
struct Everything<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// What the event log says, and is bound to a register.
    events: Vec<facts::Event>,
    /// What the runtime has measured.
    runtime: Vec<facts::Event>,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let judging = &arguments.judging;
    let file = Path::new(&arguments.machine);
    let (held, verdict) = if file.is_file() {
        let held = evidence::load(file)?;
        let verdict = judging.judge(&held, &arguments.asking.asked(judging.now())?)?;
        (held, verdict)
    } else {
        ensure!(
            !arguments.asking.is_any(),
            "--nonce, --tls-key and --container are for a file: a machine is asked with a nonce of its own"
        );
        let (answer, verdict) = Target::find(&arguments.machine)?.evidence.judge(judging)?;
        (answer.held, verdict)
    };
    let (events, runtime) = (facts::events(&verdict, &held), facts::runtime(&verdict));
    let sections = facts::sections(&verdict, &events, &runtime);
    if let Some(path) = &arguments.html {
        let page = page::render(&arguments.machine, &verdict, &sections);
        fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let report = Everything { report: verdict.report(), events, runtime };
    output.print(&text(&verdict, &sections), &report)?;
    Ok(verdict.exit_code())
}

fn text(verdict: &Verdict, sections: &[Section]) -> String {
    if let Some(text) = verdict.is_no_quote() {
        return text;
    }
    let mut lines = vec![verdict.judgement.verdict()];
    lines.extend(verdict.warning().map(str::to_owned));
    for section in sections {
        lines.push(format!("\n{}", section.title));
        lines.extend(section.rows.iter().map(|(name, value)| format!("  {name:24} {value}")));
    }
    lines.push("\nchecks".to_owned());
    lines.extend(verdict.lines().iter().map(|line| format!("  {line}")));
    lines.join("\n")
}
