//! `cargo xtask docs`: writes `docs/syscalls.md` from the rows of the kernel's table, the only list of system calls there is.
//!
//! The rows are read as text: the table is part of a kernel that runs on no host. A row that this cannot read is an error, so
//! nothing is left out silently.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};

use crate::workspace;

const TABLE: &str = "kernel/src/syscall/table.rs";
const DOCUMENT: &str = "docs/syscalls.md";

/// One row: what the kernel knows of a call.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    number: u32,
    name: &'a str,
    support: &'a str,
    note: &'a str,
}

/// Writes the document.
pub fn main() -> anyhow::Result<ExitCode> {
    let path = workspace::root().join(DOCUMENT);
    fs::write(&path, document()?).with_context(|| format!("cannot write {DOCUMENT}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Fails if the document is not what the table gives.
pub fn check() -> anyhow::Result<()> {
    let written = fs::read_to_string(workspace::root().join(DOCUMENT)).unwrap_or_default();
    ensure!(written == document()?, "{DOCUMENT} is not up to date; `cargo xtask docs` writes it");
    Ok(())
}

fn document() -> anyhow::Result<String> {
    let source =
        fs::read_to_string(workspace::root().join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let rows = rows(&source)?;
    let count = |support: &str| rows.iter().filter(|row| row.support == support).count();
    let mut text = format!(
        "# System calls\n\nWritten by `cargo xtask docs` from `{TABLE}`; numbers are those of x86-64. Full: {}. Partial: {}.\n\
         Absent: {}; these, and every number that is not listed, answer ENOSYS.\n\n\
         | number | call | support | note |\n|---|---|---|---|\n",
        count("full"),
        count("partial"),
        count("absent")
    );
    for row in &rows {
        writeln!(text, "| {} | {} | {} | {} |", row.number, row.name, row.support, row.note)?;
    }
    Ok(text)
}

/// The rows between `syscalls! {` and the brace that closes it at the start of a line.
fn rows(source: &str) -> anyhow::Result<Vec<Row<'_>>> {
    let (_, table) = source.split_once("\nsyscalls! {").context("the syscall table has no rows")?;
    let (table, _) = table.split_once("\n}").context("the syscall table is not closed")?;
    table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(|line| row(line).with_context(|| format!("a row of the syscall table cannot be read: {line}")))
        .collect()
}

/// Reads `NUMBER NAME HANDLER, SUPPORT "NOTE";`.
fn row(line: &str) -> anyhow::Result<Row<'_>> {
    let (call, support) = line.split_once(',').context("there is no comma")?;
    let mut words = call.split_whitespace();
    let number = words.next().unwrap_or_default().parse()?;
    let name = words.next().context("there is no name")?;
    let (support, _comment) = support.rsplit_once(';').context("it does not end with a semicolon")?;
    let (support, note) = support.trim().split_once(' ').unwrap_or((support.trim(), ""));
    if !["full", "partial", "absent"].contains(&support) {
        bail!("there is no support level `{support}`");
    }
    let note = note.trim().trim_matches('"');
    ensure!(support == "full" || !note.is_empty(), "the note is missing");
    Ok(Row { number, name, support, note })
}

#[cfg(test)]
mod tests {
    use super::{Row, rows};

    #[test]
    fn rows_are_read_and_odd_ones_refused() {
        let table = "x\nsyscalls! {\n    // files\n    0 read fs::read, full;\n    16 ioctl fs::ioctl, partial \"a, b; c\";\n}\n";
        assert_eq!(
            rows(table).unwrap(),
            [
                Row { number: 0, name: "read", support: "full", note: "" },
                Row { number: 16, name: "ioctl", support: "partial", note: "a, b; c" },
            ]
        );
        for odd in [
            "1 write fs::write full;",
            "x write fs::write, full;",
            "1 write fs::write, some;",
            "1 w w, partial;",
        ] {
            assert!(rows(&format!("\nsyscalls! {{\n{odd}\n}}")).is_err(), "{odd}");
        }
    }
}
