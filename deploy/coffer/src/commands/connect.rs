//! `coffer connect`: docker for a machine that was verified first, and is again at every connection.
//!
//! The exit status is 0 if the machine was accepted and there is a docker context for it, 1 if it was refused, and 2 if it could not be asked or there is
//! something wrong on this side.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::connection::{self, Connection, Record};
use crate::context::{Context, Endpoint};
use crate::judging::{Judging, Report, SMALL_FILE_LIMIT, read};
use crate::output::Output;
use crate::state;
use crate::target::Target;

/// How long the proxy may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machine: its name, if it was launched here, or HOST or HOST:PORT of its evidence.
    #[arg(value_name = "HOST")]
    machine: String,
    /// What to call it; its docker context is `coffer-NAME`. Otherwise its own name, or its address with hyphens.
    #[arg(long)]
    name: Option<String>,
    /// Where its API is, if not at port 2376 of the same host.
    #[arg(long, value_name = "HOST:PORT")]
    api: Option<String>,
    /// The certificate (PEM) that opens the API; of a machine that was launched here, the one that launch made.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    #[command(flatten)]
    judging: Judging,
}

/// What a program gets.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// None if the machine was refused.
    connection: Option<&'a Record>,
}

pub fn main(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let target = Target::find(&arguments.machine)?;
    let api = arguments.api.clone().or(target.api.clone());
    let api = api.with_context(|| {
        let machine = &arguments.machine;
        format!("the machine `{machine}` is sealed: it has no API to connect to (`coffer attest {machine}` tells what it is)")
    })?;
    let connection = Connection::of(arguments.name.as_ref().unwrap_or(&target.name))?;
    let context = Context::of(&connection.name)?;
    let (certificate, key) = client(arguments, &target)?;
    // What launch or an earlier connect made of this name is replaced; anybody else's is not.
    if connection.record().is_err() && target.home.as_ref().is_none_or(|home| home.name != connection.name) {
        context.check_free()?;
    }

    let (answer, verdict) = target.evidence.judge(&arguments.judging)?;
    let mut lines = Vec::new();
    if !verdict.judgement.is_accepted() {
        lines.extend(verdict.lines());
        lines.push(verdict.judgement.verdict());
        output.print(&lines.join("\n"), &Outcome { report: verdict.report(), connection: None })?;
        return Ok(ExitCode::FAILURE);
    }

    let record = Record {
        evidence: target.evidence.address,
        api,
        key: hex::encode(&answer.key),
        context: context.name().to_owned(),
    };
    connection.create()?;
    let made = make(&connection, &record, &arguments.judging, &certificate, &key, &context);
    if let Err(error) = made {
        // Nothing is left of what was begun. The error that matters is the first one.
        let _ = connection.remove();
        return Err(error);
    }
    lines.push(verdict.judgement.verdict());
    lines.extend(verdict.warning().map(str::to_owned));
    lines.push(format!("\n  docker --context {} run --rm hello-world", record.context));
    output.print(&lines.join("\n"), &Outcome { report: verdict.report(), connection: Some(&record) })?;
    Ok(ExitCode::SUCCESS)
}

/// The certificate and key that open the API.
fn client(arguments: &Arguments, target: &Target) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    match (&arguments.cert, &arguments.key, &target.home) {
        (Some(certificate), Some(key), _) => {
            Ok((read(certificate, SMALL_FILE_LIMIT)?, read(key, SMALL_FILE_LIMIT)?))
        }
        (_, _, Some(home)) => {
            let file = |name| read(&home.path(name), SMALL_FILE_LIMIT);
            Ok((file(state::CLIENT_CERTIFICATE)?, file(state::CLIENT_KEY)?))
        }
        _ => bail!("{} was not launched here: --cert and --key must open its API", arguments.machine),
    }
}

/// Keeps what the proxy needs, starts it, and shows docker the way.
fn make(
    connection: &Connection,
    record: &Record,
    judging: &Judging,
    certificate: &[u8],
    key: &[u8],
    context: &Context,
) -> anyhow::Result<()> {
    connection.write(connection::CERTIFICATE, certificate)?;
    connection.write(connection::KEY, key)?;
    connection.write_record(record)?;
    let judging = judging.copied(connection)?;
    start_proxy(connection, &judging)?;
    connection.wait(PATIENCE)?;
    context.remove()?;
    context.write(&Endpoint {
        host: &format!("unix://{}", connection.path(connection::SOCKET).display()),
        description: &format!("Coffer machine {}, verified at every connection", connection.name),
        files: &[],
    })
}

/// A process of its own, which this one does not wait for: it goes on when the terminal has gone.
fn start_proxy(connection: &Connection, judging: &[String]) -> anyhow::Result<()> {
    let log = fs::File::create(connection.path(connection::LOG)).context("cannot make the proxy's log")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    Command::new(program)
        .args(["proxy", &connection.name])
        .args(judging)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map(drop)
        .context("cannot start the proxy")
}
