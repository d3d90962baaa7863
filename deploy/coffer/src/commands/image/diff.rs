//! `coffer image diff`: where two images differ.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use coffer_image_builder::diff::{Difference, diff};
use serde::Serialize;

use crate::output::Output;

/// What a program gets.
#[derive(Debug, Serialize)]
struct Verdict {
    is_same: bool,
    difference: Option<Difference>,
}

pub fn main(one: &Path, other: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let difference = diff(&super::read(one)?, &super::read(other)?)
        .with_context(|| format!("cannot compare {} and {}", one.display(), other.display()))?;
    let (text, code) = match &difference {
        None => ("the images are the same".to_owned(), ExitCode::SUCCESS),
        Some(difference) => (difference.to_string(), ExitCode::FAILURE),
    };
    output.print(&text, &Verdict { is_same: difference.is_none(), difference })?;
    Ok(code)
}
