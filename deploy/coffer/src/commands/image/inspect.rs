//! `coffer image inspect`: the parts of one image.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use coffer_image_builder::inspect::{Report, inspect};

use crate::output::Output;

pub fn main(file: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let report = inspect(&super::read(file)?).with_context(|| file.display().to_string())?;
    output.print(&describe(&report), &report)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &Report) -> String {
    let mut text = format!(
        "version               {}\nform                  {}\ncommand line          {}\nAuthenticode SHA-384  {}\n\n",
        printable(&report.version),
        report.format,
        printable(&report.command_line),
        report.authenticode_sha384
    );
    text.push_str(&line("PART", "SIZE", "SHA-256"));
    let parts = report.parts.iter().map(|(name, file)| (name.as_str(), file));
    for (name, file) in [("file", &report.file)].into_iter().chain(parts) {
        text.push('\n');
        text.push_str(&line(&printable(name), &file.size.to_string(), &file.sha256));
    }
    text
}

fn line(part: &str, size: &str, hash: &str) -> String {
    format!("{part:20} {size:>10}  {hash}")
}

/// An image may come from anybody: what it says of itself must not move the reader's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '�' } else { character }).collect()
}
