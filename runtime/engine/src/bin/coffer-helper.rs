//! The helper's roles in a program of their own, for tests and for running the engine on stock Linux; in the image `/init` plays them.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    coffer_engine::helper::main(&args).unwrap_or_else(|| {
        eprintln!("coffer-helper: run by the engine only");
        ExitCode::FAILURE
    })
}
