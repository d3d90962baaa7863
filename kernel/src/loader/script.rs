//! The `#!` line (execve(2), "Interpreter scripts").

use crate::error::{Errno, Error, Result};

/// A script's first line.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Path of the interpreter.
    pub interpreter: &'a [u8],
    /// Everything after it, as one argument.
    pub argument: Option<&'a [u8]>,
}

/// Reads the first line of a file that begins with `head`; `None` if it is no script.
///
/// # Errors
/// ENOEXEC for a line without an interpreter, or whose interpreter does not end in `head`.
pub fn parse(head: &[u8]) -> Result<Option<Line<'_>>> {
    let Some(rest) = head.strip_prefix(b"#!") else { return Ok(None) };
    let line_end = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
    let line = trim(&rest[..line_end.unwrap_or(rest.len())]);
    let name_end = line.iter().position(|&byte| is_blank(byte)).unwrap_or(line.len());
    let (interpreter, argument) = (&line[..name_end], trim(&line[name_end..]));
    let is_cut = line_end.is_none() && name_end == line.len() && head.len() == super::HEAD_LEN;
    if interpreter.is_empty() || is_cut {
        return Err(Error::with(Errno::ENOEXEC, "script without an interpreter"));
    }
    Ok(Some(Line { interpreter, argument: (!argument.is_empty()).then_some(argument) }))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}
