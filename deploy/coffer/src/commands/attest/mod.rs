//! `coffer attest`: a report on a machine, for somebody who wants to know what it is and what runs on it, from its evidence in one file.
//!
//! The verdict is that of `coffer verify`, and so is the exit status. What is shown besides it ([`facts`]) is only what the verification has
//! established: of evidence that is not genuine, nothing.

mod facts;
mod page;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::evidence;
use crate::judging::{Judging, Report, Verdict};
use crate::output::Output;
use facts::Section;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machine's evidence.
    file: PathBuf,
    /// Write the report as a page for a browser, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
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
    let held = evidence::load(&arguments.file)?;
    let verdict = arguments.judging.judge(&held)?;
    let (events, runtime) = (facts::events(&verdict, &held), facts::runtime(&verdict));
    let sections = facts::sections(&verdict, &events, &runtime);
    if let Some(path) = &arguments.html {
        let page = page::render(&arguments.file.display().to_string(), &verdict, &sections);
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
