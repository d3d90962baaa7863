//! `coffer verify`: is this evidence genuine, and is it wanted? From files, at a given time, and without a network where collateral is one of
//! the files.
//!
//! The exit status is 0 if every check holds that applies, 1 if one does not, and 2 if there was nothing to judge: a file that cannot be
//! read, or an argument that makes no sense.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::judging::{Asking, FILE_LIMIT, Held, Judging, SMALL_FILE_LIMIT, Verdict, read};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The quote.
    #[arg(long, value_name = "FILE")]
    quote: PathBuf,
    /// The firmware's event log (CCEL), which must explain RTMR0 to RTMR2.
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
    /// The runtime's log, which must explain RTMR3.
    #[arg(long, value_name = "FILE")]
    runtime_log: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    judging: Judging,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let log = |path: &Option<PathBuf>| path.as_deref().map(|path| read(path, FILE_LIMIT)).transpose();
    let held = Held {
        source: arguments.quote.display().to_string(),
        quote: Some(read(&arguments.quote, SMALL_FILE_LIMIT)?),
        event_log: log(&arguments.event_log)?,
        runtime_log: log(&arguments.runtime_log)?,
    };
    let asked = arguments.asking.asked(arguments.judging.now())?;
    let verdict = arguments.judging.judge(&held, &asked)?;
    output.print(&text(&verdict), &verdict.report())?;
    Ok(verdict.exit_code())
}

/// One line a check and the verdict.
fn text(verdict: &Verdict) -> String {
    verdict.is_no_quote().unwrap_or_else(|| {
        let mut lines = verdict.lines();
        lines.extend(verdict.warning().map(str::to_owned));
        lines.push(verdict.judgement.verdict());
        lines.join("\n")
    })
}
