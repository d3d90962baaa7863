//! `unsafe` lives in a few folders only, and everything else forbids it (house rule 9).
//!
//! The compiler's `forbid` is what holds the line; this check holds the `forbid`: each crate root outside of the allowed folders has
//! the attribute. The search for the word itself catches code that no crate root covers, such as a build script's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::workspace;

/// Where unsafe code may be.
const ALLOWED: [&str; 8] = [
    "ostd",
    "runtime/sys",
    "tests/abi",
    "tests/performance",
    "tests/security",
    "tests/tdsim/client",
    "tests/tdsim/module",
    "tests/tdsim/payload",
];

const FORBID: &str = "#![forbid(unsafe_code)]";

/// Fails with every file that breaks the rule.
pub fn check() -> anyhow::Result<()> {
    let root = workspace::root();
    let mut faults = Vec::new();
    for file in
        workspace::output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])?
            .lines()
    {
        let path = Path::new(file);
        if ALLOWED.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let absolute = root.join(path);
        // Deleted but not yet committed.
        if !absolute.exists() {
            continue;
        }
        let text = fs::read_to_string(&absolute).with_context(|| format!("cannot read {file}"))?;
        if is_crate_root(path) && !text.contains(FORBID) {
            faults.push(format!("{file} lacks {FORBID}"));
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| uses_unsafe(line)) {
            faults.push(format!("{file}:{}: {}", number + 1, line.trim()));
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

fn is_crate_root(path: &Path) -> bool {
    let in_source = path.parent().is_some_and(|folder| folder.file_name() == Some("src".as_ref()));
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    in_source && (name == Path::new("lib.rs") || name == Path::new("main.rs"))
}

/// Whether the line opens unsafe code: the keyword where code can have it, outside of comments and of strings.
fn uses_unsafe(line: &str) -> bool {
    let outside_of_strings: String = line.replace("\\\"", "").split('"').step_by(2).collect();
    let code = outside_of_strings.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").any(|(at, word)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let after = code[at + word.len()..].trim_start();
        let starts = ["{", "fn", "impl", "trait", "extern", "("];
        !before.is_alphanumeric()
            && !matches!(before, '_' | '`')
            && starts.iter().any(|start| after.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::uses_unsafe;

    #[test]
    fn the_keyword_is_told_from_the_word() {
        for line in
            ["unsafe { x }", "    pub unsafe fn f() {}", "#[unsafe(no_mangle)]", "unsafe impl Send for X {}"]
        {
            assert!(uses_unsafe(line), "{line}");
        }
        for line in ["#![forbid(unsafe_code)]", "// unsafe { x }", "let unsafe_count = 1;", "\"unsafe {\""] {
            assert!(!uses_unsafe(line), "{line}");
        }
    }
}
