//! `coffer-docker-tests --host unix:///run/coffer.sock` or `--context coffer-demo`: a line for each case, then the sum.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use coffer_docker_tests::{Docker, cases, run};

/// Drives a docker client against an engine. The image `busybox:test` is loaded first.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only cases whose name contains this.
    filter: Option<String>,
    /// The client.
    #[arg(long, default_value = "docker")]
    client: PathBuf,
    /// Where the engine is, as for `docker --host`.
    #[arg(long, conflicts_with = "context")]
    host: Option<String>,
    /// The engine as a docker context.
    #[arg(long)]
    context: Option<String>,
    /// A port that containers may publish, and where this machine reaches it: `8080=127.0.0.1:41234`.
    #[arg(long, value_parser = parse_published)]
    published: Vec<(u16, String)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match drive(&arguments) {
        Ok(failed) => ExitCode::from(u8::from(failed > 0)),
        Err(error) => {
            eprintln!("coffer-docker-tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn drive(arguments: &Arguments) -> anyhow::Result<usize> {
    let place = match (&arguments.host, &arguments.context) {
        (Some(host), _) => vec!["--host".into(), OsString::from(host)],
        (None, Some(context)) => vec!["--context".into(), OsString::from(context)],
        (None, None) => Vec::new(),
    };
    let docker = Docker::new(arguments.client.clone(), place, None, arguments.published.clone())?;
    let (mut passed, mut failed) = (0, 0);
    let filter = arguments.filter.as_deref();
    let cases = cases::all().filter(|case| filter.is_none_or(|filter| case.name.contains(filter)));
    run(&docker, cases, |verdict| {
        let seconds = verdict.took.as_secs_f64();
        match verdict.result {
            Ok(()) => {
                passed += 1;
                println!("ok docker/{} ({seconds:.1} s)", verdict.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAIL docker/{}: {error:#}", verdict.name);
            }
        }
    });
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

fn parse_published(text: &str) -> Result<(u16, String), String> {
    let (port, address) = text.split_once('=').ok_or("expected PORT=ADDRESS:PORT")?;
    Ok((port.parse().map_err(|_| format!("`{port}` is no port"))?, address.to_owned()))
}
